"""Pass: smaller dims once more, with other values of the same distributions.

A smaller case has other values than a larger one: a row that is all -inf may be gone from it although one
row of -inf is enough. The move draws the values anew for the smallest sizes, for each dim's smallest one, and
for half of each dim, as long as that fails; unless all values are constant. Where much is left, values as in
the original are drawn, too: plainer ones may take more luck. It ends since each accepted move makes a dim
smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.minimize.attempts import Attempts, elements
from pytest_gpuemu.engine.minimize.dims import sizes_below
from pytest_gpuemu.engine.minimize.values import CONSTANT, ORDINARY

DRAWS = 6
_LARGE = 64


def redraw_smaller(attempts: Attempts) -> bool:
    """Whether another draw of the values made a smaller case fail."""
    drawn = {attempts.plan.values[x.name] for x in attempts.op.inputs if x.kind == "values"}
    if drawn <= CONSTANT:
        return False
    accepted = False
    # Of ordinary values one draw is as good as another, unless it takes luck: that shows in what is left.
    draws = DRAWS // 2 if drawn <= ORDINARY else DRAWS
    for group in _groups(attempts):
        smallest = {
            name: below[0]
            for name in group
            if (below := sizes_below(attempts.op, name, attempts.plan.dims[name]))
        }
        if smallest:
            more = 2 * draws if smallest.keys() == attempts.plan.dims.keys() else draws
            accepted |= _is_drawn(attempts, smallest, more)
    first = {
        x.name: attempts.original.values[x.name]
        for x in attempts.op.inputs
        if x.kind == "values" and attempts.original.values[x.name] != attempts.plan.values[x.name]
    }
    for name in attempts.plan.dims:
        while (half := _half(attempts, name)) is not None:
            is_large = first and elements(attempts.plan) > _LARGE
            if not _is_drawn(attempts, {name: half}, draws) and not (
                is_large and _is_drawn(attempts, {name: half}, draws, values=first)
            ):
                break
            accepted = True
    return accepted


def _is_drawn(attempts: Attempts, dims: Mapping[str, int], draws: int, **others: Any) -> bool:
    """Whether a case of these sizes fails in one of so many draws."""
    return any(attempts.accepts(dims=dims, draw=draw, **others) for draw in range(1, draws + 1))


def _half(attempts: Attempts, name: str) -> int | None:
    """A size about half as large; None where that is the smallest, which was tried."""
    below = sizes_below(attempts.op, name, attempts.plan.dims[name])
    return below[len(below) // 2] if len(below) > 1 else None


def _groups(attempts: Attempts) -> list[tuple[str, ...]]:
    names = tuple(attempts.plan.dims)
    return [names] if len(names) == 1 else [names, *((name,) for name in names)]
