"""Investigating a failure by running the kernel on further cases: plainer ones, and ones near a border.

Here: which cases, in which order, and the budget. Elsewhere: what a single failure tells (diagnosing.py), the
condition (when.py, confirm.py), the suspicion (causes/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np

from pytest_gpuemu.engine.buffers import bits, poison_bits
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.diagnose.causes import Needs, Seen, suspect
from pytest_gpuemu.engine.diagnose.confirm import elements, find_condition, smallest, with_edits
from pytest_gpuemu.engine.diagnose.diagnosing import diagnosis_of, look_at
from pytest_gpuemu.engine.diagnose.diagnosis import Diagnosis
from pytest_gpuemu.engine.diagnose.search import refuted
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, plan_case
from pytest_gpuemu.engine.rng import derive_seed
from pytest_gpuemu.engine.second_run import KeptOutput, keep, what_differs
from pytest_gpuemu.engine.stale_memory import make_stale
from pytest_gpuemu.engine.verdict import Verdict

MOST_CASES, MOST_SECONDS = 40, 6.0
_PLAINEST = ("float32", "float64", "float16", "bfloat16")
_LARGE, _SMALLER = 2**16, 161
_MOST_SEEN = 4
# Cases that are drawn where no campaign has run any.
_DRAWN = 20
_ALIGNED, _SHORT, _DRAWS = 64, 5, 3
MOST_SECONDS_A_SEARCH = 1.0


@dataclass(frozen=True, slots=True)
class Observed:
    """A case that was run, with its verdict."""

    case: Case
    verdict: Verdict


class Run(Protocol):
    """Runs the kernel on a case; prepare() is called when the inputs are made, just before the kernel.

    Gives None where the case could not be run or the kernel raised.
    """

    def __call__(self, case_id: str, prepare: Callable[[], object] | None = None, /) -> Observed | None: ...


def investigate(
    case: Case,
    verdict: Verdict,
    run: Run,
    *,
    passed: Sequence[Plan] = (),
    failed: Sequence[Plan] = (),
    max_cases: int = MOST_CASES,
    time_s: float = MOST_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> Diagnosis:
    """What is known of a failure, with further cases run to learn more of it.

    run runs the kernel on a case and gives what was observed, with the verdict's arrays. passed and failed
    are the cases of the campaign; without one further cases are drawn. At most max_cases runs are made, none
    is begun after time_s seconds of clock. Raises what run raises.
    """
    work = _Investigation(case.op, run, max_cases, clock, clock() + time_s)
    small = elements(case.plan) <= _LARGE
    first = look_at(case, verdict, work.search_s(small))
    seen = [first]
    needs = work.probe(case.plan, seen)
    if not small and (smaller := with_edits(case.op, case.plan, {"dims": _smaller(case.plan)})) is not None:
        work.fails(smaller, seen, "further")
    for plan in smallest([plan for plan in failed if plan.case_id != case.plan.case_id]):
        if len(seen) >= _MOST_SEEN or elements(plan) > _LARGE:
            break
        work.fails(plan, seen, "further")
    if not failed and not passed:
        work.draw(case.plan.seed)
    seen = work.without_refuted(seen)
    condition = find_condition(
        case.op,
        [*failed, *work.failed] if failed else [case.plan, *work.failed],
        [*passed, *work.passed],
        work.fails,
    )
    return diagnosis_of(first, condition, suspect(seen, needs, condition))


class _Investigation:
    """The runs that were made, and what is left of the budget."""

    def __init__(self, op: Op, run: Run, max_cases: int, clock: Callable[[], float], deadline: float) -> None:
        self.op = op
        self.cases = 0
        self.failed: list[Plan] = []
        self.passed: list[Plan] = []
        self.plain_pass: Observed | None = None
        self._run = run
        self._max_cases = max_cases
        self._clock = clock
        self._deadline = deadline

    def observe(self, plan: Plan, prepare: Callable[[], object] | None = None) -> Observed | None:
        """Run one case; None where the budget is spent."""
        if self.cases >= self._max_cases or self._clock() >= self._deadline:
            return None
        self.cases += 1
        return self._run(plan.case_id, prepare)

    def search_s(self, small: bool = True) -> float:
        """How long suspected bugs of one case may be looked for."""
        return min(MOST_SECONDS_A_SEARCH, max(0.0, self._deadline - self._clock()) / 3) if small else 0.0

    def fails(self, plan: Plan, seen: list[Seen] | None = None, role: str = "further") -> bool | None:
        """Whether the kernel fails a case; None where that cannot be told."""
        observed = self.observe(plan)
        if observed is None or observed.verdict.status == "undetermined":
            return None
        if observed.verdict.failed and seen is not None and self._clock() < self._deadline:
            found = look_at(observed.case, observed.verdict, self.search_s(elements(plan) <= _LARGE))
            seen.append(replace(found, role=role))
        if role == "plain" and observed.verdict.passed:
            self.plain_pass = observed
        if seen is not None:
            (self.failed if observed.verdict.failed else self.passed).append(plan)
        return observed.verdict.failed

    def without_refuted(self, seen: list[Seen]) -> list[Seen]:
        """What was seen, without the suspected bugs under which the plain case would not have passed."""
        right = self.plain_pass
        if right is None:
            return seen
        found = {
            one.text: one for case in seen if case.plan.dims == right.case.plan.dims for one in case.shown
        }
        gone = refuted(right.case, right.verdict, found.values(), self.search_s())
        return [replace(case, shown=[one for one in case.shown if one.text not in gone]) for case in seen]

    def draw(self, seed: int) -> None:
        """Run further cases of the op, as a campaign does, to tell what passes from what fails."""
        for drawn in campaign_seeds(self.op, derive_seed(seed, "diagnose"), _DRAWN):
            plan = plan_case(self.op, drawn)
            if elements(plan) <= _LARGE and (fails := self.fails(plan)) is not None:
                (self.failed if fails else self.passed).append(plan)

    def probe(self, plan: Plan, seen: list[Seen]) -> Needs:
        """Run the case made plain, and where that passes, plain but for one thing each."""
        whole = self._plain(plan)
        fails = None if whole is None else self.fails(whole, seen, "plain")
        if whole is None or fails is None:
            return Needs()
        if fails:
            fails_aligned = self._fails_aligned(whole, seen)
            unwritten, differs = self._run_again(whole)
            return Needs(plain=True, aligned=fails_aligned, unwritten=unwritten, nondeterministic=differs)
        alone = set()
        for thing in ("layout", "values", "dtype"):
            other = self._plain(plan, keeping=thing)
            if other is not None and _differ(other, whole) and self.fails(other, seen, "further"):
                alone.add(thing)
        fails_aligned = self._fails_aligned(plan, seen, _DRAWS)
        unwritten, differs = self._run_again(plan)
        return Needs(
            plain=False,
            alone=frozenset(alone),
            aligned=fails_aligned,
            unwritten=unwritten,
            nondeterministic=differs,
        )

    def _fails_aligned(self, plan: Plan, seen: list[Seen], draws: int = 1) -> bool | None:
        """Whether the case fails with every dim a multiple of 64; None where that was not tried.

        draws: how often other values are drawn, of which any may bring the bug out.
        """
        for shortest in (1, _SHORT):  # dims of batches and heads stay short where the case would get large
            dims = {
                name: -(-size // _ALIGNED) * _ALIGNED for name, size in plan.dims.items() if size >= shortest
            }
            aligned = with_edits(self.op, plan, {"dims": dims})
            if aligned is not None and elements(aligned) <= _LARGE:
                break
        if aligned is None or aligned.dims == plan.dims or elements(aligned) > 4 * _LARGE:
            return None
        for draw in range(draws):
            again = aligned if draw == 0 else with_edits(self.op, aligned, {"draw": draw})
            fails = None if again is None else self.fails(again, seen, "aligned")
            if fails is not False:
                return fails
        return False

    def _plain(self, plan: Plan, keeping: str | None = None) -> Plan | None:
        """The case in float32 with ordinary values and contiguous inputs, all but one of these."""
        changes: dict[str, Any] = {}
        if keeping != "dtype":
            dtype = next((dtype for dtype in _PLAINEST if dtype in self.op.dtypes), None)
            if dtype is not None:
                changes["dtype"] = dtype
        if keeping != "layout":
            changes["layouts"] = dict.fromkeys(plan.layouts, "contiguous")
        if keeping != "values":
            ordinary = {}
            for x in self.op.inputs:
                allowed = x.values if x.values is not None else self.op.values
                if x.kind == "values" and plan.values[x.name] not in ("normal", "uniform"):
                    name = next((name for name in ("normal", "uniform") if name in allowed), None)
                    if name is not None:
                        ordinary[x.name] = name
            changes["values"] = ordinary
        if elements(plan) > _LARGE:
            changes["dims"] = _smaller(plan)
        return with_edits(self.op, plan, changes)

    def _run_again(self, plan: Plan) -> tuple[str | None, str | None]:
        """What three runs of a case, with poison in freed memory, say of unwritten elements and races."""
        outputs: list[dict[str, KeptOutput]] = []
        wrong = 0
        for which in (None, 1, 0):
            prepare = None if which is None else partial(make_stale, outputs[0].values(), which)
            observed = self.observe(plan, prepare)
            if observed is None:
                return None, None
            wrong = max(wrong, sum(x.stats.num_exceeding for x in observed.verdict.comparisons))
            outputs.append(
                {
                    comparison.name: replace(kept, library=self.op.library)
                    for comparison in observed.verdict.comparisons
                    if comparison.output is not None and comparison.interpreted is None
                    for kept in keep({comparison.name: comparison.output}).values()
                }
            )
        if any(found.keys() != outputs[0].keys() for found in outputs):
            return None, None
        found = what_differs(self.op, *outputs)
        return (
            next((x.message for x in found if x.kind == "Unwritten" and _is_most(outputs, wrong)), None),
            next((x.message for x in found if x.kind == "Nondeterministic"), None),
        )


def _is_most(outputs: Sequence[Mapping[str, KeptOutput]], wrong: int) -> bool:
    """Whether elements that held poison 1 in the second run and 0 in the third are half of the wrong."""
    unwritten = 0
    for name, kept in outputs[1].items():
        dtype = str(kept.dtype)
        one, two = bits(kept.array()), bits(outputs[2][name].array())
        unwritten += int(np.count_nonzero((one == poison_bits(dtype, 1)) & (two == poison_bits(dtype, 0))))
    return 2 * unwritten >= wrong


def _smaller(plan: Plan) -> dict[str, int]:
    """The dims that are large, made smaller."""
    return {name: _SMALLER for name, size in plan.dims.items() if size > _SMALLER}


def _differ(one: Plan, two: Plan) -> bool:
    return replace(one, edits="") != replace(two, edits="")
