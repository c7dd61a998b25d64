"""From anything that holds a kernel to its PTX.

Here: telling what was given, reading files and PTX, and calling the compiler that it needs. Elsewhere: the
compilers.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.artifacts.data import Artifact
from pytest_gpuemu.engine.artifacts.sources import (
    cuda,
    cupy_kernels,
    fresh_process,
    loading,
    numba_kernels,
    triton_kernels,
)
from pytest_gpuemu.engine.artifacts.sources.source import KernelSource, no_constants, no_options
from pytest_gpuemu.engine.errors import ArtifactError, shortened

_CUDA_SUFFIXES = (".cu", ".cuh", ".cpp", ".c")
_KINDS = (
    'write the path of a .cu or .ptx file, a text of CUDA C or PTX, "file.py:name" or "package.module:name", '
    "or give a kernel object of CuPy, Triton or Numba"
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_NAMED = re.compile(r"[\w./\\-]+(?:\.py)?:[A-Za-z_][\w.]*")


def compile_kernel(source: KernelSource, arch: str) -> Artifact:
    """The PTX of a kernel's source for one architecture ("sm_80"). Raises ArtifactError, with the compiler's
    own log where the source does not compile, and with what to install where the compiler is not there.
    """
    given = source.given
    if isinstance(given, os.PathLike):
        return _compile_file(source, Path(given), arch)
    if isinstance(given, str):
        return _compile_text(source, given, arch)
    if cupy_kernels.is_cupy_kernel(given):
        return cupy_kernels.compile_cupy(source, arch)
    if triton_kernels.is_triton_kernel(given):
        if triton_kernels.is_interpreted(given):
            return fresh_process.compile_elsewhere(source, triton_kernels.python_function(given), arch)
        return triton_kernels.compile_triton(source, arch)
    if numba_kernels.is_numba_kernel(given):
        if numba_kernels.is_simulated(given):
            return fresh_process.compile_elsewhere(source, numba_kernels.python_function(given), arch)
        return numba_kernels.compile_numba(source, arch)
    hint = " (a plain function: decorate it with triton.jit or numba.cuda.jit)" if callable(given) else ""
    raise ArtifactError(f"source = {shortened(given)} is no kernel{hint}: {_KINDS}")


def is_ptx(text: str) -> bool:
    """Whether a text is PTX, not CUDA C: its first word is a directive of a PTX module."""
    return _COMMENT.sub("", text).lstrip().startswith((".version", ".target", ".address_size"))


def _compile_text(source: KernelSource, text: str, arch: str) -> Artifact:
    if is_ptx(text):
        return _ptx(source, text, "<string>", arch)
    if "\n" in text or "{" in text:
        return _cuda(source, text, "kernel.cu", None, arch)
    if _NAMED.fullmatch(text):
        loaded = loading.load_object(text, source.root)
        if isinstance(loaded, str) and not ("\n" in loaded or "{" in loaded or is_ptx(loaded)):
            raise ArtifactError(
                f"source {text!r} names the text {shortened(loaded)}, which is neither CUDA C nor PTX"
            )
        compiled = compile_kernel(replace(source, given=loaded), arch)
        return replace(compiled, source=text) if isinstance(loaded, str) else compiled
    return _compile_file(source, Path(text), arch)


def _compile_file(source: KernelSource, given: Path, arch: str) -> Artifact:
    path = (source.root / given.expanduser()).absolute()
    if path.suffix not in (*_CUDA_SUFFIXES, ".ptx"):
        raise ArtifactError(f"source = {str(given)!r} is no kernel: {_KINDS}")
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ArtifactError(f"source {str(given)!r}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ArtifactError(f"source {str(given)!r}: {path} is no text in UTF-8: {error}") from None
    if path.suffix == ".ptx":
        return _ptx(source, text, str(path), arch)
    return _cuda(source, text, str(path), path.parent, arch)


def _ptx(source: KernelSource, text: str, name: str, arch: str) -> Artifact:
    what = "PTX"
    no_options(source, what)
    no_constants(source, what)
    return Artifact(ptx=text, kernel_name=source.kernel, archs=(arch,), origin="ptx", source=name)


def _cuda(source: KernelSource, text: str, name: str, folder: Path | None, arch: str) -> Artifact:
    no_constants(source, "CUDA C")
    wanted = source.kernel
    instances = [wanted] if wanted is not None and "<" in wanted else []
    compiled = cuda.compile_cuda(
        text, name, arch=arch, options=source.options, folder=folder, instances=instances
    )
    entry: Any = None if wanted is None else compiled.lowered.get(wanted, wanted)
    return Artifact(
        ptx=compiled.ptx,
        kernel_name=entry,
        archs=(arch,),
        origin="cuda",
        source="<string>" if folder is None else name,
    )
