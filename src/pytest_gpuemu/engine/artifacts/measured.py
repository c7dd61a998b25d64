"""One kernel's figures, of every tool that is here.

Here: adding to what the PTX says what ptxas, the disassembler and the limits of the architecture say.
Elsewhere: each of those (metrics.py, ptxas.py, sass.py, occupancy.py), what is judged on them (lint.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pytest_gpuemu.engine.artifacts import occupancy
from pytest_gpuemu.engine.artifacts.data import KernelMetrics, Limits
from pytest_gpuemu.engine.artifacts.ptx.constants import whole
from pytest_gpuemu.engine.artifacts.ptx.tree import Function
from pytest_gpuemu.engine.artifacts.ptxas import Assembled, NoToolFits, Usage, assemble
from pytest_gpuemu.engine.artifacts.sass import Disassembly, disassemble, instruction_mix
from pytest_gpuemu.engine.artifacts.tools import Tools

NO_PTXAS = (
    "no ptxas was found: install nvidia-cuda-nvcc-cu12 or triton, put ptxas on PATH, or set GPUEMU_PTXAS"
)
ASSUMED_BLOCK_THREADS = 256
SPILL_BYTES = 4  # a spill is counted in registers, of 32 bits


@dataclass(frozen=True, slots=True)
class Build:
    """PTX made into machine code for one architecture. assembled is None where no ptxas could, and reason
    says why; disassembly is None where no tool could read it."""

    arch: str
    assembled: Assembled | None = None
    reason: str = ""
    disassembly: Disassembly | None = None


def build(ptx: str, arch: str, variant: str, tools: Tools) -> Build:
    """Assemble and disassemble for an architecture, of which variant (sm_90a) is what the PTX is for.

    Raises ArtifactError, with ptxas' log, for PTX that ptxas refuses.
    """
    if not tools.ptxas:
        return Build(arch, reason=NO_PTXAS)
    try:
        assembled = assemble(ptx, variant, tools.ptxas)
    except NoToolFits as error:
        return Build(arch, reason=f"no ptxas here knows this PTX and {variant}: {error}")
    return Build(arch, assembled, "", disassemble(assembled.cubin, tools))


def measured(metrics: KernelMetrics, kernel: Function, built: Build, limits: Limits) -> KernelMetrics:
    """The figures of a kernel, those of the PTX completed by those of its machine code."""
    usage = None if built.assembled is None else built.assembled.usages.get(kernel.name)
    if built.assembled is None or usage is None:
        return metrics
    tool = str(built.assembled.tool)
    spilled = usage.spill_store_bytes + usage.spill_load_bytes
    found = replace(
        metrics,
        shared_memory_bytes=usage.shared_bytes,
        register_count=usage.registers,
        spill_count=-(-spilled // SPILL_BYTES),
        spill_store_bytes=usage.spill_store_bytes,
        spill_load_bytes=usage.spill_load_bytes,
        local_memory_bytes=usage.stack_bytes,
        hardware_barriers=usage.barriers,
        sources={
            **metrics.sources,
            "shared_memory_bytes": f"{tool}: bytes of a block, static",
            "register_count": f"{tool}: registers of a thread",
            "spill_count": f"{tool}: 32-bit spill stores and loads in the code",
            "spill_store_bytes": f"{tool}: bytes of the spill stores in the code",
            "spill_load_bytes": f"{tool}: bytes of the spill loads in the code",
            "local_memory_bytes": f"{tool}: bytes of a thread's stack",
            "hardware_barriers": f"{tool}: named barriers of a block",
        },
    )
    return _with_sass(_with_occupancy(found, kernel, usage, built.arch, limits), kernel, built.disassembly)


def _with_occupancy(
    metrics: KernelMetrics, kernel: Function, usage: Usage, arch: str, limits: Limits
) -> KernelMetrics:
    threads, source = block_threads(kernel, limits)
    found = occupancy.occupancy(
        arch,
        block_threads=threads,
        block_threads_source=source,
        registers=usage.registers,
        shared_bytes=usage.shared_bytes + limits.dynamic_shared_bytes,
        barriers=usage.barriers,
    )
    if found is None:
        return metrics
    return replace(metrics, occupancy=found, sources=_and(metrics.sources, "occupancy", occupancy.SOURCE))


def _with_sass(metrics: KernelMetrics, kernel: Function, disassembly: Disassembly | None) -> KernelMetrics:
    code = None if disassembly is None else disassembly.functions.get(kernel.name)
    if disassembly is None or code is None:
        return metrics
    sources = _and(metrics.sources, "sass_instruction_count", f"{disassembly.tool}: instructions of the GPU")
    sources = _and(sources, "sass_instruction_mix", f"{disassembly.tool}: instructions of the GPU, by class")
    return replace(
        metrics, sass_instruction_count=len(code), sass_instruction_mix=instruction_mix(code), sources=sources
    )


def block_threads(kernel: Function, limits: Limits) -> tuple[int, str]:
    """The threads of a block, and who says so: the limits, the kernel's own directives, or nobody."""
    if limits.block_threads is not None:
        return limits.block_threads, "given"
    for name in ("reqntid", "maxntid"):
        directive = kernel.directive(name)
        if directive is not None:
            threads = 1
            for size in map(whole, directive.arguments):
                threads *= size or 1
            return threads, f".{name}"
    return ASSUMED_BLOCK_THREADS, "assumed"


def _and(sources: Mapping[str, str], figure: str, source: str) -> Mapping[str, str]:
    return {**sources, figure: source}
