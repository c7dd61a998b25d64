"""Sources: from what a kernel is written in to its PTX, without a GPU and without a driver.

Here: CUDA C (cuda.py), CuPy's raw kernels (cupy_kernels.py), Triton's (triton_kernels.py), Numba's
(numba_kernels.py), PTX itself, and telling which of them something is (compiling.py).
    compile_kernel(KernelSource(given="kernels/saxpy.cu"), "sm_80") -> Artifact
Elsewhere: what is measured on the PTX (the package above).
"""

from pytest_gpuemu.engine.artifacts.sources.compiling import compile_kernel
from pytest_gpuemu.engine.artifacts.sources.source import KernelSource

__all__ = ["KernelSource", "compile_kernel"]
