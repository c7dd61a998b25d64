"""The campaign: one test function, called for one case after the other.

Here: which seeds, when to stop, what was counted, and what the campaign as a whole comes to.
Elsewhere: one case (running.py), the failing seeds' own items and the protocol (runner.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from pytest_gpuemu.engine import interpreter
from pytest_gpuemu.engine.configs import case_ids
from pytest_gpuemu.engine.coverage import Coverage, campaign_seeds
from pytest_gpuemu.engine.errors import CannotRunHere, GpuemuError, ReferenceFailed, SecondRunFailed
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, possible_layouts, possible_values
from pytest_gpuemu.engine.worth import Worth, measure
from pytest_gpuemu.pytest_items import running
from pytest_gpuemu.pytest_items.ids import Fuzz, param_of, test_id_of
from pytest_gpuemu.pytest_items.options import wants_report
from pytest_gpuemu.pytest_items.progress import progress_of
from pytest_gpuemu.pytest_items.running import CASES, FAILED, Outcome, RunningCases
from pytest_gpuemu.pytest_items.second_run import RUN_AGAIN_EVERY, Schedule, judged_at_the_end
from pytest_gpuemu.pytest_items.session import FuzzSession
from pytest_gpuemu.pytest_items.summary import worth_notes

_SHOWN_REASONS = 3
_SHOWN_SEEDS = 20
# What asking for the worth of a test may take, of the campaign's time.
_WORTH_SHARE, _LEAST_WORTH_S = 0.05, 0.1


class Campaign:
    """The state of one campaign item, from its setup to its last failing seed."""

    def __init__(self, session: FuzzSession, item: pytest.Function) -> None:
        param = param_of(item)
        assert isinstance(param, Fuzz)
        self.session = session
        self.item = item
        self.test_id = test_id_of(item)
        self.planned = param.cases
        self.is_inside = False
        self.children: list[pytest.Item] = []
        self.failures: list[Outcome] = []
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.covered: dict[str, Counter[str]] = {name: Counter() for name in ("dtypes", "layouts", "values")}
        self.judged_plans: list[Plan] = []
        self.passed_plans: list[Plan] = []
        # Of each judged case, where a report asks for it.
        self.points: list[list[Any]] | None = [] if wants_report(item.config) else None
        self.worth = Worth()
        self.crashed: list[str] = []
        self.out_of_time = 0
        self.seconds = 0.0
        self.first_s = 0.0
        self.first_passed: str | None = None
        # Whether a case launched a Triton kernel under its interpreter; None where that is not known.
        self.launched: bool | None = None
        self.schedule = Schedule(param.cases)

    @property
    def cases(self) -> int:
        """How many cases were run."""
        return sum(self.counts.values())

    @property
    def judged(self) -> int:
        return self.counts[running.PASSED] + self.counts[FAILED]

    def run(self, call: Callable[[], object], before: Callable[[], None]) -> None:
        """Call the test function for every seed, then say what that comes to.

        before is called ahead of each case, and restarts a timeout. Stops at the failure that -x or
        --maxfail allows as the last.
        """
        cases = self.item.stash[CASES]
        enough = self._failures_allowed()
        started = time.perf_counter()
        self.is_inside = True
        planned = self.planned * max(1, len(cases.op.configs))
        progress = progress_of(self.item.config, self.test_id, planned, self.session.settings.time_s)

        def again() -> None:
            before()
            call()

        try:
            for case_id in self._seeds(cases, started):
                before()
                outcome = self._run_one(cases, case_id, call, again)
                if outcome.status == running.REFERENCE_FAILED:
                    raise ReferenceFailed(f"ReferenceError: {outcome.text}")
                if outcome.status == running.SECOND_RUN_FAILED:
                    raise SecondRunFailed(f"seed {case_id} of {cases.test_id}: {outcome.text}")
                if progress is not None:
                    progress.tick(self.cases, len(self.failures))
                if outcome.status == FAILED and len(self.failures) >= enough:
                    break
            else:
                self._run_first_again(cases, again)
        except GpuemuError as error:
            # Seeds or a case that the op cannot have, or a reference that raised: no fault of the kernel.
            raise pytest.fail.Exception(str(error), pytrace=False) from None
        finally:
            self.is_inside = False
            if progress is not None:
                progress.end()
            cases.release()
            self.seconds = time.perf_counter() - started
        self._measure_worth(cases.op)
        self.conclude()

    def _seeds(self, cases: RunningCases, started: float) -> Iterator[str]:
        """The campaign's seeds without those that have an item of their own, or that killed a worker."""
        self.crashed = sorted(self.session.crashed_now(self.test_id))
        left_out = {case for test, case in self.session.own_items if test == self.test_id} | {*self.crashed}
        time_s = self.session.settings.time_s
        for done, seed in enumerate(
            campaign_seeds(cases.op, self.session.settings.master_seed, self.planned)
        ):
            if time_s is not None and done and time.perf_counter() - started >= time_s:
                self.out_of_time = self.planned - done
                return
            yield from (case for case in case_ids(cases.op, seed) if case not in left_out)

    def _run_one(
        self, cases: RunningCases, case_id: str, call: Callable[[], object], again: Callable[[], object]
    ) -> Outcome:
        """Run one case, and again where its second run is due."""
        cases.begin(case_id)
        error: BaseException | None = None
        second = self.schedule.second_run(cases, self.judged)
        bound = cases.bound
        too_large = interpreter.too_large(bound.plan, launched=self.launched)
        try:
            if too_large is not None:
                raise CannotRunHere(too_large)
            call()
            if second is not None:
                second.run(again)
        except BaseException as raised:
            if isinstance(raised, (KeyboardInterrupt, pytest.exit.Exception)):
                raise
            error = raised
        outcome = cases.ended(error)
        self._count(outcome)
        if too_large is None and not self.launched:
            self.launched = bound.launches.any
        if outcome.status == running.PASSED and second is not None and self.first_passed is None:
            self.first_passed = case_id
        if error is not None and outcome.status == FAILED and self.item.get_closest_marker("xfail"):
            raise error
        cases.release()
        return outcome

    def _run_first_again(self, cases: RunningCases, again: Callable[[], object]) -> None:
        """The first case that ran again, after all others: what the kernel kept of them must not matter."""
        if self.first_passed is None or self.judged < RUN_AGAIN_EVERY or not cases.op.checks_for("cached"):
            return
        cases.begin(self.first_passed)
        cases.bound.judging = judged_at_the_end
        try:
            again()
        except BaseException as raised:
            if isinstance(raised, (KeyboardInterrupt, pytest.exit.Exception)):
                raise
            outcome = cases.ended(raised)
            if outcome.status == FAILED:
                self.counts[running.PASSED] -= 1
                self.counts[FAILED] += 1
                self.failures.append(outcome)
                self.passed_plans = [p for p in self.passed_plans if p.case_id != outcome.plan.case_id]
        else:
            cases.ended(None)
        cases.release()

    def _count(self, outcome: Outcome) -> None:
        if not self.counts:
            self.first_s = outcome.duration_s
        self.counts[outcome.status] += 1
        if outcome.status == FAILED:
            self.failures.append(outcome)
        elif outcome.status == running.PASSED:
            self.passed_plans.append(outcome.plan)
        elif outcome.text:
            self.reasons[f"{outcome.status}: {outcome.text.splitlines()[0]}"] += 1
        if outcome.status in (running.PASSED, FAILED, running.UNDETERMINED):
            self.judged_plans.append(outcome.plan)
            if self.points is not None:
                self.points.append(outcome.point)
            self.covered["dtypes"][outcome.plan.dtype] += 1
            self.covered["layouts"].update(set(outcome.plan.layouts.values()))
            self.covered["values"].update(set(outcome.plan.values.values()))

    def _failures_allowed(self) -> float:
        limit = self.item.config.getoption("maxfail")
        return max(1, limit - self.item.session.testsfailed) if limit else float("inf")

    def conclude(self) -> None:
        """Fail, skip or pass the campaign item. Failing seeds have items of their own and tell themselves."""
        unchecked = self.counts[running.UNCHECKED]
        if unchecked:
            pytest.fail(
                f"{unchecked} of {self.cases} cases of {self.test_id} returned without a check: "
                "call fuzz_case.check(output) or fuzz_case.run(kernel) in every case, or pytest.skip(reason)",
                pytrace=False,
            )
        if self.crashed:
            pytest.fail(
                f"{self._seed_list(self.crashed)} ended the process and was not run again", pytrace=False
            )
        if self.failures and self.item.config.pluginmanager.has_plugin("vscode_pytest"):
            # The adapter drops items that it has not discovered: the failing seeds would be invisible.
            seeds = self._seed_list([outcome.case_id for outcome in self.failures])
            text = f"{len(self.failures)} of {self.cases} cases failed: {seeds}\n\n{self.failures[0].text}"
            pytest.fail(text, pytrace=False)
        if self.judged or not self.cases:
            return
        why = "; ".join(f"{count} {reason}" for reason, count in self.reasons.most_common(_SHOWN_REASONS))
        if self.counts[running.SKIPPED] == self.cases:
            pytest.skip(f"all {self.cases} cases: {why}")
        pytest.fail(f"no case was judged, of {self.cases}: {why or 'no reason given'}", pytrace=False)

    def _measure_worth(self, op: Op) -> None:
        """Would wrong outputs have passed? Asked when the kernel has run, in a small share of its time."""
        limit_s = max(_LEAST_WORTH_S, _WORTH_SHARE * self.seconds)
        self.worth = measure(op, self.judged_plans, limit_s)

    def _seed_list(self, case_ids: list[str]) -> str:
        more = len(case_ids) - _SHOWN_SEEDS
        listed = ", ".join(f"seed={case_id}" for case_id in case_ids[:_SHOWN_SEEDS])
        return f"{listed} and {more} more" if more > 0 else listed

    def tally(self) -> dict[str, Any]:
        """What the summary counts: plain values, which travel from an xdist worker."""
        op = self.item.stash[CASES].op
        return {
            "op": op.name,
            "test_id": self.test_id,
            "counts": dict(self.counts),
            "reasons": dict(self.reasons.most_common(_SHOWN_REASONS)),
            "out_of_time": self.out_of_time,
            "seconds": self.seconds,
            "first_s": self.first_s,
            "coverage": _covered_by(op, self.judged_plans),
            "worth": {
                "killed": sorted(self.worth.killed),
                "survived": sorted(self.worth.survived),
                "notes": worth_notes(self.worth, op.tolerance or next(iter(op.tolerances.values()), None)),
            },
            "points": self.points or [],
            "covered": {name: dict(found) for name, found in self.covered.items()},
            "possible": {
                "dtypes": list(op.dtypes),
                "layouts": _union(possible_layouts(op, x) for x in op.inputs),
                "values": _union(possible_values(op, x) for x in op.inputs),
            },
        }


def _covered_by(op: Op, plans: Iterable[Plan]) -> dict[str, Any]:
    coverage = Coverage(op)
    for plan in plans:
        coverage.add(plan)
    return coverage.plain()


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for several in names for name in several))


CAMPAIGN = pytest.StashKey[Campaign]()
