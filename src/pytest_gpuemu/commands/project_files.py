"""The files of a project that a failure needs: its test, what that imports of the project, the config.

Here: finding them by reading, not running, the sources. Elsewhere: the bundle that carries them
(engine/bundle.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from pytest_gpuemu.engine.config import Config

_MAX_FILES = 200
_MAX_BYTES = 2**20
_BESIDE = ("conftest.py", "pytest.ini")


def project_files(
    root: Path, config: Config, test_ids: Iterable[str], ops: Iterable[str]
) -> dict[str, bytes]:
    """The files by their path from root: the tests' modules, each conftest.py and pytest.ini above them, the
    config, the references and scripts that it names for these ops, and the project's own modules that any of
    them imports. A file outside root, or larger than 1 MiB, is left out."""
    root = root.resolve()
    wanted = [root / test_id.partition("::")[0] for test_id in test_ids if "::" in test_id]
    for test in list(wanted):
        folders = [folder for folder in test.parents if folder == root or root in folder.parents]
        wanted += [folder / name for folder in folders for name in _BESIDE]
    if config.path is not None:
        wanted.append(config.path)
    for entry in map(config.op_entry, ops):
        if entry is not None:
            wanted += [config.root / path for path in (entry.reference, entry.op_script) if path]
            modules = [text.partition(":")[0] for text in (entry.reference, entry.module) if text]
            wanted += [file for module in modules for file in _module_files(module, [config.root])]
    found: dict[Path, bytes] = {}
    while wanted and len(found) < _MAX_FILES:
        path = wanted.pop(0).resolve()
        if path in found or root not in path.parents or not path.is_file():
            continue
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            continue
        found[path] = data
        if path.suffix == ".py":
            wanted += _imported_files(data, path, root)
    return {path.relative_to(root).as_posix(): data for path, data in found.items()}


def _imported_files(source: bytes, path: Path, root: Path) -> Iterator[Path]:
    """The project's files that a module imports anywhere in it, looked up as pytest and Python would."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    folders = [path.parent, root, root / "src"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(alias.name, folders)
        elif isinstance(node, ast.ImportFrom):
            base = folders
            if node.level:
                base = [path.parents[min(node.level, len(path.parents)) - 1]]
            module = node.module or ""
            for name in (module, *(f"{module}.{alias.name}".strip(".") for alias in node.names)):
                if name:
                    yield from _module_files(name, base)


def _module_files(module: str, folders: Iterable[Path]) -> Iterator[Path]:
    """The file of a module and those of the packages around it, where it lies below one of the folders."""
    parts = module.split(".")
    for folder in folders:
        for depth in range(1, len(parts) + 1):
            place = folder.joinpath(*parts[:depth])
            yield from (path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file())
