"""Compiling a kernel that was made for an interpreter, in a process of its own where that is switched off.

Under TRITON_INTERPRET=1 and NUMBA_ENABLE_CUDASIM=1 the decorators make objects that no compiler takes, and so
do those of the libraries' own device functions. The new process imports the kernel's module once more.

Here: both ends, `python -m pytest_gpuemu.engine.artifacts.sources.fresh_process FILE`. FILE holds what to
compile, pickled by the parent, and then what came of it. Elsewhere: the compilers.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.artifacts.data import Artifact
from pytest_gpuemu.engine.artifacts.sources import numba_kernels, triton_kernels
from pytest_gpuemu.engine.artifacts.sources.loading import load_file
from pytest_gpuemu.engine.artifacts.sources.source import KernelSource
from pytest_gpuemu.engine.errors import ArtifactError
from pytest_gpuemu.engine.processes import end_with_parent

SWITCHES = ("TRITON_INTERPRET", "NUMBA_ENABLE_CUDASIM")
_LIMIT_S = 120.0


def compile_elsewhere(source: KernelSource, function: Any, arch: str) -> Artifact:
    """Compile the kernel that this Python function became. Raises ArtifactError."""
    file, name = inspect.getsourcefile(function), function.__qualname__
    if file is None or "<locals>" in name:
        raise ArtifactError(
            f"the kernel {function.__name__} was made for an interpreter ({' or '.join(SWITCHES)}) and "
            "inside a function, where no other process finds it: define it at the top of a module, or unset "
            "the variable"
        )
    job = (replace(source, given=None), os.path.abspath(file), function.__module__, name, arch, sys.path)
    environ = {key: value for key, value in os.environ.items() if key not in SWITCHES}
    with tempfile.TemporaryDirectory(prefix="gpuemu-") as folder:
        path = Path(folder) / "job"
        path.write_bytes(pickle.dumps(job))
        command = [sys.executable, "-m", __name__, str(path)]
        try:
            done = subprocess.run(
                command, env=environ, capture_output=True, text=True, timeout=_LIMIT_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise ArtifactError(
                f"compiling {file}:{name} for {arch} took more than {_LIMIT_S:.0f} s"
            ) from None
        if done.returncode != 0:
            said = done.stderr.strip()[-2000:]
            raise ArtifactError(
                f"compiling {file}:{name} for {arch} ended with status {done.returncode}:\n{said}"
            )
        found = pickle.loads(path.read_bytes())
    if isinstance(found, str):
        raise ArtifactError(found)
    assert isinstance(found, Artifact)
    return found


def main(path: Path) -> None:
    """Do the job in the file, and write there what came of it."""
    source, file, module_name, name, arch, sys.path[:] = pickle.loads(path.read_bytes())
    _switch_off()
    found: Any = load_file(Path(file), module_name)
    for part in name.split("."):
        found = getattr(found, part)
    result: Artifact | str
    try:
        if triton_kernels.is_triton_kernel(found):
            if triton_kernels.is_interpreted(found):
                raise ArtifactError(f"{file} switches Triton's interpreter on while it is imported")
            result = triton_kernels.compile_triton(replace(source, given=found), arch)
        else:
            if numba_kernels.is_simulated(found):
                raise ArtifactError(f"{file} switches Numba's simulator on while it is imported")
            result = numba_kernels.compile_numba(replace(source, given=found), arch)
    except ArtifactError as error:
        result = str(error)
    path.write_bytes(pickle.dumps(result))


def _switch_off() -> None:
    """The module may set the variable itself: let the libraries look at it before, or never again."""
    with contextlib.suppress(ImportError):
        from triton import knobs

        knobs.runtime.interpret = False
    with contextlib.suppress(ImportError):
        import numba.cuda  # noqa: F401 - reads its variable once


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]))
