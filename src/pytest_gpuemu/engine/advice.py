"""Advice on a failure: what the output would have passed under, and what is odd about its tolerance.

Here: the hints of a verdict. They never change it. Elsewhere: the verdict (judge.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from pytest_gpuemu.engine import dtypes, tolerance
from pytest_gpuemu.engine.attempt import Attempt, fails
from pytest_gpuemu.engine.op import Tolerance
from pytest_gpuemu.engine.tolerance import LOOSE, WIDER_COMPUTE
from pytest_gpuemu.engine.verdict import Comparison, Finding

# What else is wrong with an attempt than its values: no hint helps where anything is.
Besides = Callable[[Attempt], Sequence[Finding]]
# Of so many inexact elements or more, this share is nearer to zero than the reference where an output was
# truncated; of one that was rounded, about half are.
_TRUNCATED_OF, _TRUNCATED_SHARE = 8, 0.9


def hints(made: Attempt, besides: Besides) -> Iterator[str]:
    """Sentences on an attempt whose values failed. The whole case passes under what they name."""
    for comparison in made.comparisons:
        if comparison.note:
            yield f"{comparison.name}: {comparison.note}"
    if not made.comparisons:
        return
    given = made.case.op.tolerance
    if given is not None:
        yield from _on_given(made, given, besides)
    elif (hint := _most_specific(made, besides)) is not None:
        yield hint


def _most_specific(made: Attempt, besides: Besides) -> str | None:
    """The one change under which everything passes; the first of these that does is the most specific."""
    op, compute = made.case.op, made.bounds.compute
    failing = [comparison for comparison in made.comparisons if fails(op, comparison)]
    if op.rounding == "nearest":
        if all(map(_is_truncated, failing)) and _passes(made, besides, rounding="faithful"):
            return 'the output is truncated instead of rounded: passes under rounding="faithful"'
        if _overflows(made, failing) and _passes(made, besides, rounding="saturate"):
            return 'overflow is clamped to the largest value: passes under rounding="saturate"'
    is_rounded = all(_is_computed(made, comparison) for comparison in failing)
    if op.scale == "element" and is_rounded and _passes(made, besides, scale="row"):
        return (
            "the error is that of a less stable form, below the rounding of the largest element of its row: "
            'passes under scale="row"'
        )
    for wider in WIDER_COMPUTE[WIDER_COMPUTE.index(compute) + 1 :] if compute in WIDER_COMPUTE else ():
        if _passes(made, besides, compute=wider):
            return f'passes under compute="{wider}"'
    return None


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


def _on_given(made: Attempt, given: Tolerance, besides: Besides) -> Iterator[str]:
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
    if _passes(made, besides, given=None):
        yield "passes under the derived tolerance: leave tolerance= out"


def _is_truncated(comparison: Comparison) -> bool:
    """Whether every exceeding element, and most of all that are not exact, are nearer to zero than the
    reference.
    """
    mask = comparison.exceeding
    if mask is None or comparison.output is None or comparison.reference is None:
        return False
    output = np.abs(np.asarray(comparison.output, dtype=np.float64))
    reference = np.abs(np.asarray(comparison.reference, dtype=np.float64))
    inexact = np.isfinite(output) & np.isfinite(reference) & (output != reference)
    nearer = inexact & (output < reference)
    count = int(np.count_nonzero(inexact))
    share = np.count_nonzero(nearer) / max(count, 1)
    return bool(nearer[mask].all() and count >= _TRUNCATED_OF and share >= _TRUNCATED_SHARE)


def _overflows(made: Attempt, failing: Sequence[Comparison]) -> bool:
    """Whether what exceeds may be an overflow: not where the reference passes on an infinity of an input,
    which -FLT_MAX as a maximum's first value fails to do.
    """
    originals = made.case.originals.values()
    if not any(dtypes.is_floating(str(x.dtype)) and np.isinf(x).any() for x in originals):
        return True
    return all(
        comparison.exceeding is not None
        and comparison.reference is not None
        and not np.isinf(np.asarray(comparison.reference[comparison.exceeding], dtype=np.float64)).any()
        for comparison in failing
    )


def _is_computed(made: Attempt, comparison: Comparison) -> bool:
    """Whether the reference rounds at every exceeding element: what it gives exactly, such as a 0 for a row
    that is ignored, no form of it gives with an error.
    """
    errors = np.broadcast_to(made.bounds.traced(comparison.name), made.references[comparison.name].shape)
    return comparison.exceeding is not None and bool((errors[comparison.exceeding] > 0).all())


def _passes(made: Attempt, besides: Besides, **changes: str | None) -> bool:
    """Whether the whole case would pass under these changes of its rules, and not for being undetermined."""
    keys = {{"given": "tolerance"}.get(key, key): value for key, value in changes.items()}
    op = replace(made.case.op, **keys)  # type: ignore[arg-type]
    compute = changes.get("compute")
    bounds = made.bounds if compute is None else replace(made.bounds, compute=compute)
    other = replace(
        made,
        case=replace(made.case, op=op),
        bounds=bounds,
        comparisons=made.compared(bounds, **changes),
    )
    return not other.value_findings and not other.is_undetermined and not besides(other)
