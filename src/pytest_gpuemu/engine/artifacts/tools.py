"""NVIDIA's own tools on this machine: ptxas, nvdisasm, cuobjdump.

Here: where they are looked for, in order, and running them.
Elsewhere: what they print (ptxas.py, sass.py).

The order: the file that an environment variable names (GPUEMU_PTXAS, GPUEMU_NVDISASM, GPUEMU_CUOBJDUMP), and
then nothing else; NVIDIA's wheels (nvidia-cuda-nvcc-cu12 and its like); Triton's package; PATH.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pytest_gpuemu.engine.errors import ArtifactError

# In a wheel's folder `nvidia`: CUDA 12 has a folder for each package, CUDA 13 one for all.
_WHEEL_FOLDERS = {
    "ptxas": ("cuda_nvcc/bin", "cu13/bin"),
    "nvdisasm": ("cuda_nvdisasm/bin", "cu13/bin"),
    "cuobjdump": ("cuda_cuobjdump/bin", "cu13/bin"),
}
_TRITON_FOLDER = "backends/nvidia/bin"
# Triton ships a newer ptxas for newer GPUs beside the one for the older.
_TRITON_NAMES = {"ptxas": ("ptxas", "ptxas-blackwell")}
_RELEASE = re.compile(r"release (\d+\.\d+)")
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that was found. version is CUDA's: "12.9"."""

    name: str
    path: Path
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end. Raises ArtifactError where it cannot be started or does not end in time."""
        try:
            return subprocess.run(
                [str(self.path), *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            raise ArtifactError(f"{self.path} cannot be run: {error.strerror}") from error
        except subprocess.TimeoutExpired:
            raise ArtifactError(f"{self.path} did not end within {TIMEOUT_S:.0f} s") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The tools that a lint may use, each the best first; empty where there is none."""

    ptxas: tuple[Tool, ...] = ()
    nvdisasm: tuple[Tool, ...] = ()
    cuobjdump: tuple[Tool, ...] = ()


def find_tools(environment: Mapping[str, str] | None = None) -> Tools:
    """The tools that this machine has, by an environment: that of the process, where none is given.

    Raises ArtifactError where a variable names a file that is no program.
    """
    given = os.environ if environment is None else environment
    return Tools(
        ptxas=tuple(_found("ptxas", given)),
        nvdisasm=tuple(_found("nvdisasm", given)),
        cuobjdump=tuple(_found("cuobjdump", given)),
    )


def _found(name: str, environment: Mapping[str, str]) -> Iterator[Tool]:
    variable = f"GPUEMU_{name.upper()}"
    if environment.get(variable):
        path = Path(environment[variable])
        if not os.access(path, os.X_OK) or path.is_dir():
            raise ArtifactError(f"{variable} = {str(path)!r} is no program: give the path of {name}")
        yield _tool(name, path)
        return
    seen = set()
    for path in _candidates(name, environment):
        if path.is_file() and os.access(path, os.X_OK) and path.resolve() not in seen:
            seen.add(path.resolve())
            yield _tool(path.name, path)


def _candidates(name: str, environment: Mapping[str, str]) -> Iterator[Path]:
    for folder in _package_folders("nvidia"):
        for inner in _WHEEL_FOLDERS[name]:
            yield folder / inner / name
    for folder in _package_folders("triton"):
        for file in _TRITON_NAMES.get(name, (name,)):
            yield folder / _TRITON_FOLDER / file
    on_path = shutil.which(name, path=environment.get("PATH", os.defpath))
    if on_path is not None:
        yield Path(on_path)


def _package_folders(package: str) -> tuple[Path, ...]:
    """The folders of a package that is installed; the package is not imported."""
    spec = importlib.util.find_spec(package)
    locations = None if spec is None else spec.submodule_search_locations
    return tuple(map(Path, locations or ()))


def _tool(name: str, path: Path) -> Tool:
    return Tool(name, path, _version(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=32)
def _version(path: Path, changed: int) -> str:
    """CUDA's release that a tool is of, asked once for each file as it is."""
    printed = Tool(path.name, path, "").run("--version").stdout
    match = _RELEASE.search(printed)
    return match[1] if match else "of an unknown version"
