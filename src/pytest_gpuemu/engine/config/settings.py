"""What gpuemu.toml says, as data classes: one a table, whose defaults are the file's defaults.

Here: the classes. Elsewhere: which keys a table has and what each may hold (tables.py, op_table.py), reading
them (read.py), finding the file (find.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzSettings:
    """`[fuzz]`: cases per campaign, master seed, time budget in seconds, known failing seeds collected a
    test, and the bytes that one case may take; None where nothing is said."""

    cases: int = 25
    seed: int | None = None
    time_s: float | None = None
    known_seeds: int = 50
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpEntry:
    """One `[[ops]]` table. keys holds the marker's keys as the file gives them; tolerances is by dtype name,
    or has the one key "" for a table that holds for every dtype."""

    name: str
    place: str
    reference: str | None = None
    module: str | None = None
    op_script: str | None = None
    input_names: tuple[str, ...] = ()
    execution_mode: str = "client_side"
    frameworks: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactChecks:
    """`artifact_checks` of a kernel: what the compiler may have made of it. None: not checked.

    max_registers is a thread's, as ptxas counts them; max_spills its 32-bit spill stores and loads;
    max_local_bytes a thread's; max_shared_bytes a block's; min_occupancy a share from 0 to 1 of the warps
    that a multiprocessor holds. require and forbid name patterns (artifacts/patterns.py) or instructions by
    their beginning (`mma.sync`).
    """

    max_registers: int | None = 64
    max_spills: int | None = 0
    max_local_bytes: int | None = 0
    max_shared_bytes: int | None = None
    max_instructions: int | None = None
    min_occupancy: float | None = None
    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEntry:
    """One `[[kernels]]` table: a source that is compiled for each arch, and what it is checked for.

    source is a path from the config's folder (.cu, .ptx), "file.py:kernel" or "package.module:kernel"; entry
    the kernel's name in it, where that is not name; options go to the compiler of CUDA C; signature and
    constants are those of a Triton or Numba kernel; threads is the size of a block, for occupancy. reference,
    tolerances and invariants make an OpEntry of the name.
    """

    name: str
    place: str
    source: str
    entry: str | None = None
    arch: tuple[str, ...] = ("sm_80", "sm_90")
    options: tuple[str, ...] = ()
    signature: str | Mapping[str, str] | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None
    reference: str | None = None
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    invariants: tuple[str, ...] = ()
    artifact_checks: ArtifactChecks = ArtifactChecks()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """`[policies]`: whether what got worse than the baseline fails, and from which growth on (a share: 0.1
    is a tenth) it is called worse."""

    fail_on_regression: bool = True
    warn_threshold: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CiSettings:
    """`[ci]`: what a quick run of every op takes, and the bounds of a thorough one; decides nothing here."""

    quick_dtypes: tuple[str, ...] = ("float32",)
    thorough_timeout: int = 3600
    parallel_jobs: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """`[project]`: what the project is called; decides nothing."""

    name: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """`[validation]`: tolerances by dtype name, and what a reference and an op of the file may take in the
    daemon."""

    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reference_timeout_s: float = 25.0
    reference_memory_mb: int = 8192
    op_timeout_s: float = 25.0
    op_memory_mb: int = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that the file says; path is None where there is no file, and root its folder.

    tolerances are those of `[validation.tolerances]`, by dtype name. Script paths and modules of the file
    are relative to root. reference_timeout_s and reference_memory_mb bound what the file's references may
    take in the daemon, op_timeout_s and op_memory_mb what its ops may.
    """

    path: Path | None
    root: Path
    project: str | None = None
    fuzz: FuzzSettings = FuzzSettings()
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reference_timeout_s: float = Validation().reference_timeout_s
    reference_memory_mb: int = Validation().reference_memory_mb
    op_timeout_s: float = Validation().op_timeout_s
    op_memory_mb: int = Validation().op_memory_mb
    ops: tuple[OpEntry, ...] = ()
    kernels: tuple[KernelEntry, ...] = ()
    policies: Policies = Policies()
    ci: CiSettings = CiSettings()

    def op_entry(self, name: str) -> OpEntry | None:
        """The `[[ops]]` entry of that name, or None."""
        return next((entry for entry in self.ops if entry.name == name), None)

    def kernel_entry(self, name: str) -> KernelEntry | None:
        """The `[[kernels]]` entry of that name, or None."""
        return next((entry for entry in self.kernels if entry.name == name), None)
