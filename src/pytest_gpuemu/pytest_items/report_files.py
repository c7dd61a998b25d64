"""The files of --gpuemu-report, --gpuemu-json and --gpuemu-sarif.

Here: whether they can be written, collecting what the reports of the session's items carry (in xdist's
controller, those of all workers), and writing, also of a session that was interrupted. Registered where one
of the options is given. Elsewhere: what an item's report carries (telling.py), the files' contents (report/).
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.pytest_items.options import REPORTS

_SMALLEST = "gpuemu_smallest"
_NEEDED = ("bokeh", "jinja2")


def register(config: pytest.Config) -> None:
    """Get ready to write the files that were asked for. Raises UsageError where one cannot be written."""
    paths = {
        kind: Path(given).absolute() for kind in REPORTS if (given := config.getoption(f"gpuemu_{kind}"))
    }
    if not paths or hasattr(config, "workerinput"):
        return
    options = {kind: f"--gpuemu-{kind}={config.getoption(f'gpuemu_{kind}')}" for kind in paths}
    for kind, path in paths.items():
        _check(options[kind], path)
    if len(set(paths.values())) < len(paths):
        raise pytest.UsageError(f"{' and '.join(options.values())}: each needs a file of its own")
    if "report" in paths and not all(map(importlib.util.find_spec, _NEEDED)):
        raise pytest.UsageError(
            f"{options['report']} needs {' and '.join(_NEEDED)}: pip install 'pytest-gpuemu[report]'"
        )
    config.pluginmanager.register(ReportFiles(config, paths), "gpuemu-report-files")


def _check(option: str, path: Path) -> None:
    """Open it as it will be opened, and leave no trace."""
    try:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
        if is_new:
            path.unlink()
    except OSError as error:
        why = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
        raise pytest.UsageError(f"{option} cannot be written: {why}") from None


class ReportFiles:
    """The hooks that collect and write."""

    def __init__(self, config: pytest.Config, paths: dict[str, Path]) -> None:
        self.config = config
        self.paths = paths
        self.failures: dict[str, dict[str, Any]] = {}
        self.started = time.perf_counter()
        self.is_interrupted = False
        self.lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a failure; a later run of the same item that passes takes it back."""
        nodeid, told = str(report.nodeid), getattr(report, "gpuemu_failure", None)
        if told is not None and report.failed:
            self.failures[nodeid] = _failure(report, told)
        elif report.when == "call" and report.passed:
            self.failures.pop(nodeid, None)

    def pytest_keyboard_interrupt(self) -> None:
        self.is_interrupted = True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        from pytest_gpuemu.report.document import as_json, document
        from pytest_gpuemu.report.sarif import sarif

        reporter: Any = self.config.pluginmanager.get_plugin("gpuemu-reporter")
        session = None if reporter is None else reporter.session
        report = document(
            version=importlib.metadata.version("pytest-gpuemu"),
            created=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            master_seed=None if session is None else session.settings.master_seed,
            exit_status=int(exitstatus),
            is_interrupted=self.is_interrupted,
            duration_s=time.perf_counter() - self.started,
            note=None if session is None else session.recording.note,
            ops=[] if reporter is None else [tally.plain() for tally in reporter.tallies.values()],
            failures=self.failures.values(),
        )
        for kind, path in self.paths.items():
            if kind == "json":
                text = as_json(report)
            elif kind == "sarif":
                text = as_json(sarif(report))
            else:
                from pytest_gpuemu.report.html import page

                text = page(report)
            shown = self.config.getoption(f"gpuemu_{kind}")
            try:
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                self.lines.append(f"gpuemu: {shown} could not be written: {error.strerror}")
            else:
                self.lines.append(f"gpuemu: wrote {shown}")

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for line in self.lines:
            terminalreporter.write_line(line)


def _failure(report: pytest.TestReport, told: dict[str, Any]) -> dict[str, Any]:
    path, line, _ = report.location
    return {
        "node_id": str(report.nodeid),
        "file": path.replace("\\", "/"),
        "line": 1 if line is None else line + 1,
        **{key: value for key, value in told.items() if key != "map"},
        "smallest": getattr(report, _SMALLEST, None),
    }
