"""What changed between two builds of a kernel: which figures grew, by how much, and which patterns went.

Here: the rule of each figure, and what `[policies]` makes of a growth.
Elsewhere: the figures (measured.py), keeping a baseline (the store).

A figure that a user pays for (registers, spills, local and shared memory, fewer resident warps) is a
regression where it got worse by more than `warn_threshold`, a warning up to there; spills or local memory
where there were none are beyond any threshold. More registers are no more than a warning where the same
blocks have as many resident warps as before: registers cost nothing else. A pattern that is wanted
(patterns.py) is a regression where it went or got narrower, a warning where a smaller share of the bytes
moves so. The number of instructions is never more than a warning: unrolling a loop may be right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pytest_gpuemu.engine.artifacts.data import ArtifactComparison, Change, KernelMetrics, PatternFound
from pytest_gpuemu.engine.artifacts.patterns import PATTERNS
from pytest_gpuemu.engine.config import Policies

# Figures that cost: the more, the worse.
_COSTS = (
    "register_count",
    "spill_count",
    "local_memory_bytes",
    "shared_memory_bytes",
)
# Figures that may rightly be higher.
_COUNTS = ("instruction_count", "sass_instruction_count", "barriers", "atomics", "branches")
_SHARES = {
    "vector_load": ("load", ("global", "generic")),
    "vector_store": ("store", ("global", "generic")),
}
_DEFAULT_POLICIES = Policies()


def compare(
    baseline: KernelMetrics, current: KernelMetrics, policies: Policies = _DEFAULT_POLICIES
) -> ArtifactComparison:
    """What differs between a baseline's figures and the current ones of the same kernel and architecture."""
    incomparable: dict[str, str] = {}
    changes: list[Change] = []
    for figure in (*_COSTS, *_COUNTS):
        before, now = getattr(baseline, figure), getattr(current, figure)
        if before is None or now is None:
            if before is not now:
                incomparable[figure] = _missing(figure, baseline, current)
        elif before != now:
            judge = _cost if figure in _COSTS else _count
            if figure == "register_count" and _keeps_occupancy(baseline, current):
                judge = _free
            unit = current.sources[figure].partition(": ")[2]
            changes.append(
                _change(figure, unit, before, now, judge, policies, _tools(figure, baseline, current))
            )
    changes.extend(_occupancy(baseline, current, policies, incomparable))
    changes.extend(_patterns(baseline, current))
    changes.extend(_vector_shares(baseline, current, policies))
    regressed = any(change.verdict == "regression" for change in changes)
    return ArtifactComparison(
        changes=tuple(changes), incomparable=incomparable, fails=regressed and policies.fail_on_regression
    )


def _cost(growth: float, threshold: float) -> str:
    if growth < 0:
        return "improvement"
    return "regression" if growth > threshold else "warning"


def _free(growth: float, threshold: float) -> str:
    return "improvement" if growth < 0 else "warning"


def _count(growth: float, threshold: float) -> str:
    return "warning" if growth > threshold else "changed"


def _change(
    figure: str,
    unit: str,
    before: float,
    now: float,
    judge: Callable[[float, float], str],
    policies: Policies,
    tools: str = "",
) -> Change:
    growth = (now - before) / before if before else math.inf
    return Change(
        figure=figure,
        unit=unit,
        baseline=before,
        current=now,
        growth=growth,
        verdict=judge(growth, policies.warn_threshold),
        message=f"{figure}: {before:g} -> {now:g} {unit}{_percent(growth)}{tools}",
    )


def _keeps_occupancy(baseline: KernelMetrics, current: KernelMetrics) -> bool:
    """Whether blocks of the same size are known to have as many resident warps as before."""
    before, now = baseline.occupancy, current.occupancy
    return (
        before is not None
        and now is not None
        and before.block_threads == now.block_threads
        and now.warps >= before.warps
    )


def _occupancy(
    baseline: KernelMetrics, current: KernelMetrics, policies: Policies, incomparable: dict[str, str]
) -> Iterator[Change]:
    before, now = baseline.occupancy, current.occupancy
    if before is None or now is None:
        if before is not now:
            incomparable["occupancy"] = _missing("occupancy", baseline, current)
        return
    if before.block_threads != now.block_threads:
        incomparable["occupancy"] = (
            f"the baseline's is that of blocks of {before.block_threads} threads, "
            f"this one's of {now.block_threads}"
        )
        return
    if before.warps == now.warps:
        return
    growth = (now.warps - before.warps) / before.warps if before.warps else math.inf
    worse = -growth > policies.warn_threshold
    verdict = "improvement" if growth > 0 else "regression" if worse else "warning"
    yield Change(
        figure="occupancy",
        unit="resident warps of a multiprocessor",
        baseline=before.warps,
        current=now.warps,
        growth=growth,
        verdict=verdict,
        message=(
            f"occupancy: {before.warps} -> {now.warps} of {now.max_warps} warps{_percent(growth)}, "
            f"limited by {' and '.join(now.limited_by)}"
        ),
    )


def _patterns(baseline: KernelMetrics, current: KernelMetrics) -> Iterator[Change]:
    before = {found.name: found for found in baseline.patterns_found}
    now = {found.name: found for found in current.patterns_found}
    for name, pattern in PATTERNS.items():
        had, has = before.get(name), now.get(name)
        if had is not None and has is None:
            verdict = {True: "regression", False: "improvement", None: "changed"}[pattern.wanted]
            yield _pattern_change(
                name, had.count, 0, verdict, f"{name}: gone, {had.count} before ({pattern.what})"
            )
        elif had is None and has is not None:
            verdict = {True: "improvement", False: "warning", None: "changed"}[pattern.wanted]
            yield _pattern_change(
                name, 0, has.count, verdict, f"{name}: new, {has.count} now ({pattern.what})"
            )
        elif had is not None and has is not None and pattern.wanted and has.width_bytes < had.width_bytes:
            yield _narrower(had, has)


def _narrower(had: PatternFound, has: PatternFound) -> Change:
    return Change(
        figure=f"{had.name} width",
        unit="bytes of the widest access",
        baseline=had.width_bytes,
        current=has.width_bytes,
        growth=has.width_bytes / had.width_bytes - 1,
        verdict="regression",
        message=f"{had.name}: the widest moves {has.width_bytes} bytes, {had.width_bytes} before",
    )


def _pattern_change(name: str, before: int, now: int, verdict: str, message: str) -> Change:
    return Change(
        figure=name,
        unit="instructions of the PTX",
        baseline=before,
        current=now,
        growth=(now - before) / before if before else math.inf,
        verdict=verdict,
        message=message,
    )


def _vector_shares(baseline: KernelMetrics, current: KernelMetrics, policies: Policies) -> Iterator[Change]:
    """Where both use vector accesses, and a smaller share of the bytes moves through them now."""
    for name, (kind, spaces) in _SHARES.items():
        before, now = (_vector_share(metrics, kind, spaces) for metrics in (baseline, current))
        if before and now and before - now > policies.warn_threshold:
            yield Change(
                figure=f"{name} share",
                unit="share of the bytes in the code",
                baseline=before,
                current=now,
                growth=now / before - 1,
                verdict="warning",
                message=f"{name}: {now:.0%} of the bytes in the code, {before:.0%} before",
            )


def _vector_share(metrics: KernelMetrics, kind: str, spaces: tuple[str, ...]) -> float:
    moved = [op for op in metrics.memory_operations if op.kind == kind and op.space in spaces]
    total = sum(op.width_bytes * op.count for op in moved)
    wide = sum(op.width_bytes * op.count for op in moved if op.vector > 1 or op.width_bytes >= 16)
    return wide / total if total else 0.0


def _missing(figure: str, baseline: KernelMetrics, current: KernelMetrics) -> str:
    if figure in current.sources:
        return f"the baseline has none; this one is from {current.sources[figure].partition(': ')[0]}"
    tool = baseline.sources.get(figure, "a tool").partition(": ")[0]
    return f"the baseline's is from {tool}, and no such tool is here"


def _tools(figure: str, baseline: KernelMetrics, current: KernelMetrics) -> str:
    before, now = (metrics.sources.get(figure, "").partition(": ")[0] for metrics in (baseline, current))
    return "" if before == now else f", by {now}; the baseline by {before}"


def _percent(growth: float) -> str:
    return "" if math.isinf(growth) else f" ({growth:+.0%})"
