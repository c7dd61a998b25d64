"""One mutant, or two in one kernel: minimizing a failure, and what that came to.

Here: the rows. Elsewhere: running mutants (failing.py), the best that there is (best.py),
the table (__main__.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.detection.corpus import Mutant, kernel_with
from benchmarks.minimize.best import smallest_failing
from benchmarks.minimize.failing import failing_seeds, failure_of, small_op

from pytest_gpuemu.engine.minimize import minimize
from pytest_gpuemu.engine.minimize.attempts import elements

ASKED, BY_ITSELF = 200, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One mutant minimized. Sizes are numbers of input elements: of the failing case, of what 50 runs and
    what 200 runs left of it, of the smallest that fails alike, and of the smallest that fails at all. runs is
    how many the search took, tried how many the exhaustive one.
    """

    mutant: str
    bug: str
    original: int
    by_itself: int
    asked: int
    best: int
    at_all: int
    runs: int
    is_complete: bool
    tried: int
    case_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A kernel with two bugs, minimized from a case that fails by the first alone.

    keeps: the smallest case still fails by the first.
    """

    first: str
    second: str
    keeps: bool
    runs: int
    case_id: str


def measure(mutant: Mutant, master: int) -> Row | None:
    """The first failure of a campaign, minimized; None where none fails."""
    op, kernel = small_op(mutant), mutant.kernel
    seed = next(failing_seeds(op, kernel, master), None)
    if seed is None:
        return None

    def fails(case_id: str):
        return failure_of(op, kernel, case_id)

    failure = fails(str(seed))
    if failure is None:  # it fails only now and then
        return None
    asked = minimize(op, seed, "", fails, failure=failure, max_cases=ASKED)
    by_itself = minimize(op, seed, "", fails, failure=failure, max_cases=BY_ITSELF)
    best, at_all, tried = smallest_failing(op, asked.plan, fails, failure)
    return Row(
        mutant=f"{mutant.op}: {mutant.note}",
        bug=mutant.bug,
        original=elements(asked.original),
        by_itself=elements(by_itself.plan),
        asked=elements(asked.plan),
        best=best,
        at_all=at_all,
        runs=asked.cases,
        is_complete=asked.is_complete,
        tried=tried,
        case_id=asked.case_id,
    )


def measure_pair(first: Mutant, second: Mutant, master: int) -> Pair | None:
    """A failure of both bugs together that the second alone does not show; None where there is none."""
    op, kernel = small_op(first), kernel_with(first, second)
    for seed in failing_seeds(op, first.kernel, master):
        failure = failure_of(op, kernel, str(seed))
        if failure is None or failure_of(op, second.kernel, str(seed)) is not None:
            continue
        found = minimize(
            op, seed, "", lambda case_id: failure_of(op, kernel, case_id), failure=failure, max_cases=ASKED
        )
        return Pair(
            first=f"{first.op}: {first.note}",
            second=second.note,
            keeps=failure_of(op, first.kernel, found.case_id) is not None,
            runs=found.cases,
            case_id=found.case_id,
        )
    return None
