"""--gpuemu-baseline: what a session keeps as the baseline, or compares with the one that holds.

Here: the hooks, and what they tell. Elsewhere: which baseline holds, and what is worse than it
(engine/baselines/, engine/artifacts/changes.py), the messages to the daemon (client/artifacts.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.client import artifacts as messages
from pytest_gpuemu.client.transport import NngTransport
from pytest_gpuemu.engine.artifacts import changes
from pytest_gpuemu.engine.artifacts.data import ArtifactComparison
from pytest_gpuemu.engine.artifacts.describe import changes as described
from pytest_gpuemu.engine.artifacts.registered import Linted
from pytest_gpuemu.engine.baselines import numbers
from pytest_gpuemu.engine.baselines.data import DEFAULT_TAG, Baseline
from pytest_gpuemu.engine.baselines.file import FILE_NAME
from pytest_gpuemu.engine.baselines.loading import load_baseline
from pytest_gpuemu.engine.errors import ClientError, GpuemuError
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.pytest_items.campaign import CAMPAIGN, Campaign
from pytest_gpuemu.pytest_items.kernel_options import COMPARE, STORE, baseline_mode
from pytest_gpuemu.pytest_items.running import CASES
from pytest_gpuemu.pytest_items.session import fuzz_session

_TIMEOUT_MS = 10_000
_STORED, _NEW = "stored", "without a baseline"
_EVENTS = pytest.StashKey[list[tuple[str, str]]]()
_ERRORS = pytest.StashKey[numbers.Errors]()
_BASELINES = pytest.StashKey["Baselines"]()


def baselines_of(config: pytest.Config) -> Baselines:
    """The session's object; the first call makes it."""
    if _BASELINES not in config.stash:
        config.stash[_BASELINES] = Baselines(config)
    return config.stash[_BASELINES]


def register(config: pytest.Config) -> None:
    """Take part in a session with --gpuemu-baseline. Raises UsageError where there is no baseline."""
    baselines = baselines_of(config)
    if baselines.mode == COMPARE:
        try:
            loaded = baselines.loaded
        except GpuemuError as error:
            raise pytest.UsageError(f"--gpuemu-baseline=compare: {error}") from None
        if loaded.is_empty:
            raise pytest.UsageError(
                f"--gpuemu-baseline=compare: there is neither {baselines.root / FILE_NAME} nor a baseline in "
                f"{loaded.origin}: run pytest --gpuemu-baseline=store first"
            )
    config.pluginmanager.register(BaselineHooks(baselines), "gpuemu-baselines")


class Baselines:
    """The baseline of a session. Without --gpuemu-baseline it keeps and compares nothing."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.mode = baseline_mode(config)
        self._session = fuzz_session(config)

    @property
    def root(self) -> Path:
        return self._session.project.root

    @cached_property
    def loaded(self) -> Baseline:
        """The baseline that holds. Raises ConfigError and StoreError."""
        return load_baseline(self.root, self._session.store)

    @property
    def origin(self) -> str:
        """Where the baseline was read from, in short."""
        return self.loaded.origin.replace(f"{self.config.rootpath}/", "") if self.mode == COMPARE else "none"

    def take_artifact(self, item: pytest.Item, name: str, linted: Linted) -> ArtifactComparison | None:
        """Keep a kernel's artifact, or compare it with the baseline's; None where there is none."""
        report = linted.report
        what = f"kernel {name} for {report.arch}"
        if self.mode == STORE:
            self._send(
                item,
                what,
                lambda transport: messages.record_artifact(
                    transport, name, linted.artifact.ptx, report, timestamp=time.time(), tag=DEFAULT_TAG
                ),
            )
        if self.mode != COMPARE:
            return None
        before = self.loaded.artifacts.get((name, report.arch))
        if before is None:
            _tell(item, _NEW, what)
            return None
        comparison = changes.compare(before.metrics, report.metrics, self._session.project.policies)
        _tell(item, _worst(comparison), f"{what}: {'; '.join(described(comparison)) or 'as it was'}")
        return comparison

    def take_errors(self, item: pytest.Item, errors: numbers.Errors) -> None:
        """Keep a campaign's largest errors, or fail where they grew."""
        worse = []
        for dtype, now in sorted(errors.found.items()):
            what = f"errors of {now.op} {dtype} in {now.test_id}"
            if self.mode == STORE:
                self._send(
                    item,
                    what,
                    lambda transport, now=now: messages.record_errors(
                        transport, now, timestamp=time.time(), tag=DEFAULT_TAG
                    ),
                )
                continue
            before = self.loaded.numbers.get((now.test_id, now.op, dtype))
            if before is None:
                _tell(item, _NEW, what)
                continue
            change = numbers.compare(before, now, self._session.project.policies)
            _tell(item, change.verdict, change.message)
            if change.fails:
                worse.append(change.message)
        if worse:
            pytest.fail(
                f"worse than {self.origin}:\n" + "\n".join(f"  {one}" for one in worse), pytrace=False
            )

    def _send(self, item: pytest.Item, what: str, send: Any) -> None:
        self._session.start_recording()
        daemon = self._session.recording.daemon
        if daemon is None:
            pytest.fail(f"the baseline is not stored: {self._session.recording.note}", pytrace=False)
        transport = NngTransport(Path(daemon.socket_path), timeout_ms=_TIMEOUT_MS)
        try:
            send(transport)
        except ClientError as error:
            raise pytest.fail.Exception(f"the baseline is not stored: {error}", pytrace=False) from None
        finally:
            transport.close()
        _tell(item, _STORED, what)


class BaselineHooks:
    """The hooks of a session with --gpuemu-baseline; in xdist's controller they print."""

    def __init__(self, baselines: Baselines) -> None:
        self.baselines = baselines
        self.events: list[tuple[str, str]] = []

    def pytest_report_header(self) -> str:
        baselines = self.baselines
        if baselines.mode == STORE:
            return "gpuemu: this session is stored as the baseline"
        loaded = baselines.loaded
        return (
            f"gpuemu: baseline {baselines.origin}: {len(loaded.artifacts)} kernels, errors of "
            f"{len(loaded.numbers)} campaigns by dtype"
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
        """Each case of a campaign that passes, and the campaign once it is through."""
        campaign = pyfuncitem.stash.get(CAMPAIGN, None)
        if campaign is None:
            return (yield)
        if not campaign.is_inside:
            errors = pyfuncitem.stash[_ERRORS] = numbers.Errors()
            result = yield
            self.baselines.take_errors(pyfuncitem, errors)
            return result
        result = yield
        self._take_case(pyfuncitem, campaign)
        return result

    def _take_case(self, item: pytest.Function, campaign: Campaign) -> None:
        cases = item.stash[CASES]
        if not cases.is_again and cases.bound.status == "passed":
            item.stash[_ERRORS].add(
                cases.bound.verdicts,
                test_id=campaign.test_id,
                master_seed=campaign.session.settings.master_seed,
                generator=GENERATOR_VERSION,
                cases=campaign.planned,
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and _EVENTS in item.stash:
            report.gpuemu_baseline = [list(event) for event in item.stash[_EVENTS]]  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.events += [(verdict, text) for verdict, text in getattr(report, "gpuemu_baseline", ())]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        terminalreporter.write_sep("-", "gpuemu: baseline")
        for line in summary_lines(self.events, self.baselines.mode, self.baselines.origin):
            terminalreporter.write_line(line)


def summary_lines(events: list[tuple[str, str]], mode: str | None, origin: str) -> list[str]:
    """What was kept, or how it compares: a line that counts, and one for each that is not as it was."""
    if not events:
        return ["nothing in this session has figures to keep or compare (campaigns, kernels)"]
    if mode == STORE:
        return [
            f"stored {len(events)}:",
            *(f"  {text}" for _, text in events),
            f"gpuemu baseline export writes it to {FILE_NAME}, to be committed",
        ]
    counts = Counter(verdict for verdict, _ in events)
    counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    told = [f"  {text}" for verdict, text in events if verdict != "unchanged"]
    return [f"compared with {origin}: {counted}", *told]


def _worst(comparison: ArtifactComparison) -> str:
    """The worst that is said of a kernel's figures, in one word."""
    verdicts = {change.verdict for change in comparison.changes}
    order = ("regression", "warning", "changed", "improvement")
    fallback = "incomparable" if comparison.incomparable else "unchanged"
    return next((verdict for verdict in order if verdict in verdicts), fallback)


def _tell(item: pytest.Item, verdict: str, text: str) -> None:
    item.stash.setdefault(_EVENTS, []).append((verdict, text))
