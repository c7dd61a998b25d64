"""A subset in Triton: kernels of examples/triton as they stand, and with the bugs planted there.

They run under Triton's interpreter, milliseconds a block, so sizes are those of their own tests, and
bfloat16 is left out where these leave it out (examples/triton/device.py says why).
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pytest_gpuemu.engine.arrays import from_numpy

EXAMPLES = Path(__file__).parents[2] / "examples"
RETURNING = (
    "softmax",
    "layer_norm",
    "matmul",
    "flash_attention",
)  # the others write to buffers they are given


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # a dataclass and a Triton kernel look themselves up there
    spec.loader.exec_module(module)
    return module


planted_bugs = _load(EXAMPLES / "planted_bugs.py", "planted_bugs")


@cache
def _marker(kernel: str) -> tuple[str, Mapping[str, Any]]:
    """The op and the keys of the kernel's own test."""
    os.environ.setdefault("TRITON_INTERPRET", "1")
    sys.path.insert(0, str(EXAMPLES / "triton"))
    try:
        test = _load(EXAMPLES / "triton" / f"test_{kernel}.py", f"detection_test_{kernel}")
    finally:
        sys.path.pop(0)
    mark = getattr(test, f"test_{kernel}").pytestmark[0]
    return mark.args[0], mark.kwargs


@dataclass(frozen=True)
class TritonKernel:
    """A kernel file of examples/triton, with one of its planted bugs or without. It gets torch tensors."""

    source: str
    planted: Any = None

    @property
    def name(self) -> str:
        return f"Triton {self.source}" + (f": {self.planted.name}" if self.planted else "")

    @property
    def bug(self) -> str:
        return "planted in Triton" if self.planted else ""

    @property
    def op(self) -> str:
        return _marker(self.source)[0]

    @property
    def narrowing(self) -> Mapping[str, Any]:
        return _marker(self.source)[1]

    @property
    def kernel(self) -> Callable[..., Any]:
        path = EXAMPLES / "triton" / f"{self.source}.py"
        if self.planted is None:
            function = getattr(_load(path, f"detection_{self.source}"), self.source)
        else:
            with tempfile.TemporaryDirectory() as folder:
                planted_bugs.plant(self.planted, Path(folder))
                path = Path(folder) / "triton" / f"{self.planted.module}.py"
                function = getattr(_load(path, self.planted.module), self.source)

        def on_tensors(*arrays: Any, **named: Any) -> Any:
            tensors = [from_numpy(array, "torch") for array in arrays]
            given = {n: from_numpy(x, "torch") if hasattr(x, "strides") else x for n, x in named.items()}
            return function(*tensors, **given)

        on_tensors.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return on_tensors


CONTROLS = tuple(TritonKernel(source) for source in RETURNING)
MUTANTS = tuple(
    TritonKernel(bug.kernel.removeprefix("triton/"), bug)
    for bug in planted_bugs.PLANTED_BUGS
    if bug.kernel.removeprefix("triton/") in RETURNING
)
