"""Pass: all parts of the case at once, by Hypothesis, where several dims are left that no other pass shrinks.

The move is whatever Hypothesis finds among the cases with fewer elements, and then shrinks: sizes, often in a
simple relation to each other, distributions and draws. It ends since Hypothesis does, or after a number of
kernel runs; what it finds has fewer elements than before.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pytest_gpuemu.engine.edits import Edits
from pytest_gpuemu.engine.minimize.attempts import Attempts, OutOfBudget, elements
from pytest_gpuemu.engine.minimize.coupled import above_least, count
from pytest_gpuemu.engine.minimize.dims import may_have, sizes_below
from pytest_gpuemu.engine.minimize.redraw import DRAWS
from pytest_gpuemu.engine.minimize.values import plain_values

MOST_RUNS = 30
_MOST_EXAMPLES = 150
# Fewer elements are read at a glance.
_FEW = 32


class _Enough(BaseException):
    """No further run. Hypothesis takes an Exception for a failure of its own, and lets this one through."""


def shrink_jointly(attempts: Attempts) -> bool:
    """Whether Hypothesis found a case with fewer elements. Raises OutOfBudget."""
    if elements(attempts.plan) <= _FEW or len(above_least(attempts)) < 2:
        return False
    # It takes a third of a second to import, and most minimizing needs none of it.
    from hypothesis import HealthCheck, Phase, Verbosity, find, settings
    from hypothesis.errors import NoSuchExample

    asked = _Asked(attempts)
    rules = settings(
        max_examples=_MOST_EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )
    with contextlib.suppress(NoSuchExample, _Enough):
        find(_smaller_cases(attempts), asked, settings=rules, random=random.Random(0))
    found = asked.smallest is not None and attempts.accepts_edits(asked.smallest)
    if asked.is_over:
        raise OutOfBudget
    return found


class _Asked:
    """What Hypothesis asks of a case: whether it is smaller than the present one and fails alike."""

    def __init__(self, attempts: Attempts) -> None:
        self.smallest: Edits | None = None
        self.is_over = False
        self._attempts = attempts
        self._start = attempts.edits
        self._limit = attempts.cases + MOST_RUNS
        self._most = self._fewest = elements(attempts.plan)

    def __call__(self, changes: dict[str, Any]) -> bool:
        attempts = self._attempts
        here = {**attempts.plan.dims, **changes["dims"]}
        if not may_have(attempts.op, here):
            return False
        size = count(attempts.op, here)
        if size >= self._most:
            return False
        edits = replace(self._start, **{**changes, "dims": {**self._start.dims, **changes["dims"]}})
        if attempts.cases >= self._limit:
            raise _Enough
        try:
            attempts.spend()  # Hypothesis takes its time between runs, too
            fails = attempts.fails(edits)
        except OutOfBudget:
            self.is_over = True
            raise _Enough from None
        if fails and size < self._fewest:
            self.smallest, self._fewest = edits, size
        return fails


def _smaller_cases(attempts: Attempts) -> Any:
    """A strategy of changes to the edits of the present case."""
    from hypothesis import strategies as st

    op, plan = attempts.op, attempts.plan
    sizes = {
        name: [*sizes_below(op, name, plan.dims[name]), plan.dims[name]] for name in above_least(attempts)
    }
    kinds = {}
    for x in op.inputs:
        if x.kind == "values":
            plainer = plain_values(op, x)
            here = plan.values[x.name]
            kinds[x.name] = plainer[: plainer.index(here) + 1] if here in plainer else [here]

    @st.composite
    def changes(draw: Callable[[Any], Any]) -> dict[str, Any]:
        dims: dict[str, int] = {}
        for name, possible in sizes.items():
            own = st.sampled_from(possible)
            related = [
                size
                for other in dims.values()
                for size in (other, other + 1, other - 1, 2 * other, other // 2)
                if possible[0] <= size <= possible[-1]
            ]
            dims[name] = draw(st.one_of(own, st.sampled_from(related)) if related else own)
        values = {
            name: draw(st.sampled_from([possible[-1], *possible[:-1]])) for name, possible in kinds.items()
        }
        return {"dims": dims, "values": values, "draw": draw(st.integers(0, DRAWS)), "keep": {}}

    return changes()
