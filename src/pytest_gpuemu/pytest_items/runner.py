"""How campaigns and cases run in pytest: the protocol, the failing seeds' own items, their reports.

Here: every use of pytest's private API but one (minimizing.py asks which fixtures a test names), and what
differs between its versions. Registered when a marked test was collected. Elsewhere: the loop (campaign.py),
the outcome of a case (running.py).

The rules, each of which fixed a broken run: a campaign's teardown names the real next item, which is
known only after its call; children run through the hook pytest_runtest_protocol, after the campaign's own
protocol has ended, so that timeouts, reruns and warnings wrap each of them; session.items never grows.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator
from typing import Any

import pytest
from _pytest.runner import call_and_report

from pytest_gpuemu.engine.configs import held_to
from pytest_gpuemu.engine.errors import CannotRunHere, KernelMismatch
from pytest_gpuemu.pytest_items import fixture, generators, grouping, minimizing, running, telling
from pytest_gpuemu.pytest_items.campaign import CAMPAIGN, Campaign
from pytest_gpuemu.pytest_items.clearest import clearest_first
from pytest_gpuemu.pytest_items.diagnosing import (
    CAMPAIGN_PLANS,
    DIAGNOSIS,
    CampaignPlans,
    diagnose_failure,
)
from pytest_gpuemu.pytest_items.ids import MARKER, Fuzz, Seed, param_of, test_id_of
from pytest_gpuemu.pytest_items.running import CASES, FAILED, Outcome
from pytest_gpuemu.pytest_items.second_run import SecondRun
from pytest_gpuemu.pytest_items.session import FuzzSession

# What the failure looked like in the campaign, in an item made for it.
_CHILD_OF = pytest.StashKey[Outcome]()
_OUTCOME = pytest.StashKey[Outcome]()
_TIMEOUT = pytest.StashKey[Any]()


class Runner:
    """The hooks that run marked tests."""

    def __init__(self, session: FuzzSession) -> None:
        self.session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A marked test that gets no case would check nothing: say so."""
        if param_of(item) is None and item.get_closest_marker(MARKER) is not None:
            if "fuzz_case" not in getattr(item, "fixturenames", ()):
                fixture.refuse_without_fixture(item)
        elif param_of(item) == Fuzz(0):
            pytest.skip("campaigns are switched off (--gpuemu-fuzz=0)")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, Any, Any]:
        """Outermost: when a campaign's protocol has ended, each failing seed goes through one of its own."""
        param = param_of(item)
        if param is None:
            return (yield)
        if isinstance(param, Seed):
            with generators.kept():
                return (yield)
        assert isinstance(item, pytest.Function)
        campaign = item.stash[CAMPAIGN] = Campaign(self.session, item)
        try:
            with generators.kept():
                result = yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            self._report_interrupted(campaign)
            raise
        children = campaign.children
        for child, follow in zip(children, [*children[1:], nextitem], strict=False):
            if item.session.shouldfail or item.session.shouldstop:
                break
            with _standing_in(child, item):
                child.ihook.pytest_runtest_protocol(item=child, nextitem=follow)
        return result

    @pytest.hookimpl(specname="pytest_runtest_protocol", tryfirst=True)
    def pytest_gpuemu_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """A campaign's own protocol: pytest's, but for the next item, which is chosen after the call."""
        if not isinstance(param_of(item), Fuzz):
            return None
        assert isinstance(item, pytest.Function)
        campaign, session = item.stash[CAMPAIGN], item.session
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        if not item._request:  # a second run of the item
            item._initrequest()  # type: ignore[unreachable]
        try:
            if call_and_report(item, "setup").passed and not item.config.getoption("setuponly", False):
                call_and_report(item, "call")
            stop = session.shouldfail or session.shouldstop
            if not stop and not item.get_closest_marker("xfail"):
                campaign.children = [
                    make_child(item, outcome) for outcome in clearest_first(campaign.failures)
                ]
                plans = CampaignPlans(campaign.passed_plans, [found.plan for found in campaign.failures])
                for child in campaign.children:
                    child.stash[CAMPAIGN_PLANS] = plans
            follow = None if stop else next(iter(campaign.children), nextitem)
            call_and_report(item, "teardown", nextitem=follow)
        finally:
            item._request = False  # type: ignore[assignment]
            item.funcargs = None  # type: ignore[assignment]
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """The call of a campaign: the loop, which re-enters this hook once a case (async plugins apply)."""
        campaign = pyfuncitem.stash.get(CAMPAIGN, None)
        if campaign is None or campaign.is_inside:
            return None
        campaign.run(
            lambda: pyfuncitem.ihook.pytest_pyfunc_call(pyfuncitem=pyfuncitem),
            lambda: _restart_timeout(pyfuncitem),
        )
        return True

    @pytest.hookimpl(specname="pytest_pyfunc_call", wrapper=True, tryfirst=True)
    def pytest_gpuemu_call_case(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        """The call of a case item."""
        param = param_of(pyfuncitem)
        if not isinstance(param, Seed):
            return (yield)
        cases = pyfuncitem.stash[CASES]
        if cases.is_again:
            return (yield)
        if param.case_id in self.session.crashed_now(cases.test_id):
            pytest.fail(f"seed={param.case_id} ended the process and is not run again", pytrace=False)
        cases.begin(param.case_id)
        second = SecondRun(cases)
        result = None

        def again() -> None:
            _restart_timeout(pyfuncitem)
            pyfuncitem.ihook.pytest_pyfunc_call(pyfuncitem=pyfuncitem)

        try:
            result = yield
            second.run(again)
        except BaseException as error:
            in_second_run = cases.bound is not second.first
            outcome = pyfuncitem.stash[_OUTCOME] = cases.ended(error)
            if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
                raise
            if outcome.status == FAILED:
                diagnose_failure(
                    self.session, pyfuncitem, cases, outcome, error, again, in_second_run=in_second_run
                )
                minimizing.minimize_failure(
                    self.session, pyfuncitem, cases, outcome, error, again, in_second_run=in_second_run
                )
                raise
            if outcome.status not in running.NOT_THE_KERNELS:
                self._refuse_if_flaky(pyfuncitem, outcome)
            if isinstance(error, CannotRunHere):
                pytest.skip(f"could not run here: {error}")
            raise
        outcome = pyfuncitem.stash[_OUTCOME] = cases.ended(None)
        self._refuse_if_flaky(pyfuncitem, outcome)
        if outcome.status == running.UNCHECKED:
            pytest.fail(
                f"{cases.test_id} returned without a check: call fuzz_case.check(output) or "
                "fuzz_case.run(kernel), or pytest.skip(reason)",
                pytrace=False,
            )
        if outcome.status == running.UNDETERMINED:
            pytest.skip(f"undetermined: {outcome.text}")
        if param.case_id in self.session.known.get(cases.test_id, ()):
            self.session.recording.forget(cases.test_id, outcome.plan)
        return result

    @pytest.hookimpl(specname="pytest_pyfunc_call", wrapper=True)
    def pytest_gpuemu_hold_config(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        """Every call of the test function: an autotuner has the case's configuration to choose from."""
        cases = pyfuncitem.stash.get(CASES, None)
        if cases is None or cases.op.autotuner is None or not cases.has_case:
            return (yield)
        with held_to(cases.op, cases.bound.plan.config):
            return (yield)

    def _refuse_if_flaky(self, item: pytest.Function, alone: Outcome) -> None:
        """A seed that failed in the campaign and does not fail alone is still a failure."""
        before = item.stash.get(_CHILD_OF, None)
        if before is not None:
            pytest.fail(
                f"nondeterministic: seed {before.case_id} failed in the campaign, and {alone.status} "
                "when run alone. The kernel depends on more than its inputs: on memory it does not own, on "
                f"timing, or on what ran before. In the campaign:\n\n{before.text}",
                pytrace=False,
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mark reports for the controller, and shorten that of a failure like an earlier one."""
        report = yield
        param = param_of(item)
        if isinstance(param, Fuzz) and call.when == "call" and CASES in item.stash:
            tally = item.stash[CAMPAIGN].tally()
            report.gpuemu_campaign = tally  # type: ignore[attr-defined]
            self.session.recording.campaign(tally, self.session.settings.master_seed)
        if not isinstance(param, Seed):
            return report
        if _CHILD_OF in item.stash:
            report.gpuemu_child = True  # type: ignore[attr-defined]
        outcome = item.stash.get(_OUTCOME, None)
        if call.when == "call" and outcome is not None:
            if _CHILD_OF not in item.stash:
                report.gpuemu_case = {  # type: ignore[attr-defined]
                    "op": outcome.plan.op_name,
                    "test_id": test_id_of(item),
                    "status": outcome.status,
                    "point": outcome.point,
                }
            error = getattr(call.excinfo, "value", None)
            if report.failed:
                self._tell_failure(item, report, outcome, error)
            minimizing.add_to_report(item, report, error)
            if isinstance(error, KernelMismatch):
                _shorten_summary(report, outcome.text)
        return report

    def _tell_failure(
        self, item: pytest.Item, report: pytest.TestReport, outcome: Outcome, error: BaseException | None
    ) -> None:
        """Shorten the report of a failure like an earlier one, and let it carry what else is told of it."""
        first = str(item.nodeid)
        if outcome.status == FAILED:
            first = self.session.first_alike.setdefault((test_id_of(item), outcome.alike), first)
        diagnosis = item.stash.get(DIAGNOSIS, None)
        telling.add_failure(self.session, item.stash[CASES], report, outcome, error, first, diagnosis)
        if first != str(item.nodeid) and item.config.getoption("verbose", 0) < 2:
            report.longrepr = grouping.pointer(outcome.text, first)

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> None:
        """pytest-timeout is about to time the whole item: keep its settings, to time each case and run."""
        if param_of(item) is not None:
            item.stash[_TIMEOUT] = settings

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Before an xdist worker says that it has finished."""
        self.session.recording.flush()
        if self.session.is_worker:
            workeroutput: dict[str, object] = self.session.config.workeroutput  # type: ignore[attr-defined]
            workeroutput["gpuemu_note"] = self.session.recording.note
            workeroutput["gpuemu_stored"] = self.session.recording.stored

    def _report_interrupted(self, campaign: Campaign) -> None:
        """Ctrl-C in a campaign: what it came to until then is told, and its failing seeds get a report, so
        that the summary and --lf know them."""
        item = campaign.item
        cases = item.stash.get(CASES, None)
        if cases is None:
            return
        reporter: Any = item.config.pluginmanager.get_plugin("gpuemu-reporter")
        if reporter is not None:  # xdist's controller has stopped listening
            reporter.add_campaign({**campaign.tally(), "interrupted": campaign.planned - campaign.cases})
        now = time.time()
        for outcome in clearest_first(campaign.failures):
            child = make_child(item, outcome)
            report = pytest.TestReport(
                nodeid=child.nodeid,
                location=child.location,
                keywords=dict.fromkeys(child.keywords, 1),
                outcome="failed",
                longrepr=outcome.text,
                when="call",
                duration=outcome.duration_s,
                start=now,
                stop=now,
            )
            report.gpuemu_child = True  # type: ignore[attr-defined]
            key = (cases.test_id, outcome.alike)
            first = self.session.first_alike.setdefault(key, str(child.nodeid))
            telling.add_failure(self.session, cases, report, outcome, None, first)
            with _standing_in(child, item):
                child.ihook.pytest_runtest_logreport(report=report)


class _standing_in:
    """While a child runs it stands at its campaign's place: xdist asks session.items for the running item."""

    def __init__(self, child: pytest.Item, campaign: pytest.Item) -> None:
        self.child, self.campaign = child, campaign
        self.items = campaign.session.items
        self.at = next(at for at, item in enumerate(self.items) if item is campaign)

    def __enter__(self) -> None:
        self.items[self.at] = self.child

    def __exit__(self, *_: object) -> None:
        self.items[self.at] = self.campaign


def make_child(item: pytest.Function, outcome: Outcome) -> pytest.Item:
    """An item for one failing seed, like the one that the next session collects for it.

    It shares the campaign's fixture info and params, so that no module or class fixture is set up again,
    and has every mark of it, also those that conftest hooks added after the collection.
    """
    seed = Seed(outcome.case_id)
    spec = dataclasses.replace(
        item.callspec,
        params={**item.callspec.params, "fuzz_case": seed},
        _idlist=[*item.callspec._idlist[:-1], seed.id],  # gives name and node id
    )
    child: pytest.Function = type(item).from_parent(
        item.parent,
        name=f"{item.originalname}[{spec.id}]",
        callspec=spec,
        fixtureinfo=item._fixtureinfo,
        keywords={spec.id: True},
        originalname=item.originalname,
    )
    for mark in item.own_markers:
        if mark not in child.own_markers:
            child.own_markers.append(mark)
            child.keywords[mark.name] = mark
    child.stash[_CHILD_OF] = outcome
    return child


def _shorten_summary(report: pytest.TestReport, text: str) -> None:
    """In pytest's short summary: what is wrong, in place of the exception's long name."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = text.partition("\n")[0]


def _restart_timeout(item: pytest.Item) -> None:
    """Give the next case the time limit that pytest-timeout was asked for."""
    settings = item.stash.get(_TIMEOUT, None)
    if settings is not None:
        hook = item.config.pluginmanager.hook
        hook.pytest_timeout_cancel_timer(item=item)
        hook.pytest_timeout_set_timer(item=item, settings=settings)
