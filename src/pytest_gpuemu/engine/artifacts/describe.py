"""What a lint found, in the words that a user reads.

Here: the lines about one kernel for one architecture. Elsewhere: what is found (lint.py, changes.py), where
the lines are shown (pytest_items/kernel_items.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_gpuemu.engine.artifacts.data import ArtifactComparison, Change, LintReport, SourceLine

_SHOWN_LINES = 5
ReadLine = Callable[[str, int], str]


def describe_lint(
    name: str,
    report: LintReport,
    comparison: ArtifactComparison | None,
    *,
    root: Path,
    read_line: ReadLine,
    baseline: str = "the baseline",
) -> list[str]:
    """The report of a kernel that fails: each limit with the value, the lines responsible, and what changed.

    Paths are shown relative to root. read_line gives a line of a file, "" where there is none.
    """
    parts = []
    if report.violations:
        count = len(report.violations)
        parts.append(f"{count} limit{'' if count == 1 else 's'}")
    if comparison is not None and comparison.fails:
        count = len(comparison.regressions)
        parts.append(f"{count} regression{'' if count == 1 else 's'} against {baseline}")
    lines = [f"kernel {name} fails for {report.arch}: {' and '.join(parts)}"]
    for violation in report.violations:
        lines.append(f"  {violation.message}")
        lines += _responsible(violation.lines, root, read_line)
    if comparison is not None:
        lines += [f"  baseline: {change}" for change in changes(comparison)]
    lines += [f"  not checked: {limit}: {why}" for limit, why in report.unchecked.items()]
    lines += [f"  note: {note}" for note in report.notes]
    lines.append(f"  compiled from {_short(report.source, root)}; PTX kernel {report.kernel_name}")
    return lines


def changes(comparison: ArtifactComparison) -> list[str]:
    """What changed against the baseline, a sentence each; the regressions first."""
    order = ("regression", "warning", "changed", "improvement")
    ranked = sorted(comparison.changes, key=lambda change: order.index(change.verdict))
    return [
        *(_change(change) for change in ranked),
        *(f"{figure}: not compared: {why}" for figure, why in comparison.incomparable.items()),
    ]


def _change(change: Change) -> str:
    return f"{change.verdict}: {change.message}"


def _responsible(lines: tuple[SourceLine, ...], root: Path, read_line: ReadLine) -> Iterator[str]:
    for line in lines[:_SHOWN_LINES]:
        ptx = f"PTX line {line.ptx_line}: {line.ptx_text.strip()}"
        if line.file is None or not line.line:
            yield f"    {ptx}"
            continue
        source = read_line(line.file, line.line).strip()
        yield (
            f"    {_short(line.file, root)}:{line.line}: {source}"
            if source
            else f"    {_short(line.file, root)}:{line.line}"
        )
        for file, number in line.inlined_at:
            yield f"      inlined at {_short(file, root)}:{number}"
        yield f"      {ptx}"
    if len(lines) > _SHOWN_LINES:
        yield f"    and {len(lines) - _SHOWN_LINES} more"


def _short(path: str, root: Path) -> str:
    try:
        return str(Path(path).relative_to(root))
    except ValueError:
        return path
