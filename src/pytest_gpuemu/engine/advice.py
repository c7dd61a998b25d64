"""Advice on a failure: what the output would have passed under, and what is odd about its tolerance.

Here: the hints of a verdict. They never change it. Elsewhere: the verdict (judge.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytest_gpuemu.engine import dtypes, tolerance
from pytest_gpuemu.engine.attempt import Attempt, fails
from pytest_gpuemu.engine.op import Tolerance
from pytest_gpuemu.engine.tolerance import LOOSE, WIDER_COMPUTE, ErrorBounds
from pytest_gpuemu.engine.verdict import Comparison


def hints(made: Attempt) -> Iterator[str]:
    """Sentences on an attempt whose values failed."""
    for comparison in made.comparisons:
        if comparison.note:
            yield f"{comparison.name}: {comparison.note}"
    if not made.comparisons:
        return
    given = made.case.op.tolerance
    if given is not None:
        yield from _on_given(made, given)
        return
    op = made.case.op
    compute = made.bounds.compute
    if op.rounding == "nearest":
        yield from _other_roundings(made)
    if op.scale == "element" and _passes(made, scale="row"):
        yield (
            "the error is that of a less stable form, below the rounding of the largest element of its row: "
            'passes under scale="row"'
        )
    for wider in WIDER_COMPUTE[WIDER_COMPUTE.index(compute) + 1 :] if compute in WIDER_COMPUTE else ():
        if _passes(made, replace(made.bounds, compute=wider), compute=wider):
            yield f'passes under compute="{wider}"'
            break


def looseness(made: Attempt, comparison: Comparison) -> float:
    """How many times looser the given tolerance is than the derived one, at the median element."""
    given = made.case.op.tolerance
    assert given is not None
    name, rules = comparison.name, made.rules[comparison.name]
    if not rules.is_floating:
        return 1.0
    reference = tolerance.as_float64(made.references[name])
    with np.errstate(all="ignore"):
        derived = tolerance.derived_allowance(
            reference, made.bounds.widened(name), rules.dtype, rules.rounding
        )
        ratio = tolerance.given_allowance(reference, given, rules.dtype) / derived
    ratio = ratio[np.isfinite(ratio) & np.isfinite(derived)]
    return float(np.median(ratio)) if ratio.size else 1.0


def _on_given(made: Attempt, given: Tolerance) -> Iterator[str]:
    for comparison in made.comparisons:
        worst = comparison.worst
        if not fails(made.case.op, comparison) or worst is None or not dtypes.is_floating(comparison.dtype):
            continue
        reference = np.array([worst.reference])
        half = float(tolerance.rounding_allowance(reference, comparison.dtype, "nearest")[0])
        allowed = float(tolerance.given_allowance(reference, given, comparison.dtype)[0])
        if np.isfinite(worst.reference) and allowed < half:
            keys = ", ".join(
                f"{key}={getattr(given, key):g}" for key in ("atol", "rtol", "ulp") if getattr(given, key)
            )
            yield (
                f"half an ulp here is {half:g}: your {keys or 'tolerance of 0'} forbids correct rounding "
                "(what is within half an ulp passes all the same)"
            )
        if (ratio := looseness(made, comparison)) > LOOSE:
            yield f"{comparison.name}: the given tolerance is {ratio:.0f} times looser than the derived one"
    if _passes(made, given=None):
        yield "passes under the derived tolerance: leave tolerance= out"


def _other_roundings(made: Attempt) -> Iterator[str]:
    if all(map(_is_truncated, made.comparisons)) and _passes(made, rounding="faithful"):
        yield 'the output is truncated instead of rounded: passes under rounding="faithful"'
    if _passes(made, rounding="saturate"):
        yield 'overflow is clamped to the largest value: passes under rounding="saturate"'


def _is_truncated(comparison: Comparison) -> bool:
    """Whether every exceeding element is nearer to zero than its reference."""
    mask = comparison.exceeding
    if mask is None or comparison.output is None or comparison.reference is None:
        return False
    output = np.asarray(comparison.output[mask], dtype=np.float64)
    return bool(np.all(np.abs(output) < np.abs(comparison.reference[mask])))


def _passes(made: Attempt, bounds: ErrorBounds | None = None, **changes: object) -> bool:
    """Whether every output would pass under these changes, and not for being undetermined."""
    other = replace(made, comparisons=made.compared(bounds, **changes))
    return not other.value_findings and not other.is_undetermined
