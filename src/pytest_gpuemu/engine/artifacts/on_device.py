"""What the driver of a GPU that is here says of a kernel: its own attributes, as it will run.

Here: reading them of a CuPy kernel, and completing a report with them. Elsewhere: the figures that need no
GPU (measured.py), limits (lint.py).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pytest_gpuemu.engine.artifacts.data import LintReport, Violation

_TOOL = "CUDA driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAttributes:
    """What one thread (registers, local_bytes) and one block (shared_bytes, static) of a kernel take on a GPU
    of this architecture, and the most threads that a block of it may have."""

    arch: str
    registers: int
    local_bytes: int
    shared_bytes: int
    max_block_threads: int


def attributes_here(given: Any, entry: str | None) -> DeviceAttributes | None:
    """The attributes of a CuPy RawKernel, or of an entry of a RawModule, on the current GPU.

    None where there is no GPU, or the object is no kernel of CuPy. Loads the kernel onto the GPU.
    """
    cupy: Any = sys.modules.get("cupy")
    kind = type(given).__name__
    if (
        cupy is None
        or type(given).__module__.split(".")[0] != "cupy"
        or kind not in ("RawKernel", "RawModule")
    ):
        return None
    if kind == "RawModule" and entry is None:
        return None
    try:
        capability = str(cupy.cuda.Device().compute_capability)
        kernel = given.get_function(entry) if kind == "RawModule" else given
        return read_attributes(f"sm_{capability}", kernel.attributes)
    except cupy.cuda.runtime.CUDARuntimeError:
        return None


def read_attributes(arch: str, attributes: Mapping[str, int]) -> DeviceAttributes:
    """The attributes from the names that CUDA's cudaFuncAttributes has in CuPy."""
    return DeviceAttributes(
        arch=arch,
        registers=attributes["num_regs"],
        local_bytes=attributes["local_size_bytes"],
        shared_bytes=attributes["shared_size_bytes"],
        max_block_threads=attributes["max_threads_per_block"],
    )


def completed(report: LintReport, found: DeviceAttributes | None) -> LintReport:
    """The report with what the driver says: a note, and where no ptxas was there, the figures and verdicts on
    registers and local memory. Another architecture's attributes say nothing."""
    if found is None or found.arch != report.arch:
        return report
    noted = replace(
        report,
        notes=(
            *report.notes,
            f"on the GPU here, a thread takes {found.registers} registers and {found.local_bytes} bytes of "
            f"local memory, a block {found.shared_bytes} bytes of shared memory and at most "
            f"{found.max_block_threads} threads ({_TOOL})",
        ),
    )
    if report.metrics.register_count is not None:
        return noted
    sources = {
        **report.metrics.sources,
        "register_count": f"{_TOOL}: registers of a thread",
        "local_memory_bytes": f"{_TOOL}: bytes of a thread's local memory",
    }
    metrics = replace(
        report.metrics,
        register_count=found.registers,
        local_memory_bytes=found.local_bytes,
        sources=sources,
    )
    judged = {
        "max_registers": (report.limits.max_registers, found.registers, sources["register_count"]),
        "max_local_bytes": (report.limits.max_local_bytes, found.local_bytes, sources["local_memory_bytes"]),
    }
    violations = tuple(
        _violation(limit, allowed, value, source.partition(": ")[2], report.arch)
        for limit, (allowed, value, source) in judged.items()
        if allowed is not None and value > allowed
    )
    return replace(
        noted,
        metrics=metrics,
        violations=(*report.violations, *violations),
        unchecked={limit: why for limit, why in report.unchecked.items() if limit not in judged},
    )


def _violation(limit: str, allowed: int, value: int, unit: str, arch: str) -> Violation:
    return Violation(
        limit=limit,
        allowed=allowed,
        found=value,
        unit=unit,
        message=f"{limit}: {value} {unit} on {arch}, at most {allowed} allowed ({_TOOL})",
    )
