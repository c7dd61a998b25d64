"""Second runs: calling the test function again for a case that it passed, to see what one call cannot show.

Here: which runs a case gets, and what makes one of them fail the case. Elsewhere: keeping and comparing
outputs (engine/second_run.py), which cases of a campaign run again (campaign.py), a case's first run
(running.py).

After a first run that passed: the same case on fresh buffers while freed memory holds poison; where its
outputs differ, once more with the other poison, to tell what was never written; then the same memory with
one element of each input changed.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from pytest_gpuemu.engine import judge, report, second_run, user_code
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.errors import CannotRunHere, GpuemuError, KernelMismatch, SecondRunFailed
from pytest_gpuemu.engine.second_run import Change, KeptOutput
from pytest_gpuemu.engine.stale_memory import make_stale
from pytest_gpuemu.engine.user_code import Called
from pytest_gpuemu.engine.verdict import FAILED, PASSED, UNDETERMINED, Finding, Verdict
from pytest_gpuemu.pytest_items.fuzz_case import BoundCase
from pytest_gpuemu.pytest_items.running import RunningCases, is_skip, traceback_text

_AFRESH = "on fresh buffers"

# What one run of the test function gave: the outputs of each of its checks, in their order.
Kept = list[dict[str, KeptOutput]]


# Of the cases judged, one in so many runs again; every second time also with changed inputs.
RUN_AGAIN_EVERY = 12
# So many more cases may pass until one with few elements comes: the further runs of a large one cost most.
_PATIENCE = 3
_FEW_ELEMENTS = 2**14


class Schedule:
    """Which cases of a campaign get second runs: a function of its cases alone, not of time."""

    def __init__(self, planned: int) -> None:
        self._patience = min(_PATIENCE, planned - 1)
        self._due = 0
        self._times = 0

    def second_run(self, cases: RunningCases, judged: int) -> SecondRun | None:
        """The second run of the case at hand, after so many judged ones; None where it gets none."""
        elements = sum(prod(shape) for shape in cases.bound.plan.shapes.values())
        if judged < self._due or (elements > _FEW_ELEMENTS and judged < self._due + self._patience):
            return None
        self._due = judged + RUN_AGAIN_EVERY
        self._times += 1
        return SecondRun(cases, with_changes=self._times % 2 == 1)


class SecondRun:
    """The further runs of one case. Made before its first run, whose outputs it keeps."""

    def __init__(self, cases: RunningCases, *, with_changes: bool = True) -> None:
        self.cases = cases
        self.op = cases.op
        self.with_changes = with_changes
        self.first = cases.bound
        self.kept: Kept = []
        if self.is_wanted:
            self.first.judging = _kept_and_judged(self.kept)

    @property
    def is_wanted(self) -> bool:
        return any(self.op.checks_for(name) for name in second_run.CHECKS)

    def run(self, call: Callable[[], object]) -> None:
        """Call the test function again if its first run passed. Raises KernelMismatch for what that shows.

        A test that asks to be skipped this time, or finds no room, has said nothing: the first run counts.
        What the test function raises is told by _went_well: anything else is an error of this package, and
        SecondRunFailed says so.
        """
        __tracebackhide__ = True
        if not self.is_wanted or not self.kept or self.first.status not in (PASSED, UNDETERMINED):
            return
        self.first.forget_arrays()
        try:
            ran = not self._compares_runs or self._same_again(call)
            if ran and self.with_changes and self.op.checks_for("cached") and self.op.checks_for("values"):
                self._with_changes(call)
        except BaseException as error:
            if not is_skip(error) and not isinstance(error, CannotRunHere):
                if isinstance(error, (KernelMismatch, GpuemuError)) or not isinstance(error, Exception):
                    raise
                raise SecondRunFailed(_own_fault(error)) from error
        self.cases.show(self.first)

    @property
    def _compares_runs(self) -> bool:
        return self.op.checks_for("deterministic") or self.op.checks_for("written")

    def _same_again(self, call: Callable[[], object]) -> bool:
        """The same case on fresh buffers; False where it could not run."""
        second: Kept = []
        if not self._went_well(self._call_afresh(call, 1, _only_kept(second)), _AFRESH):
            return False
        pairs = list(zip(self.kept, second, strict=False))
        self.kept = second
        if not any(second_run.differ(one, two) for one, two in pairs):
            return True
        third: Kept = []
        # Where outputs may differ, only a reference tells whether these are right, too.
        may_differ = not self.op.checks_for("deterministic")
        called = self._call_afresh(call, 0, _kept_and_judged(third) if may_differ else _only_kept(third))
        thirds = [*third, *[None] * (len(pairs) - len(third))]
        findings = [
            finding
            for (one, two), three in zip(pairs, thirds, strict=False)
            for finding in second_run.what_differs(self.op, one, two, three)
        ]
        if findings:
            self._fail(findings)
        self.kept = third
        return self._went_well(called, _AFRESH)

    def _call_afresh(
        self, call: Callable[[], object], poison: int, judging: Callable[..., Verdict]
    ) -> Called:
        """Call the test function for the case on fresh buffers; they and freed memory hold that poison."""
        bound = BoundCase(self.op, self.first.plan, self.first.commands, poison=poison)
        bound.judging = judging
        sizes = [output for outputs in self.kept for output in outputs.values()]
        self.cases.show(bound)
        return self.cases.call_again(call, lambda: make_stale(sizes, poison))

    def _with_changes(self, call: Callable[[], object]) -> None:
        """The memory of the run before with one element of each input changed."""
        if self.cases.bound is self.first:
            before: Kept = []
            if not self._went_well(self._call_afresh(call, 1, _kept_and_judged(before)), _AFRESH):
                return
            self.kept = before
        bound = self.cases.bound
        changes = second_run.change_one_element(bound.case)
        if not changes:
            return
        bound.judging = _judged_with_changes(self.kept, changes)
        called = self.cases.call_again(call, lambda: None)
        self._went_well(called, f"in the same memory with {', '.join(map(str, changes))}")

    def _went_well(self, called: Called, where: str) -> bool:
        """Whether the test function returned; False where the case could not run this time."""
        __tracebackhide__ = True
        if called.error is None:
            return True
        if isinstance(called.error, CannotRunHere):
            return False
        if isinstance(called.error, (KernelMismatch, SecondRunFailed)):
            raise called.error
        self._fail(
            [
                Finding(
                    kind="ExecutionError",
                    message=f"{called.summary}\nraised when the test function was called again for the same "
                    f"case, {where}; the first call passed\n{traceback_text(called.error)}",
                )
            ]
        )
        return False

    def _fail(self, findings: list[Finding]) -> None:
        __tracebackhide__ = True
        bound = self.cases.bound
        plan = bound.plan
        verdict = Verdict(
            op=self.op.name, seed=plan.seed, edits=plan.edits, status=FAILED, findings=tuple(findings)
        )
        bound.verdicts.append(verdict)
        lines = report.describe_failure(bound.case, verdict, commands=bound.commands())
        raise KernelMismatch("\n".join(lines), verdict)


def _own_fault(error: Exception) -> str:
    """What is said of an error that this package made in a second run."""
    switched_off = ", ".join(f'"{name}": False' for name in second_run.CHECKS)
    return (
        "pytest-gpuemu itself failed while it ran a case again that had passed. This says nothing of the "
        f"kernel: please report it. Until it is mended, checks={{{switched_off}}} leaves second runs out.\n"
        f"{''.join(traceback.format_exception(error)).rstrip()}"
    )


def _keep(outputs: Mapping[str, Any]) -> dict[str, KeptOutput]:
    """Copies of outputs that have been read before: where that fails, the fault is ours."""
    called = user_code.call(second_run.keep, outputs)
    if called.error is not None:
        raise SecondRunFailed(_own_fault(called.error)) from called.error
    kept: dict[str, KeptOutput] = called.value
    return kept


def judged_at_the_end(case: Case, output: Any, **handed: Any) -> Verdict:
    """The verdict on a campaign's first case at its end, which it passed at the beginning."""
    return second_run.name_stale(judge.judge(case, output, **handed))


def _only_kept(kept: Kept) -> Callable[..., Verdict]:
    """No verdict yet: outputs that are equal to those that passed are right, and need no reference."""

    def judged(case: Case, output: Any, *, inputs: Mapping[str, Any] | None = None, **_: Any) -> Verdict:
        kept.append(_keep(judge.outputs_of(case, output, inputs)))
        return Verdict(op=case.op.name, seed=case.plan.seed, edits=case.plan.edits)

    return judged


def _kept_and_judged(kept: Kept) -> Callable[..., Verdict]:
    def judged(case: Case, output: Any, **handed: Any) -> Verdict:
        verdict = judge.judge(case, output, **handed)
        kept.append(_keep(judge.outputs_of(case, output, handed.get("inputs"))))
        return verdict

    return judged


def _judged_with_changes(before: Kept, changes: list[Change]) -> Callable[..., Verdict]:
    earlier = iter(before)

    def judged(case: Case, output: Any, **handed: Any) -> Verdict:
        verdict = judge.judge(case, output, **handed)
        outputs = _keep(judge.outputs_of(case, output, handed.get("inputs")))
        return second_run.name_cached(verdict, next(earlier, {}), outputs, changes)

    return judged
