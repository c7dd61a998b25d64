"""The search for the smallest case that fails in the same way.

Here: the order of the passes, the strategies, and what is handed back. Elsewhere: what each pass tries
(one module a pass), one try and its cost (attempts.py).

Each try is a run of the user's kernel, so the order is that of what a run saves: everything plain at once,
which settles most bugs in one run; smaller dims, which make every later run cheap; then what is left of
dtype, layouts, params and values, one by one; and the dims again, as a plainer case may shrink further. Then,
for each thing that has become plain, the original is run with that alone made plain: where it passes, another
bug was found on the way, and the search begins again with that thing left as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.minimize import layouts, params, values
from pytest_gpuemu.engine.minimize.attempts import Attempts, IsNoRounding, OutOfBudget, elements, is_as_plain
from pytest_gpuemu.engine.minimize.coupled import shrink_coupled, shrink_to_few
from pytest_gpuemu.engine.minimize.dims import shrink_dims
from pytest_gpuemu.engine.minimize.dtype import PLAINEST_FIRST, simplify_dtype
from pytest_gpuemu.engine.minimize.jointly import shrink_jointly
from pytest_gpuemu.engine.minimize.layouts import simplify_layouts
from pytest_gpuemu.engine.minimize.params import simplify_config, simplify_params
from pytest_gpuemu.engine.minimize.redraw import redraw_smaller
from pytest_gpuemu.engine.minimize.signature import Signature
from pytest_gpuemu.engine.minimize.values import draw_integers, keep_few, simplify_values
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, plan_case

STRATEGIES = ("default", "binary-search-dims", "binary-search-values")
MAX_CASES = 100
_MOST_RESTARTS = 3
_LARGE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimized:
    """The smallest failing case that was found.

    original and plan are the case before and after, cases how often the kernel was run. is_complete: no move
    was left to try; else the budget ended the search.
    """

    original: Plan
    plan: Plan
    cases: int
    is_complete: bool

    @property
    def seed(self) -> int:
        return self.plan.seed

    @property
    def edits(self) -> str:
        return self.plan.edits

    @property
    def case_id(self) -> str:
        """What reproduces it: `seed~edits`, or the seed where nothing could be left out."""
        return self.plan.case_id


def minimize(
    op: Op,
    seed: int,
    edits: str,
    fails: Callable[[str], Signature | None],
    *,
    failure: Signature | None = None,
    strategy: str | None = None,
    max_cases: int = MAX_CASES,
    time_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Minimized | None:
    """The smallest case that fails as the case of this seed and these edits does; None where that passes.

    fails(case_id) runs the kernel on a case and returns how it fails, or None. failure is that of the case
    itself, where it is known: then it is not run again. The result is never larger than
    the case itself. At most max_cases runs are made, none is begun after time_s seconds (of clock).
    strategy is one of STRATEGIES; None is the default, all passes. Raises ConfigError for another name,
    SeedError for edits that do not fit the op.
    """
    if strategy is not None and strategy not in STRATEGIES:
        raise ConfigError(f"minimize: strategy = {strategy!r}; {did_you_mean(strategy, STRATEGIES)}")
    started = clock()
    plan = plan_case(op, seed, edits)
    cases = 0
    if failure is None:
        cases, failure = 1, fails(plan.case_id)
        if failure is None:
            return None
    attempts = Attempts(
        op,
        plan,
        failure,
        fails,
        max_cases - cases,
        lambda: time_s is not None and clock() - started >= time_s,
    )
    is_complete = _is_searched(attempts, strategy)
    return Minimized(original=plan, plan=attempts.plan, cases=cases + attempts.cases, is_complete=is_complete)


_SIMPLIFY = (
    simplify_dtype,
    simplify_layouts,
    simplify_params,
    simplify_config,
    simplify_values,
    redraw_smaller,
)


def _is_searched(attempts: Attempts, strategy: str | None) -> bool:
    """Search; False where the budget ended it."""
    try:
        _search(attempts, strategy)
    except OutOfBudget:
        attempts.loosen()
        return False
    except IsNoRounding:
        pass
    return not attempts.loosen() or _is_searched(attempts, strategy)


def _search(attempts: Attempts, strategy: str | None) -> None:
    """All passes until none finds anything."""
    if strategy == "binary-search-dims":
        while shrink_dims(attempts) or redraw_smaller(attempts):
            pass
        return
    if strategy == "binary-search-values":
        while simplify_values(attempts):
            pass
        draw_integers(attempts)
        keep_few(attempts)
        return
    _shrink(attempts)
    first = attempts.plan, attempts.edits
    for _ in range(_MOST_RESTARTS):
        if not _has_lost_a_need(attempts):
            break
        attempts.restart()
        _shrink(attempts)
    # One run is weak evidence: memory that is not written may hold the right value.
    if elements(attempts.plan) > max(_LARGE, 4 * elements(first[0])):
        attempts.forget_needs()
        attempts.restore(*first)


def _has_lost_a_need(attempts: Attempts) -> bool:
    """Whether something is plain now without which the original case does not fail: another bug is shown.

    Each thing costs a run of the original's size, so it is asked at the end. A broadcast array has other
    values than any other, so of that it is not asked.
    """
    original, found = attempts.original, attempts.plan
    is_broadcast = "broadcast" in original.layouts.values()
    return any(
        attempts.needs(thing, found)
        for thing in ("dtype", "params", *(() if is_broadcast else ("layouts",)))
        if not is_as_plain(thing, original, found)
    )


def _shrink(attempts: Attempts) -> None:
    _plain_at_once(attempts)
    again = thorough = True
    while again:
        shrink_dims(attempts, thorough=thorough)
        again = thorough = False
        for simplify in _SIMPLIFY:
            again |= simplify(attempts)
        if not again:
            again = any(shrink(attempts) for shrink in (shrink_to_few, shrink_coupled, shrink_jointly))
    draw_integers(attempts)
    keep_few(attempts)


def _plain_at_once(attempts: Attempts) -> None:
    """Everything but the dims as plain as may be, with ordinary values: for most bugs it does not matter."""
    dtypes = [dtype for dtype in PLAINEST_FIRST if dtype in attempts.op.dtypes]
    plain = {
        "dtype": dtypes[0] if dtypes else None,
        "layouts": layouts.plain_layouts(attempts),
        "params": params.first_choices(attempts),
    }
    ordinary = values.ordinary_values(attempts)
    if not (ordinary and attempts.accepts(**plain, values=ordinary)):
        attempts.accepts(**plain)
