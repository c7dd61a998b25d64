"""When a kernel fails: the simplest condition on a case that parts the failing from the passing ones.

Here: the choice among the conditions. Elsewhere: which there are (terms.py), running further cases near its
border (confirm.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from pytest_gpuemu.engine.diagnose.diagnosis import Condition
from pytest_gpuemu.engine.diagnose.terms import Term, possible_terms
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan

# A condition that holds for all failing cases may hold for so large a share of the passing ones, in which the
# bug does not show, since further cases decide.
_MOST_PASSING = {"multiple": 1.0, "other": 0.25}
_FEWEST_FAILING, _FEWEST_PASSING = 3, 3
_MOST_TERMS_JOINED = 24
_FEWEST_FAILING_OF_TWO = 8
# A second term has to do away with so many passing cases.
_FEWEST_EXPLAINED = 4


def counted(terms: Sequence[Term], failed: Sequence[Plan], passed: Sequence[Plan]) -> Condition:
    """The condition that all terms hold, with its counts."""
    failing = sum(all(term.holds(plan) for term in terms) for plan in failed)
    passing = sum(all(term.holds(plan) for term in terms) for plan in passed)
    return Condition(
        terms=tuple(term.text for term in terms),
        kinds=tuple(term.kind for term in terms),
        failing_with=failing,
        failing_without=len(failed) - failing,
        passing_with=passing,
        passing_without=len(passed) - passing,
    )


def candidates(op: Op, failed: Sequence[Plan], passed: Sequence[Plan]) -> Iterator[tuple[Term, ...]]:
    """One term or two, that hold for every failing case and for few passing ones, the best first.

    Nothing for too few cases of either sort: chance would find something.
    """
    if len(failed) < _FEWEST_FAILING or len(passed) < _FEWEST_PASSING:
        return
    holding = [
        (counted((term,), failed, passed).passing_with, term)
        for term in possible_terms(op, failed, passed)
        if all(term.holds(plan) for plan in failed)
    ]
    most = {kind: share * len(passed) for kind, share in _MOST_PASSING.items()}
    holding.sort(key=lambda entry: (entry[0], entry[1].cost))
    ranked: list[tuple[float, float, tuple[Term, ...]]] = [
        (count, term.cost, (term,)) for count, term in holding if count <= most.get(term.kind, most["other"])
    ]
    useful = [(count, term) for count, term in holding if count < len(passed)][:_MOST_TERMS_JOINED]
    if len(failed) < _FEWEST_FAILING_OF_TWO:
        useful = []
    for (with_one, one), (with_two, two) in combinations(useful, 2):
        if one.kind == two.kind and one.kind in ("multiple", "layout", "values", "dtype"):
            continue
        count = counted((one, two), failed, passed).passing_with
        if count <= most["other"] and min(with_one, with_two) - count >= _FEWEST_EXPLAINED:
            ranked.append((count, 3.0 + one.cost + two.cost, (one, two)))
    ranked.sort(key=lambda entry: (entry[0] + entry[1], entry[1]))
    seen = set()
    for _, _, terms in ranked:
        key = tuple(term.text for term in terms)
        if key not in seen:
            seen.add(key)
            yield terms
