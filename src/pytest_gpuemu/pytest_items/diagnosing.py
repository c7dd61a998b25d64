"""Diagnosing in pytest: the first failing item of each kind is looked into, inside its own run.

Here: which item, for how long, running the test function for further cases, the lines in the error's text.
Nothing of it is stored. Elsewhere: the diagnosis (engine/diagnose/), the smallest case (minimizing.py), the
item's own run (runner.py).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_gpuemu.engine import user_code
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose import Diagnosis, Observed, diagnose, investigate
from pytest_gpuemu.engine.errors import GpuemuError, KernelMismatch
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.report import describe_failure
from pytest_gpuemu.pytest_items.ids import test_id_of
from pytest_gpuemu.pytest_items.running import Outcome, RunningCases, is_skip
from pytest_gpuemu.pytest_items.session import FuzzSession


@dataclass(frozen=True, slots=True)
class CampaignPlans:
    """The cases of a campaign that passed, and those that failed."""

    passed: Sequence[Plan]
    failed: Sequence[Plan]


# On an item that a campaign made: the cases of the campaign. On an item that failed: what is known of it.
CAMPAIGN_PLANS = pytest.StashKey[CampaignPlans]()
DIAGNOSIS = pytest.StashKey[Diagnosis]()
_ALIKE = pytest.StashKey[set[tuple[str, str]]]()


def diagnose_failure(
    session: FuzzSession,
    item: pytest.Function,
    cases: RunningCases,
    outcome: Outcome,
    error: BaseException,
    call: Callable[[], object],
    *,
    in_second_run: bool,
) -> None:
    """Find out what can be known of the first failure of its kind, and add it to the error and the item.

    call calls the test function. Further cases are run where the plugin may do so (`gpuemu_auto_minimize`),
    and where the failure showed in a first run of the case itself.
    """
    if not isinstance(error, KernelMismatch) or item.get_closest_marker("xfail") is not None:
        return
    kind = (test_id_of(item), outcome.alike)
    seen = item.config.stash.setdefault(_ALIKE, set())
    if kind in seen:
        return
    seen.add(kind)
    case, verdict = cases.bound.judged or cases.bound.case, error.verdict
    plans = item.stash.get(CAMPAIGN_PLANS, CampaignPlans((), ()))
    seconds = session.settings.auto_minimize_s
    try:
        if in_second_run or case.op is not cases.op or not seconds:
            called = user_code.call(diagnose, case, verdict)
        else:
            runs = _Runs(cases, call)
            with _silence():
                called = user_code.call(
                    investigate,
                    case,
                    verdict,
                    runs.observe,
                    passed=plans.passed,
                    failed=plans.failed,
                    time_s=2 * seconds,
                )
    finally:
        cases.bind(outcome.case_id)
    if called.error is not None:  # user code under it may do anything; the failure itself is what counts
        return
    item.stash[DIAGNOSIS] = called.value
    lines = describe_failure(case, verdict, commands=cases.commands(outcome.case_id), diagnosis=called.value)
    error.args = ("\n".join(lines),)


class _Runs:
    """Running the test function for further cases. Only the journal knows of it, in case the process dies."""

    def __init__(self, cases: RunningCases, call: Callable[[], object]) -> None:
        self.cases = cases
        self.call = call

    def observe(self, case_id: str, prepare: Callable[[], object] | None = None) -> Observed | None:
        """The case with its verdict; None where the test skips, cannot run, or raises another error."""
        cases = self.cases
        try:
            cases.begin(case_id)
            called = cases.call_again(self.call, prepare or _nothing)
        except GpuemuError:
            return None
        except BaseException as error:
            if is_skip(error) or isinstance(error, pytest.fail.Exception):
                return None
            raise
        finally:
            cases.session.recording.journal.end()
        if isinstance(called.error, KernelMismatch):
            return Observed(self._case(), called.error.verdict)
        verdicts = cases.bound.verdicts
        return Observed(self._case(), verdicts[-1]) if called.error is None and verdicts else None

    def _case(self) -> Case:
        return self.cases.bound.judged or self.cases.bound.case


def _nothing() -> None:
    """What is done before an ordinary run."""


@contextlib.contextmanager
def _silence() -> Any:
    """What a test prints is shown once, for the case itself."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
