"""Python decisions on undecided values: trace again with one of them the other way, and join.

Here: the repeated runs and the join. Elsewhere: counting decisions (run.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.trace.rounding import difference
from pytest_gpuemu.engine.trace.run import TraceTimeout, Untraceable

# Beyond this many undecided decisions nothing is certain any more.
MOST_FLIPPED = 8

Outcome = tuple[dict[str, Array], dict[str, Float64Array]]


def trace_every_way(once: Callable[[int | None], tuple[Outcome, int]]) -> Outcome:
    """The outcome of once(None), joined with once(i) for each decision i that was undecided.

    once(flipped) runs the reference and gives its outcome and how many decisions were undecided.
    The joined error covers both ways: max(e, e' + |v' - v|). More than MOST_FLIPPED undecided
    decisions, or a flip that changes a shape or raises, make everything undetermined. A TraceTimeout
    passes through.
    """
    (values, errors), undecided = once(None)
    if undecided == 0:
        return values, errors
    if undecided > MOST_FLIPPED:
        return values, {name: np.full(np.shape(value), np.inf) for name, value in values.items()}
    for flipped in range(undecided):
        try:
            (other_values, other_errors), _ = once(flipped)
        except TraceTimeout:
            raise
        except Untraceable:
            return values, {name: np.full(np.shape(value), np.inf) for name, value in values.items()}
        errors = {
            name: _joined(values[name], errors[name], other_values, other_errors, name) for name in values
        }
    return values, errors


def _joined(
    value: Array,
    error: Float64Array,
    other_values: Mapping[str, Array],
    other_errors: Mapping[str, Float64Array],
    name: str,
) -> Float64Array:
    other = other_values.get(name)
    if other is None or other.shape != value.shape:
        return np.full(value.shape, np.inf)
    with np.errstate(all="ignore"):
        away = np.asarray(difference(other, value))
    return np.maximum(error, np.where(away == 0, 0.0, away) + other_errors[name])
