"""The data classes of artifacts: what goes into a lint, and what comes out of it.

Here: the kernel's PTX with where it came from, limits, metrics, violations, the report of one kernel.
Elsewhere: how each figure is measured (metrics.py, ptxas.py, sass.py, occupancy.py), how it is judged
(lint.py), what changed against a baseline (changes.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_ARCHS = ("sm_80", "sm_90")


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """PTX that some compiler made, and where it came from.

    ptx is the whole text of a module; kernel_name is an entry of it, spelt as the PTX spells it, or None
    for each of its kernels. archs are those to assemble it for; none: DEFAULT_ARCHS where the PTX's own
    target allows them. origin is "cuda", "cupy", "triton", "numba" or "ptx", and source the file, function or
    "<string>" that it was compiled from. A launch that the origin knows of (Triton's warps and shared
    memory) gives block_threads and dynamic_shared_bytes.
    """

    ptx: str
    kernel_name: str | None = None
    archs: tuple[str, ...] = ()
    origin: str = "ptx"
    source: str = "<string>"
    block_threads: int | None = None
    dynamic_shared_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a kernel may use. None: no limit. The defaults hold for a kernel of which nothing is said.

    max_registers is per thread, as allocated by ptxas; it is never compared with PTX's virtual registers.
    max_spills counts 32-bit spill stores and loads in the code. max_local_bytes is the stack of a thread,
    max_shared_bytes the static shared memory of a block, max_instructions the instructions of the PTX.
    min_occupancy is a share, 0 to 1, of the warps that a multiprocessor holds, at block_threads a block (or
    what the kernel itself declares, or 256) and dynamic_shared_bytes beside the static. Patterns are names
    of patterns.PATTERNS, or the beginning of an instruction: "mma.sync".
    """

    max_registers: int | None = 64
    max_spills: int | None = 0
    max_local_bytes: int | None = 0
    max_shared_bytes: int | None = None
    max_instructions: int | None = None
    min_occupancy: float | None = None
    block_threads: int | None = None
    dynamic_shared_bytes: int = 0
    required_patterns: tuple[str, ...] = ()
    forbidden_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """One line of PTX, and the line of source that it was compiled from, through `.loc`.

    ptx_line counts from 1. file and line are None where the PTX says nothing. inlined_at leads from the line
    outwards through the calls that were inlined, so its last entry is in the kernel's own function.
    """

    ptx_line: int
    ptx_text: str
    file: str | None = None
    line: int | None = None
    inlined_at: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternFound:
    """A pattern of patterns.PATTERNS that the kernel shows: how often, and where (the first few lines).

    width_bytes is the widest access of a memory pattern; 0 for a pattern that moves no memory.
    """

    name: str
    count: int
    width_bytes: int = 0
    lines: tuple[SourceLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryOperations:
    """The loads, stores, atomics … of one kind, space and width. count is static: in the code, not run."""

    kind: str  # load, store, atomic, reduction, prefetch, async_copy, bulk_copy, texture
    space: str  # global, shared, local, const, param, generic, texture
    width_bytes: int  # of one thread's access: 16 for ld.global.v4.f32
    vector: int  # elements of an access: 1, 2, 4, 8
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """Blocks and warps that one multiprocessor holds at once, by the limits of its compute capability."""

    block_threads: int
    block_threads_source: str  # "given", ".reqntid", ".maxntid", "assumed"
    blocks: int  # per multiprocessor
    warps: int
    max_warps: int
    limited_by: tuple[str, ...]  # of "registers", "shared memory", "barriers", "warps", "blocks"

    @property
    def share(self) -> float:
        """Resident warps over the most that the multiprocessor holds: 0 to 1."""
        return self.warps / self.max_warps


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelMetrics:
    """The figures of one kernel on one architecture. None: no tool that knows it was found.

    `sources` names, for each figure by its field's name, the tool that gave it and the unit, as
    "ptxas 12.9: registers per thread". Counts of instructions are static: a loop's body counts once.
    """

    # From the PTX, always there.
    virtual_registers: int
    virtual_registers_by_type: Mapping[str, int]
    instruction_count: int
    instruction_mix: Mapping[str, int]  # by class
    memory_operations: tuple[MemoryOperations, ...]
    branches: int
    barriers: int
    atomics: int
    tensor_core: int
    declared_local_bytes: int
    const_memory_bytes: int
    shared_memory_bytes: int  # static; ptxas' figure where there is one
    uses_dynamic_shared: bool
    arithmetic_intensity: float | None  # operations per byte of global memory; None: it moves none
    patterns_found: tuple[PatternFound, ...]
    # From ptxas.
    register_count: int | None = None
    spill_count: int | None = None  # 32-bit spill stores and loads
    spill_store_bytes: int | None = None
    spill_load_bytes: int | None = None
    local_memory_bytes: int | None = None  # stack frame of a thread
    hardware_barriers: int | None = None  # named barriers of a block
    occupancy: Occupancy | None = None
    # From the disassembled code.
    sass_instruction_count: int | None = None
    sass_instruction_mix: Mapping[str, int] | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A limit that the kernel exceeds. lines are those responsible; none where no line can be named."""

    limit: str  # the field of Limits
    allowed: float | str
    found: float | str
    unit: str
    message: str
    lines: tuple[SourceLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """What the lint of one kernel found on one architecture.

    unchecked holds, for each limit that no tool here can judge, the limit and why. notes are remarks that
    are no violation. ptx_digest is the same for two texts that differ in comments, spacing, `.loc` and debug
    sections only.
    """

    kernel_name: str
    arch: str
    origin: str
    source: str
    metrics: KernelMetrics
    limits: Limits
    violations: tuple[Violation, ...]
    unchecked: Mapping[str, str]
    notes: tuple[str, ...]
    ptx_digest: str

    @property
    def passed(self) -> bool:
        return not self.violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure that differs from the baseline's. growth is (current - baseline) / baseline; inf from 0."""

    figure: str
    unit: str
    baseline: float
    current: float
    growth: float
    verdict: str  # "regression", "warning", "improvement", "changed"
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactComparison:
    """What changed between a baseline's metrics and the current ones.

    incomparable names the figures that one side lacks, with why: they are not judged. fails is the policy's
    word on the regressions.
    """

    changes: tuple[Change, ...]
    incomparable: Mapping[str, str]
    fails: bool

    @property
    def regressions(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.verdict == "regression")
