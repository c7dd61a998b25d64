"""CUDA C to PTX by NVRTC, the compiler in CuPy's reach, which needs neither a GPU nor a driver.

Here: the include folders, the options, the compiler's log. Elsewhere: CuPy's kernels (cupy_kernels.py).
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.artifacts.sources.source import capability, does_not_compile, not_installed

_GIVEN_BY_US = ("-arch", "--gpu-architecture")


@dataclass(frozen=True, slots=True)
class Compiled:
    """PTX, and the spelling in it of each template instance that was asked for."""

    ptx: str
    lowered: dict[str, str]


def compile_cuda(
    text: str,
    name: str,
    *,
    arch: str,
    options: Sequence[str] = (),
    folder: Path | None = None,
    instances: Sequence[str] = (),
) -> Compiled:
    """Compile CUDA C for one architecture, with line numbers.

    name stands for the text in the compiler's messages and in `.file`: the path where there is one. folder
    is searched for its includes. instances are template instances such as "scale<float>", which NVRTC
    compiles only where they are named. Raises ArtifactError with the compiler's log.
    """
    nvrtc = _nvrtc()
    major, minor, suffix = capability(arch)
    program = nvrtc.createProgram(text, name, (), ())
    try:
        for instance in instances:
            nvrtc.addNameExpression(program, instance)
        given = [option for option in options if not option.startswith(_GIVEN_BY_US)]
        try:
            nvrtc.compileProgram(
                program,
                (
                    *given,
                    f"-arch=compute_{major}{minor}{suffix}",
                    "-lineinfo",
                    *(f"-I{path}" for path in include_folders(folder)),
                ),
            )
        except nvrtc.NVRTCError as error:
            log = nvrtc.getProgramLog(program).strip("\0\n ") or str(error)
            raise does_not_compile(name, arch, f"NVRTC {_version(nvrtc)}", log) from None
        ptx = nvrtc.getPTX(program)
        return Compiled(
            (ptx.decode("utf-8") if isinstance(ptx, bytes) else ptx).rstrip("\0"),
            {instance: nvrtc.getLoweredName(program, instance) for instance in instances},
        )
    finally:
        nvrtc.destroyProgram(program)


def include_folders(folder: Path | None) -> Iterator[Path]:
    """Where headers may lie: beside the source, in NVIDIA's wheels, in CuPy (CCCL), in a toolkit."""
    if folder is not None:
        yield folder
    for name, below in (
        ("nvidia", "*/include"),
        ("cupy", "_core/include"),
        ("cupy", "_core/include/cupy/_cccl/*"),
    ):
        spec = importlib.util.find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield from sorted(path for path in Path(place).glob(below) if path.is_dir())
    toolkit = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    if toolkit and (Path(toolkit) / "include").is_dir():
        yield Path(toolkit) / "include"


def _nvrtc() -> Any:
    """CuPy's binding of NVRTC, once both are known to be there."""
    try:
        from cupy.cuda import nvrtc
    except ImportError as error:
        raise not_installed(
            "CUDA C is compiled by NVRTC through CuPy, which is not installed", "cuda", error
        ) from None
    try:
        nvrtc.getVersion()
    except (RuntimeError, OSError, ImportError) as error:
        raise not_installed("CuPy finds no NVRTC, the compiler of CUDA C", "cuda", error) from None
    return nvrtc


def _version(nvrtc: Any) -> str:
    return ".".join(map(str, nvrtc.getVersion()))
