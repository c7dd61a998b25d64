"""Minimizing in pytest: the test function is called again for smaller cases, inside its own item.

Here: which failing item is minimized and for how long, running a smaller case, the line in the report, the
stand-alone script. Nothing of it is stored: the smaller cases are steps on the way. Elsewhere: the search
(engine/minimize/), the options (options.py), the item's own run (runner.py).
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.engine import judge, references
from pytest_gpuemu.engine.errors import CannotRunHere, GpuemuError, KernelMismatch
from pytest_gpuemu.engine.minimize import Minimized, Signature, minimize, signature_of, signature_of_error
from pytest_gpuemu.engine.minimize.describe import describe_smallest
from pytest_gpuemu.engine.minimize.script import no_script_because, write_script
from pytest_gpuemu.engine.op import LIBRARIES
from pytest_gpuemu.pytest_items import grouping
from pytest_gpuemu.pytest_items.ids import test_id_of
from pytest_gpuemu.pytest_items.running import Outcome, RunningCases, is_skip
from pytest_gpuemu.pytest_items.second_run import SecondRun
from pytest_gpuemu.pytest_items.session import FuzzSession

_MOST_CASES = 200
_MOST_CASES_AUTO = 50
_SMALLEST = pytest.StashKey["Smallest"]()
_ALIKE = pytest.StashKey[set[tuple[str, str]]]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Smallest:
    """What minimizing an item came to: the case, and how it is told in the report."""

    minimized: Minimized
    text: str
    command: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many kernel runs, and how many seconds; asked: by the option, not of the plugin's own accord."""

    cases: int
    time_s: float | None
    asked: bool


def budget_of(session: FuzzSession, item: pytest.Item, outcome: Outcome) -> Budget | None:
    """What minimizing this failing item may cost; None where it is not to be minimized.

    By itself the plugin minimizes the first failure of each kind of a test, if its case is one that a seed
    draws.
    """
    settings = session.settings
    if settings.minimize_all or outcome.case_id in settings.minimize:
        return Budget(_MOST_CASES, None, asked=True)
    edits = outcome.plan.edits.split(",") if outcome.plan.edits else []
    is_edited = any(not edit.startswith("config=") for edit in edits)  # by somebody, or minimized before
    if not settings.auto_minimize_s or is_edited or item.get_closest_marker("xfail"):
        return None
    kind = (test_id_of(item), outcome.alike)
    seen = item.config.stash.setdefault(_ALIKE, set())
    if kind in seen:
        return None
    seen.add(kind)
    return Budget(_MOST_CASES_AUTO, settings.auto_minimize_s, asked=False)


def minimize_failure(
    session: FuzzSession,
    item: pytest.Function,
    cases: RunningCases,
    outcome: Outcome,
    error: BaseException,
    call: Callable[[], object],
    *,
    in_second_run: bool,
) -> None:
    """Find the smallest case that fails as this one did, and add it to the error's text or to the item.

    call calls the test function; in_second_run says that the failure showed only when a case ran again.
    """
    budget = budget_of(session, item, outcome)
    if budget is None:
        return
    runs = _Runs(cases, call, in_second_run)
    try:
        with _silence():
            found = minimize(
                cases.op,
                outcome.plan.seed,
                outcome.plan.edits,
                runs.signature,
                failure=_signature(error, cases),
                strategy=session.settings.strategy if budget.asked else None,
                max_cases=budget.cases,
                time_s=budget.time_s,
            )
        if found is not None:
            lines = _lines(cases, found)
            if budget.asked:
                lines.append(f"          {_written(session, item, runs, found)}")
            item.stash[_SMALLEST] = Smallest(
                minimized=found,
                text=describe_smallest(cases.op, found.plan),
                command=cases.commands(found.case_id)[0],
                lines=tuple(lines),
            )
            if isinstance(error, KernelMismatch):
                error.args = ("\n".join([*str(error).splitlines(), *lines]),)
    finally:
        cases.bind(outcome.case_id)


def add_to_report(item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
    """Let the report carry the smallest case, and show it where the error's own text does not."""
    smallest = item.stash.get(_SMALLEST, None)
    if smallest is None:
        return
    found = smallest.minimized
    report.gpuemu_smallest = {  # type: ignore[attr-defined]
        "case_id": found.case_id,
        "text": smallest.text,
        "runs": found.cases,
        "is_complete": found.is_complete,
        "command": smallest.command,
    }
    if isinstance(report.longrepr, str):  # one line that names an earlier failure like it
        report.longrepr = "\n".join([report.longrepr, *smallest.lines])
    elif not isinstance(error, KernelMismatch):
        report.sections.append(("gpuemu", "\n".join(smallest.lines)))


class _Runs:
    """Running the test function for smaller cases. Only the journal knows of it, in case the process dies."""

    def __init__(self, cases: RunningCases, call: Callable[[], object], in_second_run: bool) -> None:
        self.cases = cases
        self.call = call
        self.in_second_run = in_second_run

    def signature(self, case_id: str) -> Signature | None:
        """How the case fails; None where it does not, or cannot run."""
        error = self.error(case_id)
        return None if error is None else _signature(error, self.cases)

    def error(self, case_id: str) -> BaseException | None:
        """What the test function raised for the case, or its second runs did."""
        cases = self.cases
        cases.bind(case_id)
        cases.bound.judging = partial(judge.judge, hints=False)
        second = SecondRun(cases) if self.in_second_run else None
        cases.begin(case_id)
        cases.is_again = True
        try:
            self.call()
            if second is not None:
                second.run(self.call)
                cases.is_again = False
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
                raise
            return None if is_skip(error) or isinstance(error, CannotRunHere) else error
        finally:
            cases.is_again = False
            cases.session.recording.journal.end()
        return None


def _signature(error: BaseException, cases: RunningCases) -> Signature:
    """How the case that ran last fails."""
    if isinstance(error, KernelMismatch):
        return signature_of(error.verdict, cases.bound.judged or cases.bound.case)
    return signature_of_error(grouping.alike(error))


def _lines(cases: RunningCases, found: Minimized) -> list[str]:
    """The lines of the report: the case, and the command that runs it."""
    runs = f"({found.cases} kernel run{'' if found.cases == 1 else 's'})"
    if found.plan == found.original:
        return [f"  smallest failing case{_so_far(found)}: this one  {runs}"]
    return [
        f"  smallest failing case{_so_far(found)}: {describe_smallest(cases.op, found.plan)}  {runs}",
        f"          {cases.commands(found.case_id)[0]}",
    ]


def _so_far(found: Minimized) -> str:
    return "" if found.is_complete else " so far"


def _written(session: FuzzSession, item: pytest.Function, runs: _Runs, found: Minimized) -> str:
    """Write the stand-alone script; a line that says where, or why not."""
    with _silence():
        error = runs.error(found.case_id)
    if error is None:
        return "no stand-alone script: the case did not fail once more"
    cases = runs.cases
    case = cases.bound.case
    verdict = error.verdict if isinstance(error, KernelMismatch) else None
    others = {name: value for name, value in item.callspec.params.items() if name != "fuzz_case"}
    reason = no_script_because(case, verdict)
    named = item._fixtureinfo.argnames  # private, but the only place that knows defaults and patches apart
    if set(named) - {"fuzz_case", "self", *others}:
        reason = "its test has further fixtures"
    elif item.cls is not None:
        reason = "its test is a method"
    elif not all(_is_literal(value) for value in others.values()):
        reason = "its test is parametrized with objects"
    if reason is not None:
        return f"no stand-alone script: {reason}"
    arguments = ", ".join(f"{name}={value!r}" for name, value in others.items())
    path = _path(session, item, found)
    try:
        reference_values = references.evaluate(cases.op, cases.op.references[0], case)
        text = write_script(
            case,
            verdict,
            reference_values,
            title=f"{item.originalname} fails for seed {found.case_id}; run it as it is, without the plugin.",
            imports=[
                "import sys",
                f"sys.path.insert(0, {str(item.path.parent)!r})",
                f"from {item.path.stem} import {item.originalname}",
            ],
            libraries=_libraries(item, cases),
            call=f"{item.originalname}(fuzz_case=case{', ' if arguments else ''}{arguments})",
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except (GpuemuError, OSError) as failed:
        return f"no stand-alone script: {failed}"
    return f"python {_short(path, item.config.invocation_params.dir)}   (stand-alone, without the plugin)"


def _path(session: FuzzSession, item: pytest.Function, found: Minimized) -> Path:
    given = session.settings.minimize_to
    if given is not None and given.endswith(".py"):
        return Path(given).absolute()
    folder = session.store / "minimized" if given is None else Path(given).absolute()
    name = re.sub(r"\W+", "_", test_id_of(item).rpartition("::")[2]).strip("_")
    return folder / f"{name.removeprefix('test_')}_{found.seed}.py"  # no name that pytest collects


def _libraries(item: pytest.Function, cases: RunningCases) -> list[str]:
    """The array libraries that the script may need: the op's, and those that the test's module names."""
    source = item.path.read_text(encoding="utf-8", errors="replace")
    return [name for name in LIBRARIES if name == cases.op.library or re.search(rf"\b{name}\b", source)]


def _is_literal(value: Any) -> bool:
    return value is None or (
        isinstance(value, (bool, int, float, str)) and value == value and value != math.inf
    )


def _short(path: Path, folder: Path) -> str:
    try:
        return str(path.relative_to(folder))
    except ValueError:
        return str(path)


@contextlib.contextmanager
def _silence() -> Any:
    """What a test prints is shown once, for the case itself."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
