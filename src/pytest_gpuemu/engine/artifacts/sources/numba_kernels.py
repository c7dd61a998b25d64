"""Numba-CUDA kernels to PTX, without a GPU: Numba's own target, or that of numba-cuda.

Numba's own target finds the compiler library NVVM in conda or a CUDA toolkit alone, numba-cuda also in
NVIDIA's wheels.

Here: the signature, and Numba's messages. Elsewhere: a kernel that was made for Numba's simulator
(fresh_process.py).
"""

from __future__ import annotations

import inspect
from typing import Any

from pytest_gpuemu.engine import user_code
from pytest_gpuemu.engine.artifacts.data import Artifact
from pytest_gpuemu.engine.artifacts.sources.source import (
    KernelSource,
    capability,
    does_not_compile,
    no_options,
    not_installed,
)
from pytest_gpuemu.engine.errors import ArtifactError, shortened

_EXAMPLE = 'signature="void(float32, float32[::1], float32[::1])"'


def is_numba_kernel(given: Any) -> bool:
    """Whether it is what @cuda.jit made, also for the simulator."""
    return type(given).__module__.split(".")[0] in ("numba", "numba_cuda") and (
        hasattr(given, "py_func") or hasattr(given, "fn")
    )


def is_simulated(given: Any) -> bool:
    """Whether it was made under NUMBA_ENABLE_CUDASIM=1."""
    return ".simulator." in type(given).__module__


def python_function(given: Any) -> Any:
    """The function that was decorated."""
    return given.fn if is_simulated(given) else given.py_func


def compile_numba(source: KernelSource, arch: str) -> Artifact:
    """Compile one kernel for one architecture. Raises ArtifactError with Numba's own message."""
    function = python_function(source.given)
    what = f"the Numba kernel {function.__name__}"
    no_options(source, what)
    if source.constants:
        raise ArtifactError(
            f"{what} takes no constants (= {shortened(dict(source.constants))}): leave them out"
        )
    if source.kernel not in (None, function.__name__):
        raise ArtifactError(
            f"{what} is not called {source.kernel!r}: name it {function.__name__!r}, or leave the name out"
        )
    if not isinstance(source.signature, (str, tuple, list)):
        given = "none is given" if source.signature is None else f"{shortened(source.signature)} is given"
        raise ArtifactError(f"{what} needs its signature, and {given}: write {_EXAMPLE}")
    try:
        from numba import cuda
    except ImportError as error:
        raise not_installed("Numba cannot be imported", "numba", error) from None
    major, minor, _ = capability(arch)
    signature = tuple(source.signature) if isinstance(source.signature, list) else source.signature
    called = user_code.call(
        cuda.compile_ptx,
        function,
        _parsed(signature),
        lineinfo=True,
        fastmath=bool(getattr(source.given, "targetoptions", {}).get("fastmath")),
        cc=(major, minor),
    )
    if called.error is not None:
        if "NVVM" in called.summary or "libdevice" in called.summary:
            raise not_installed(
                f"{what} cannot be compiled: Numba finds no NVVM", "cuda", called.error
            ) from None
        raise does_not_compile(what, arch, "Numba", called.summary) from called.error
    return Artifact(
        ptx=called.value[0],
        archs=(arch,),
        origin="numba",
        source=f"{inspect.getsourcefile(function)}:{function.__name__}",
    )


def _parsed(signature: Any) -> Any:
    """The types of the arguments: compile_ptx takes no text."""
    if not isinstance(signature, str):
        return signature
    from numba.core import sigutils

    called = user_code.call(sigutils.normalize_signature, signature)
    if called.error is not None:
        raise ArtifactError(
            f"signature = {signature!r} is no signature of Numba ({called.summary}): write {_EXAMPLE}"
        )
    return called.value[0]
