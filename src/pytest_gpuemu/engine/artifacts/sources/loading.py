"""Loading a kernel object by name: "kernels/softmax.py:kernel" or "package.module:kernel".

Here: importing the module and finding the object. Elsewhere: what is done with it (compiling.py).
"""

from __future__ import annotations

import importlib.util
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine import user_code
from pytest_gpuemu.engine.errors import ArtifactError, did_you_mean


def load_object(text: str, root: Path) -> Any:
    """The object that "place:name" means, looked up in root and sys.path. Raises ArtifactError."""
    place, _, name = text.rpartition(":")
    if place.endswith(".py"):
        path = (root / place).resolve()
        if not path.is_file():
            raise ArtifactError(f"source {text!r}: there is no file {path}")
        called = user_code.call(load_file, path)
    else:
        if str(root) not in sys.path:
            sys.path.append(str(root))
        called = user_code.call(import_module, place)
    if called.error is not None:
        raise ArtifactError(
            f"source {text!r}: {place} cannot be imported: {called.summary}"
        ) from called.error
    found = called.value
    for part in name.split("."):
        if not hasattr(found, part):
            known = [key for key in vars(found) if not key.startswith("_")]
            raise ArtifactError(f"source {text!r}: {place} has no {name!r}; {did_you_mean(part, known)}")
        found = getattr(found, part)
    return found


def load_file(path: Path, name: str | None = None) -> Any:
    """The module of a file: one that is loaded already, the one of that name, or a new one."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(path) and getattr(module, "__spec__", None) is not None:
            return module
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    name = name or path.stem
    importable = None
    try:
        importable = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # its package is not there
        importable = None
    if importable is not None and importable.origin == str(path):
        return import_module(name)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, "the suffix is .py"
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # Triton and Numba look up where a function is from
    try:
        spec.loader.exec_module(module)
    finally:
        if before is not None:
            sys.modules[name] = before
    return module
