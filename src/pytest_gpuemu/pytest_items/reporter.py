"""Printing: the lines after the collection and the summary, in the process that has the terminal.

Here: the hooks, and adding up what reports carry, so that xdist's controller prints the same. Elsewhere:
the lines themselves (summary.py).
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import pytest

from pytest_gpuemu.engine.errors import GpuemuError
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.pytest_items import collect, display, github, recording, summary
from pytest_gpuemu.pytest_items.ids import from_invocation_dir, param_of, seed_nodeid, test_id, test_id_of
from pytest_gpuemu.pytest_items.session import FuzzSession

_LISTED = 10


class Reporter:
    """The hooks that print, registered where a marked test was collected."""

    def __init__(self, session: FuzzSession, marked: Sequence[pytest.Item]) -> None:
        self.session = session
        self.marked = marked
        self.tallies: dict[str, summary.OpTally] = {}
        self.seen_children: set[str] = set()
        self.is_interrupted = False

    def header(self) -> list[str]:
        session, config = self.session, self.session.config
        tests = {test_id_of(item) for item in self.marked}
        running = session.recording.daemon
        return summary.header_lines(
            config_file=None if session.project.path is None else _short(session.project.path, config),
            daemon=None if running is None else str(running.socket_path),
            store=_short(session.store, config),
            note=session.recording.note,
            unread=session.unread,
            master_seed=session.settings.master_seed,
            generator=GENERATOR_VERSION,
            crashed=[(c.test_id, c.case_id) for c in session.crashed if not tests or c.test_id in tests],
            left_out=collect.left_out_seeds(self.marked, session),
            shadowing=_shadowing(session),
            other_gpuemu=_other_gpuemu(),
        )

    def pytest_report_collectionfinish(self) -> list[str]:
        quiet = self.session.config.getoption("verbose") < 0
        return [] if quiet or not any(param_of(item) for item in self.marked) else self.header()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a campaign's new items, and add up what it came to; in xdist's controller too."""
        nodeid = str(report.nodeid)
        if getattr(report, "gpuemu_child", False) and nodeid not in self.seen_children:
            self.seen_children.add(nodeid)
            _count_another_test(self.session.config)
        tally = getattr(report, "gpuemu_campaign", None)
        if tally is not None:
            self.add_campaign(tally)
        case = getattr(report, "gpuemu_case", None)
        if case is not None:
            self._tally(case["op"]).add_case(case)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> Any:
        """A campaign with failing seeds passes, as these have items of their own: let its word say so."""
        tally = getattr(report, "gpuemu_campaign", None)
        if tally is None or not report.passed or not tally["counts"].get("failed"):
            return None
        return "passed", ".", (summary.campaign_word(tally["counts"]), {"yellow": True})

    def add_campaign(self, tally: Mapping[str, Any]) -> None:
        """Add what a campaign came to (campaign.tally)."""
        self._tally(tally["op"]).add_campaign(tally)

    def _tally(self, op: str) -> summary.OpTally:
        return self.tallies.setdefault(op, summary.OpTally(op))

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died: the journal knows the seed at which it did."""
        test = test_id(str(crashitem))
        old = {case.path for case in self.session.crashed}
        for case in recording.crashed_cases(self.session.store):
            if case.test_id == test and case.path not in old:
                nodeid = from_invocation_dir(seed_nodeid(test, case.case_id), self.session.config)
                report.longrepr = (
                    f"{report.longrepr}\n{test} died at seed={case.case_id}: the process ended while it ran"
                    f'\n  re-run  pytest "{nodeid}"'
                )

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has finished: what it could not store is said once."""
        said, recording = getattr(node, "workeroutput", {}), self.session.recording
        recording.note = recording.note or said.get("gpuemu_note")
        recording.stored = recording.stored or said.get("gpuemu_stored", False)

    def pytest_keyboard_interrupt(self) -> None:
        self.is_interrupted = True

    @pytest.hookimpl(specname="pytest_terminal_summary", wrapper=True, tryfirst=True)
    def pytest_gpuemu_show_failures(self, terminalreporter: Any) -> Generator[None, Any, Any]:
        """Outermost: pytest's own summaries are written inside."""
        failed = list(terminalreporter.stats.get("failed", ()))
        with display.shown_by_kind(terminalreporter):
            result = yield
        if github.is_wanted(self.session.config):
            for line in github.annotated(self.session.config, failed):
                terminalreporter.write_line(line)
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if self.is_interrupted:
            for line in self._stored_meanwhile():
                terminalreporter.write_line(line)
        if not self.tallies or self.session.config.getoption("verbose") < -1:
            return
        terminalreporter.write_sep("-", f"gpuemu: master seed {self.session.settings.master_seed}")
        verbose = self.session.config.getoption("verbose") > 0
        for line in summary.summary_lines(self.tallies.values(), verbose):
            terminalreporter.write_line(line)
        recording = self.session.recording
        if recording.note is not None:
            what = "not everything" if recording.stored else "nothing"
            terminalreporter.write_line(f"{what} was stored: {recording.note}")

    def _stored_meanwhile(self) -> list[str]:
        """An interrupted controller of xdist hears nothing more; its workers have stored their failures."""
        session = self.session
        if not session.config.pluginmanager.has_plugin("dsession"):
            return []
        try:
            known, _ = recording.read_known(session.store)
        except GpuemuError:  # the note of the recording says so
            return []
        new = [
            from_invocation_dir(seed_nodeid(test, case_id), session.config)
            for test, cases in known.items()
            for case_id in cases
            if case_id not in session.known.get(test, ())
        ]
        if not new:
            return []
        cases = f"{len(new)} failing case{'' if len(new) == 1 else 's'}"
        lines = [f"gpuemu: interrupted; {cases} stored until then:"]
        lines += [f'  pytest "{nodeid}"' for nodeid in new[:_LISTED]]
        return lines + ([f"  and {len(new) - _LISTED} more"] if len(new) > _LISTED else [])


def _shadowing(session: FuzzSession) -> list[str]:
    """The names in [[ops]] that are built-in ones too."""
    if not session.project.ops:
        return []
    from pytest_gpuemu.engine.ops import BUILTIN_OPS

    return [entry.name for entry in session.project.ops if entry.name in BUILTIN_OPS]


def _count_another_test(config: pytest.Config) -> None:
    """A campaign's new item was not collected: without this the progress passes 100 %."""
    session = config.pluginmanager.get_plugin("session")
    if session is not None:
        session.testscollected += 1
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    if hasattr(terminal, "tests_count"):  # pytest-sugar counts for itself
        terminal.tests_count += 1


def _short(path: Any, config: pytest.Config) -> str:
    """Relative to rootdir where it lies below it."""
    try:
        return str(path.relative_to(config.rootpath))
    except ValueError:
        return str(path)


def _other_gpuemu() -> str | None:
    """The version of PyPI's `gpuemu` distribution, if it is installed beside this one."""
    try:
        return importlib.metadata.version("gpuemu")
    except importlib.metadata.PackageNotFoundError:
        return None
