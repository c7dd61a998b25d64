"""Failing items in pytest's own summaries: the first of each kind with its heat map, the others counted.

Here: what stands in the terminal reporter's list of failures while it prints them. The items stay items:
counts, exit status, JUnit and --lf know each of them. Elsewhere: which failures are alike (grouping.py), the
map itself (engine/heatmap.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_gpuemu.engine.heatmap import HeatMap, draw

_LISTED = 4
_MAP_TITLE = "where it is wrong"
_MARKUP = {"none": {"light": True}, "some": {"yellow": True}, "all": {"red": True}}


class Others:
    """In place of a traceback: the failures that are like one that is shown in full."""

    def __init__(self, count: int, first: str, case_ids: Sequence[str]) -> None:
        listed = ", ".join(f"seed={case_id}" for case_id in case_ids[:_LISTED])
        more = ", …" if len(case_ids) > _LISTED else ""
        self.text = f"{count} more cases fail like {first}: {listed}{more}"
        self.reprcrash = SimpleNamespace(message=f"{count} more fail alike: {listed}{more}")

    def __str__(self) -> str:
        return f"{self.text} (pytest -v shows each)"

    def toterminal(self, writer: Any) -> None:
        writer.line(str(self))


@contextlib.contextmanager
def shown_by_kind(terminal: Any) -> Iterator[None]:
    """While the terminal reporter writes its summaries, let it see few failures of a kind, and their maps."""
    failed = terminal.stats.get("failed")
    if not failed:
        yield
        return
    with contextlib.ExitStack() as maps:
        for report in failed:
            if (drawn := _drawn(report, terminal)) is not None:
                maps.enter_context(_with_map(report, drawn))
        terminal.stats["failed"] = failed if terminal.config.getoption("verbose") > 0 else grouped(failed)
        try:
            yield
        finally:
            terminal.stats["failed"] = failed


def grouped(reports: Sequence[Any]) -> list[Any]:
    """Of three or more failures of a kind the first, then one report that stands for the others.

    One that was minimized by itself is told by itself.
    """
    kinds: dict[tuple[str, str], list[Any]] = {}
    for report in reports:
        fields = getattr(report, "gpuemu_failure", None)
        if fields is not None:
            kinds.setdefault((fields["test_id"], fields["kind"]), []).append(report)
    hidden: dict[int, Any] = {}
    after: dict[int, Any] = {}
    for (test_id, _), alike in kinds.items():
        first = next((report for report in alike if report.gpuemu_failure["is_first"]), alike[0])
        others = [
            report for report in alike if report is not first and not hasattr(report, "gpuemu_smallest")
        ]
        if len(others) < 2:
            continue
        hidden.update({id(report): report for report in others})
        after[id(first)] = _stand_in(test_id, str(first.nodeid), others)
    shown = []
    for report in reports:
        if id(report) not in hidden:
            shown.append(report)
        if id(report) in after:
            shown.append(after[id(report)])
    return shown


def _stand_in(test_id: str, first: str, others: Sequence[Any]) -> pytest.TestReport:
    report = others[0]
    path, line, domain = report.location
    case_ids = [other.gpuemu_failure["case_id"] for other in others]
    return pytest.TestReport(
        nodeid=test_id,
        location=(path, line, f"{domain.partition('[')[0]}: {len(others)} more like the one above"),
        keywords={},
        outcome="failed",
        longrepr=Others(len(others), first, case_ids),  # type: ignore[arg-type]
        when="call",
    )


def _drawn(report: Any, terminal: Any) -> str | None:
    """The report's map in the colours and signs that the terminal has; None where it has no map."""
    plain = getattr(report, "gpuemu_failure", {}).get("map")
    if plain is None or terminal.config.getoption("tbstyle") in ("no", "line"):
        return None
    writer = terminal._tw
    return "\n".join(
        draw(
            HeatMap.from_plain(plain),
            blocks=bool(writer.hasmarkup) and _has_blocks(writer),
            paint=lambda text, style: writer.markup(text, **_MARKUP[style]),
        )
    )


def _has_blocks(writer: Any) -> bool:
    encoding = getattr(getattr(writer, "_file", None), "encoding", None) or "ascii"
    try:
        "·░▒▓█×".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextlib.contextmanager
def _with_map(report: Any, drawn: str) -> Iterator[None]:
    """The map behind the failure's own text, for as long as it is shown."""
    longrepr = report.longrepr
    if hasattr(longrepr, "addsection") and isinstance(getattr(longrepr, "sections", None), list):
        section = (_MAP_TITLE, drawn, "-")
        longrepr.sections.append(section)
        try:
            yield
        finally:
            longrepr.sections.remove(section)
    else:
        report.longrepr = f"{report.longreprtext}\n{drawn}"
        try:
            yield
        finally:
            report.longrepr = longrepr
