"""What a failing item's report carries beside its text, from the worker that ran it to the one that prints.

Here: from a case's outcome and error to plain values on the report. Elsewhere: the values
(report/failure.py), what the terminal makes of them (display.py), the files (report_files.py).
"""

from __future__ import annotations

import shutil

import pytest

from pytest_gpuemu.engine.diagnose import Diagnosis
from pytest_gpuemu.engine.errors import KernelMismatch
from pytest_gpuemu.pytest_items import options
from pytest_gpuemu.pytest_items.running import FAILED, Outcome, RunningCases
from pytest_gpuemu.pytest_items.session import FuzzSession
from pytest_gpuemu.report.failure import brief_fields, full_fields

_FLAKY = "nondeterministic"
# What stands left of the map: the number of a row's first element.
_MARGIN = 8
_NARROWEST = 16


def add_failure(
    session: FuzzSession,
    cases: RunningCases,
    report: pytest.TestReport,
    outcome: Outcome,
    error: BaseException | None,
    first: str,
    diagnosis: Diagnosis | None = None,
) -> None:
    """Let the report of a failed case carry what is told of it. first is the node id of the first alike.

    error is what the test function raised; None where nothing but the outcome is left of it. diagnosis is
    what is known of a failure that was looked into.
    """
    verdict = error.verdict if isinstance(error, KernelMismatch) else None
    is_flaky = outcome.status != FAILED
    is_first = str(report.nodeid) == first
    text = report.longreprtext if is_flaky else outcome.text
    fields = brief_fields(
        test_id=cases.test_id,
        plan=outcome.plan,
        kind=_FLAKY if is_flaky else outcome.alike,
        text=text,
        verdict=verdict,
        columns=map_columns(session) if is_first else 0,
    )
    fields |= {"is_first": is_first, "first": first}
    if options.wants_report(session.config):
        fields |= full_fields(
            plan=outcome.plan,
            text=text,
            verdict=verdict,
            diagnosis=diagnosis,
            commands=cases.commands(outcome.case_id),
            is_first=is_first,
            duration_s=outcome.duration_s,
        )
    report.gpuemu_failure = fields  # type: ignore[attr-defined]


def map_columns(session: FuzzSession) -> int:
    """How many cells the heat map may have in a row: the terminal is xdist's controller's."""
    given = (session.workerinput or {}).get("columns")
    return max(_NARROWEST, (given or terminal_columns()) - _MARGIN)


def terminal_columns() -> int:
    """The width of the terminal, as pytest itself finds it."""
    columns = shutil.get_terminal_size(fallback=(80, 24)).columns
    return columns if columns >= 40 else 80
