"""What judging a case found: plain data, without the arrays' library, the store or pytest.

Here: the data classes that the engine, the store, the client and the report share.
Elsewhere: how they come about (compare.py, tolerance.py, judge.py), how they read (report.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_gpuemu.engine.op import Array, Float64Array

PASSED, FAILED, UNDETERMINED = "passed", "failed", "undetermined"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStats:
    """The distribution of an output's error, in its units and in ulps.

    count is of all elements; the others are of those that have a bound.
    """

    count: int
    num_exceeding: int
    num_undetermined: int = 0
    max_abs: float = 0.0
    mean_abs: float = 0.0
    p50_abs: float = 0.0
    p90_abs: float = 0.0
    p99_abs: float = 0.0
    max_rel: float = 0.0
    mean_rel: float = 0.0
    max_ulp: float = 0.0
    mean_ulp: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The element whose error is largest against its tolerance."""

    index: tuple[int, ...]
    output: float
    reference: float
    error: float
    ulp: float
    allowed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One output beside its reference.

    tolerance is the source: "derived", "marker", "[ops.tolerances]", "[validation.tolerances]" or
    "exact". method says what had to be done for a derived one: "half-ulp", "trace", "spread" or
    "fallback", with the note of why. exceeding is the mask of the elements beyond their tolerance,
    allowed what each of these was allowed, in their order; interpreted is the kernel's own array where output
    is what it leads to (an index, the value there). They and the arrays stay in the process and are
    never stored. tolerance_used is the largest error over its tolerance, of the elements that correct
    rounding does not explain: 0 where it explains all.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    stats: ErrorStats
    worst: Worst | None
    tolerance: str
    method: str
    note: str | None = None
    tolerance_used: float = 0.0
    interpreted: Array | None = field(default=None, repr=False, compare=False)
    exceeding: Array | None = field(default=None, repr=False, compare=False)
    allowed: Float64Array | None = field(default=None, repr=False, compare=False)
    output: Array | None = field(default=None, repr=False, compare=False)
    reference: Float64Array | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong. index, expected and actual are those of the worst element, if any.

    kind is one of the wire's (ToleranceExceeded, NaNDetected, InfDetected, ShapeMismatch, DTypeMismatch,
    InvariantViolation, ExecutionError), or of ours: InputModified, Unwritten, GuardOverwritten,
    Nondeterministic, Aliased, Cached, DeviceMismatch, LayoutMismatch.
    """

    kind: str
    message: str
    output: str | None = None
    index: tuple[int, ...] | None = None
    expected: float | None = None
    actual: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on one case. hints are further sentences, such as `passes under compute="tf32"`."""

    op: str
    seed: int
    edits: str = ""
    status: str = PASSED
    findings: tuple[Finding, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return self.status == PASSED

    @property
    def failed(self) -> bool:
        return self.status == FAILED

    def without_arrays(self) -> Verdict:
        """The same verdict with the statistics alone: nothing is left that a kernel could find and copy."""
        bare = tuple(
            replace(x, output=None, reference=None, interpreted=None, exceeding=None, allowed=None)
            for x in self.comparisons
        )
        return replace(self, comparisons=bare)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that the kernel fails, as it is stored: everything needed to run it again and to tell of it.

    test_id is the campaign's node id without its `[fuzz=...]`, or "client". fuzz_config holds the
    overrides of the op's record. generator is the version of the case generator that drew it.
    timestamp is in seconds since the epoch.
    """

    test_id: str
    op: str
    seed: int
    edits: str
    generator: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    layout: str
    values: str
    fuzz_config: Mapping[str, Any]
    findings: tuple[Finding, ...]
    stats: ErrorStats | None
    text: str
    timestamp: float
    duration_ms: float
