"""What is to be compiled: the source as it was given, and how.

Here: the data class, compute capabilities, and the errors that all compilers share. Elsewhere: the compilers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.errors import ArtifactError, shortened

_ARCH = re.compile(r"(?:sm|compute)_(\d{1,2})(\d)([af]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSource:
    """A kernel's source, and how it is compiled.

    given is the path of a .cu or .ptx file, a text of CUDA C or PTX, "file.py:name", "package.module:name" or
    a kernel object of CuPy, Triton or Numba. Paths are relative to root. kernel is the entry that is meant,
    as the source spells it ("scale", "scale<float>"); None where there is but one, or each is meant.
    options go to the compiler of CUDA C. signature is that of a Triton or Numba kernel; constants are
    Triton's constexpr arguments and launch options, by name.
    """

    given: Any
    root: Path = Path()
    kernel: str | None = None
    options: tuple[str, ...] = ()
    signature: Any = None
    constants: Mapping[str, Any] = field(default_factory=dict)


def capability(arch: str) -> tuple[int, int, str]:
    """Major, minor and suffix of an architecture: "sm_90a" is (9, 0, "a"). Raises ArtifactError."""
    found = _ARCH.fullmatch(arch)
    if found is None:
        raise ArtifactError(f"arch {arch!r} is no architecture: write 'sm_80', 'sm_90' or another such")
    return int(found[1]), int(found[2]), found[3]


def not_installed(what: str, extra: str, error: Exception) -> ArtifactError:
    """The error where a compiler is not there, which names the extra that brings it."""
    return ArtifactError(f"{what} ({error}): pip install 'pytest-gpuemu[{extra}]'")


def does_not_compile(source: str, arch: str, compiler: str, log: str) -> ArtifactError:
    """The error of a source that the compiler refuses, with the compiler's own log."""
    return ArtifactError(f"{source} does not compile for {arch}; {compiler} says:\n{log.strip()}")


def no_constants(source: KernelSource, what: str) -> None:
    """Refuse keys that this kind of source does not take."""
    for key in ("signature", "constants"):
        if getattr(source, key):
            raise ArtifactError(
                f"{what} takes no {key} (= {shortened(getattr(source, key))}): they are for Triton and Numba "
                "kernels; leave it out"
            )


def no_options(source: KernelSource, what: str) -> None:
    if source.options:
        raise ArtifactError(
            f"{what} takes no options (= {shortened(list(source.options))}): they are for the compiler of "
            "CUDA C; leave them out"
        )
