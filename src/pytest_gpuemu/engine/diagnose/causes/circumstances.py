"""Causes that follow from when a kernel fails: what a case needs in order to fail, and the condition.

Here: these. Elsewhere: finding the condition (when.py, confirm.py), making a case plain (investigating.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_gpuemu.engine.diagnose.causes.names import named
from pytest_gpuemu.engine.diagnose.causes.seen import MADE, TAILS, Needs, Seen
from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Condition, Suspicion
from pytest_gpuemu.engine.diagnose.terms import NONFINITE

# Offsets of so many bits end here.
_BORDERS_OF_INDICES = {127, 128, 255, 256, 32767, 32768, 65535, 65536}


# Distributions whose numbers are so small that no product, sum or exponential of some overflows.
_SMALL = {"tiny", "sparse", "normal", "uniform"}


def by_needs(seen: Sequence[Seen], needs: Needs, how: Mapping[str, Clue]) -> Suspicion | None:
    """What a failure that passes when made plain says by the one thing that it needs."""
    values = set(seen[0].plan.values.values())
    if needs.alone == {"layout"}:
        if "huge" in seen[0].plan.layouts.values():
            return named(
                "index overflow", "likely", "it fails where an input's strides are huge, and passes where not"
            )
        return named("strides", "likely", "the same case passes where its inputs are contiguous")
    if needs.alone == {"dtype"} and "slight" in how:
        return named("precision", "likely", f"small errors, for {seen[0].plan.dtype} alone")
    if needs.alone == {"values"}:
        made = MADE & set(how)
        is_number = {"constant", "sentinel"} & set(how)  # which is no loss of digits
        if (
            not made
            and not is_number
            and ("near_equal" in values or (values & {"one_signed", "root"} and "slight" in how))
        ):
            return named(
                "unstable", "likely", f"it fails for values that are {' and '.join(sorted(values))} only"
            )
        if not values <= _SMALL and not values & NONFINITE and made:
            text = (
                f"NaN or infinity where values are {' and '.join(sorted(values))}, and none for ordinary ones"
            )
            return named("overflow", "likely", text)
    return None


def by_param(condition: Condition | None) -> Suspicion | None:
    """A param of the condition, which further cases have confirmed."""
    if condition is None or "param" not in condition.kinds:
        return None
    term = condition.terms[condition.kinds.index("param")]
    kind = "causal" if "causal" in term.partition(" ")[0] else "param"
    return named(kind, "likely", f"it fails only where {term}")


def by_condition(one: Seen, needs: Needs, condition: Condition | None) -> Suspicion | None:
    """What the condition alone says."""
    if condition is None:
        return None
    for kind, term in zip(condition.kinds, condition.terms, strict=True):
        if kind == "layout":
            return named("strides", "likely", f"it fails only where {term}")
    if condition.kinds == ("multiple",) and _is_summed(one, condition.terms[0]) and needs.aligned is False:
        return named("tail", "likely", f"it fails only where {condition.terms[0]}, along which it sums")
    return None


def _is_summed(one: Seen, term: str) -> bool:
    """Whether a term is about a dim that the reference sums or compares along, and the wrong elements are
    not the last along it."""
    name = term.partition(" ")[0]
    return name in one.summed and not any(clue.kind in TAILS for clue in one.where)


def by_narrow_index(one: Seen, condition: Condition | None) -> Suspicion | None:
    """A dim that indices point into, and that is larger than 8 or 16 bits can hold."""
    if condition is None or condition.kinds != ("above",):
        return None
    name, _, border = condition.terms[0].partition(" > ")
    if name in one.pointed_at and int(border) in _BORDERS_OF_INDICES:
        text = f"it fails where {condition.terms[0]}: an index is kept in too few bits"
        return named("index", "likely", text)
    return None
