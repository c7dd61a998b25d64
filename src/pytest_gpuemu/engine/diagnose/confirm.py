"""Confirming a condition: further cases are run near its border before anything is said.

Here: which cases, the budget, and what refutes a condition. Elsewhere: the conditions (when.py), how the
user's kernel is run (the caller's function).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_gpuemu.engine.diagnose.diagnosis import Condition
from pytest_gpuemu.engine.diagnose.terms import Term, above_term
from pytest_gpuemu.engine.diagnose.when import candidates, counted
from pytest_gpuemu.engine.edits import Edits, read_edits, write_edits
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, plan_case

_MOST_CANDIDATES = 8
_MOST_ELEMENTS = 2**17
_MOST_BISECTIONS = 10
# So many further cases are wanted on each side: more where no drawn case lies beyond the border, since one
# that passes there may hide the bug by its values.
_FEWEST_FORETOLD, _FEWEST_WHERE_NONE_LIES_BEYOND = 1, 3
Fails = Callable[[Plan], bool | None]


def find_condition(op: Op, failed: Sequence[Plan], passed: Sequence[Plan], fails: Fails) -> Condition | None:
    """The simplest condition that parts these cases and foretells further ones; None where nothing does.

    fails(plan) runs the kernel on a case: True where it fails, False where it passes, None where it cannot be
    told or the budget is spent.
    """
    failed, passed = list(failed), list(passed)
    for tried, terms in enumerate(candidates(op, failed, passed)):
        if tried >= _MOST_CANDIDATES:
            break
        sharper = _sharpened(op, terms, failed, fails)
        condition = counted(sharper, failed, passed)
        least = _FEWEST_FORETOLD if condition.passing_without else _FEWEST_WHERE_NONE_LIES_BEYOND
        foretold = _foretold(op, sharper, failed, fails, least)
        if foretold is not None:
            return replace(condition, confirmed_by=foretold)
    return None


def with_edits(op: Op, plan: Plan, changes: Mapping[str, Any]) -> Plan | None:
    """The plan with further edits; None where there is no such case."""
    edits = read_edits(op, plan.edits) if plan.edits else Edits()
    merged: dict[str, Any] = {
        key: {**getattr(edits, key), **value} if isinstance(value, Mapping) else value
        for key, value in changes.items()
    }
    try:
        return plan_case(op, plan.seed, write_edits(replace(edits, **merged)))
    except ConfigError:  # a condition of the op, the byte limit, a layout that does not fit
        return None


def smallest(plans: Sequence[Plan]) -> list[Plan]:
    """The plans, those with the fewest elements first."""
    return sorted(plans, key=elements)


def elements(plan: Plan) -> int:
    """How many elements the inputs have."""
    total = 0
    for shape in plan.shapes.values():
        count = 1
        for size in shape:
            count *= size
        total += count
    return total


def _sharpened(op: Op, terms: tuple[Term, ...], failed: Sequence[Plan], fails: Fails) -> tuple[Term, ...]:
    """A threshold moved to where the kernel begins to fail, by halving the distance."""
    if len(terms) != 1 or terms[0].kind != "above":
        return terms
    name = terms[0].text.split(" > ")[0]
    start = min(failed, key=lambda plan: (plan.dims[name], elements(plan)))
    high, low = start.dims[name], 0
    for _ in range(_MOST_BISECTIONS):
        if high - low <= 1:
            break
        middle = _middle(low, high)
        plan = with_edits(op, start, {"dims": {name: middle}})
        found = None if plan is None else fails(plan)
        if found is None:
            if low == 0:
                return terms
            break
        low, high = (low, middle) if found else (middle, high)
    return (above_term(name, low),) if low > 0 and high - low == 1 else terms


def _middle(low: int, high: int) -> int:
    """A round number between: borders are most often powers of two."""
    power = 1 << (high - 1).bit_length() - 1
    while power > 1:
        if low < power < high:
            return power
        if low < power + 1 < high and low == power:
            return power + 1
        power //= 2
    return (low + high) // 2


def _foretold(
    op: Op, terms: tuple[Term, ...], failed: Sequence[Plan], fails: Fails, least: int
) -> int | None:
    """How many further cases came out as the terms say; None where one did not, or fewer than least could be
    run on either side of the border.

    A drawn case near the border may hide the bug by its values: that it passes refutes nothing where a plain
    one has failed as foretold.
    """
    count, told = 0, {True: 0, False: 0}
    seen: set[str] = set()
    plain = [plan for plan in failed if plan.edits and elements(plan) <= _MOST_ELEMENTS]
    drawn = [plan for plan in failed if not plan.edits and elements(plan) <= _MOST_ELEMENTS]
    for start in [*plain[:1], *smallest(drawn)[:1]]:
        for term in terms:
            for changes in term.near(start):
                plan = with_edits(op, start, changes)
                if plan is None or plan.case_id in seen or elements(plan) > _MOST_ELEMENTS:
                    continue
                seen.add(plan.case_id)
                expected = all(term.holds(plan) for term in terms)
                if told[expected] >= 3:
                    continue
                found = fails(plan)
                if found is None:
                    continue
                if expected and not found and told[True] and start in drawn:
                    continue
                if found != expected:
                    return None
                told[expected] += 1
                count += 1
    return count if min(told.values()) >= least else None
