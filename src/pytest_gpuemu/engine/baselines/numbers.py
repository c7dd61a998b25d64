"""The errors of a campaign: the largest of each output dtype, and whether they grew.

Here: collecting them case by case, and comparing with a baseline's. What is judged is the share of its
tolerance that the worst element used: the tolerance is derived from the very inputs, so that the share does
not jump where a sum happens to cancel, as ulps do. Elsewhere: the errors themselves (engine/compare.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pytest_gpuemu.engine.baselines.data import NumericalBaseline
from pytest_gpuemu.engine.config import Policies
from pytest_gpuemu.engine.verdict import Verdict

# Correct rounding is off by up to half an ulp: an error of that size is none that could be called worse.
_ROUNDING_ULP = 0.5


@dataclass(slots=True)
class Errors:
    """The largest errors so far, for each output dtype."""

    found: dict[str, NumericalBaseline] = field(default_factory=dict)

    def add(
        self,
        verdicts: Iterable[Verdict],
        *,
        test_id: str,
        master_seed: int,
        generator: int,
        cases: int,
    ) -> None:
        """Take in the verdicts on a case that passed."""
        for verdict in verdicts:
            for comparison in verdict.comparisons:
                before = self.found.get(comparison.dtype)
                now = NumericalBaseline(
                    test_id=test_id,
                    op=verdict.op,
                    dtype=comparison.dtype,
                    master_seed=master_seed,
                    generator=generator,
                    cases=cases,
                    max_abs=_finite(comparison.stats.max_abs),
                    max_ulp=_finite(comparison.stats.max_ulp),
                    tolerance_used=_finite(comparison.tolerance_used),
                    tolerance=comparison.tolerance,
                )
                self.found[comparison.dtype] = now if before is None else _larger(before, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericalChange:
    """How the errors of one dtype stand beside the baseline's.

    verdict is "regression", "improvement", "unchanged" or "incomparable"; fails is the policy's word.
    """

    before: NumericalBaseline
    now: NumericalBaseline
    verdict: str
    fails: bool
    message: str


def compare(before: NumericalBaseline, now: NumericalBaseline, policies: Policies) -> NumericalChange:
    """Whether the errors grew by more than the policies' share, over the same cases (or fewer of them)."""
    why = _why_not(before, now)
    growth = _growth(before.tolerance_used, now.tolerance_used)
    shown = (
        f"{now.op} {now.dtype}: the largest error uses {now.tolerance_used:.3g} of its tolerance, "
        f"{before.tolerance_used:.3g} in the baseline"
    )
    if why:
        verdict, message = "incomparable", f"{now.op} {now.dtype}: not compared: {why}"
    elif growth > policies.warn_threshold and now.max_ulp > _ROUNDING_ULP:
        verdict = "regression"
        message = (
            f"{shown}: {_percent(growth)}, more than warn_threshold = {policies.warn_threshold:g} allows "
            f"(max_ulp {before.max_ulp:.4g} -> {now.max_ulp:.4g}, max_abs {before.max_abs:.4g} -> "
            f"{now.max_abs:.4g})"
        )
    else:
        verdict = "improvement" if growth < -policies.warn_threshold else "unchanged"
        message = shown
    return NumericalChange(
        before=before,
        now=now,
        verdict=verdict,
        fails=verdict == "regression" and policies.fail_on_regression,
        message=message,
    )


def _why_not(before: NumericalBaseline, now: NumericalBaseline) -> str:
    """Why the cases or tolerances differ, so that a larger error means nothing."""
    if before.generator != now.generator:
        return f"generator {now.generator} draws other cases than the baseline's {before.generator}"
    if before.master_seed != now.master_seed:
        return (
            f"master seed {now.master_seed} draws other cases than the baseline's; use "
            f"--gpuemu-seed={before.master_seed}"
        )
    if now.cases > before.cases:
        return f"{now.cases} cases, the baseline has {before.cases}; use --gpuemu-fuzz={before.cases}"
    if before.tolerance != now.tolerance:
        return f"the tolerance is now {now.tolerance}, and was {before.tolerance}; store the baseline again"
    return ""


def _larger(one: NumericalBaseline, other: NumericalBaseline) -> NumericalBaseline:
    sources = sorted({*one.tolerance.split(", "), *other.tolerance.split(", ")})
    return replace(
        one,
        max_abs=max(one.max_abs, other.max_abs),
        max_ulp=max(one.max_ulp, other.max_ulp),
        tolerance_used=max(one.tolerance_used, other.tolerance_used),
        tolerance=", ".join(sources),
    )


def _growth(before: float, now: float) -> float:
    """The relative growth; infinite from nothing to something."""
    if now == before:
        return 0.0
    return math.inf if before == 0 else (now - before) / before


def _percent(growth: float) -> str:
    return "grew from nothing" if math.isinf(growth) else f"grew by {growth:.0%}"


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
