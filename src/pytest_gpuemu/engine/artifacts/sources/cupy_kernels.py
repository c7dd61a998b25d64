"""CuPy's RawKernel and RawModule to PTX: the same text and options, compiled as CuPy compiles them.

Here: reading these objects, which can be made without a GPU. Elsewhere: the compiler (cuda.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.artifacts.data import Artifact
from pytest_gpuemu.engine.artifacts.sources.cuda import compile_cuda
from pytest_gpuemu.engine.artifacts.sources.source import KernelSource, no_constants
from pytest_gpuemu.engine.errors import ArtifactError

# What CuPy adds to the options of every raw kernel (cupy/cuda/compiler.py, 12 to 14).
_ADDED_BY_CUPY = ("-ftz=true", "--device-as-default-execution-space")


def is_cupy_kernel(given: Any) -> bool:
    return type(given).__module__.split(".")[0] == "cupy" and type(given).__name__ in (
        "RawKernel",
        "RawModule",
    )


def compile_cupy(source: KernelSource, arch: str) -> Artifact:
    """Compile a RawKernel, or the kernels of a RawModule, for one architecture."""
    kernel = source.given
    what = f"a CuPy {type(kernel).__name__}"
    no_constants(source, what)
    if kernel.backend != "nvrtc":
        raise ArtifactError(
            f"{what} of backend {kernel.backend!r}: only those of backend 'nvrtc' are compiled here"
        )
    own = getattr(kernel, "name", None)
    if own is not None and source.kernel not in (None, own):
        raise ArtifactError(
            f"{what} named {own!r} holds no kernel {source.kernel!r}: name it {own!r}, or leave it out"
        )
    wanted = own or source.kernel
    if kernel.code is None:
        path = Path(kernel.file_path)
        if path.suffix != ".ptx":
            raise ArtifactError(f"{what} of {path}: only CUDA C and .ptx files hold PTX")
        return Artifact(
            ptx=path.read_text("utf-8"), kernel_name=wanted, archs=(arch,), origin="cupy", source=f"{path}"
        )
    instances = list(getattr(kernel, "name_expressions", None) or ())
    if wanted is not None and "<" in wanted and wanted not in instances:
        instances.append(wanted)
    label = own or "module"
    compiled = compile_cuda(
        kernel.code,
        f"{label}.cu",
        arch=arch,
        options=(*kernel.options, *source.options, *_ADDED_BY_CUPY),
        instances=instances,
    )
    return Artifact(
        ptx=compiled.ptx,
        kernel_name=compiled.lowered.get(wanted, wanted) if wanted else None,
        archs=(arch,),
        origin="cupy",
        source=f"{type(kernel).__name__} {label}",
    )
