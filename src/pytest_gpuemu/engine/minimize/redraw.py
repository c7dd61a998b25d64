"""Pass: the smallest dims once more, with other values of the same distributions.

A smaller case has other values than a larger one: a row that is all -inf may be gone from it although one
row of -inf is enough. The move draws the values anew for the smallest sizes, and for each dim's smallest
one, unless all values are ordinary, so that one draw is like the other. It ends since each accepted move
makes a dim smaller.
"""

from __future__ import annotations

from pytest_gpuemu.engine.minimize.attempts import Attempts
from pytest_gpuemu.engine.minimize.dims import sizes_below
from pytest_gpuemu.engine.minimize.values import ORDINARY

DRAWS = 6


def redraw_smaller(attempts: Attempts) -> bool:
    """Whether another draw of the values made a smaller case fail."""
    if ORDINARY.issuperset(attempts.plan.values.values()):
        return False
    accepted = False
    for group in _groups(attempts):
        smallest = {
            name: below[0]
            for name in group
            if (below := sizes_below(attempts.op, name, attempts.plan.dims[name]))
        }
        if smallest:
            accepted |= any(attempts.accepts(dims=smallest, draw=draw) for draw in range(1, DRAWS + 1))
    return accepted


def _groups(attempts: Attempts) -> list[tuple[str, ...]]:
    names = tuple(attempts.plan.dims)
    return [names] if len(names) == 1 else [names, *((name,) for name in names)]
