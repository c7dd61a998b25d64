"""The tables of a run, and putting them into a page of the docs.

Here: right first, silent and wrong, by group and by bug class, and the confusion table. Elsewhere: the rows
(measure.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from benchmarks.diagnosis.groups import GROUPS
from benchmarks.diagnosis.measure import Row

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"
_VERDICTS = ("right", "silent", "wrong", "not found")


def details(rows: Sequence[Row]) -> Iterator[str]:
    """What was said of each mutant."""
    for row in sorted(rows, key=lambda row: (row.group, row.bug, row.kernel)):
        yield f"{row.verdict:9} [{row.bug}] {row.kernel}: {row.suspicion or '-'}"
        yield from (f"            {label:8}{text}" for label, text in row.lines)


def tables(rows: Sequence[Row]) -> list[str]:
    """The tables in Markdown."""
    lines = [
        "| mutants | right first | silent | wrong | not found | right where it speaks | runs, median |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    groups = [group for group in GROUPS if any(row.group == group for row in rows)]
    for group in groups:
        lines.append(_summary(group, [row for row in rows if row.group == group]))
    if len(groups) > 1:
        lines.append(_summary("all", rows))
    for certainty in ("shown", "likely"):
        found = [row for row in rows if row.certainty == certainty]
        if found:
            lines.append(_summary(f"of all: certainty *{certainty}*", found))
    for group in groups:
        lines += [
            "",
            f"### By bug class: {group}",
            "",
            *_by_class([row for row in rows if row.group == group]),
        ]
    return lines


def inserted(text: str, lines: Sequence[str]) -> str:
    """The page with these lines between its marks."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return "\n".join([before + BEGIN, "", *lines, "", END + after])


def _summary(name: str, rows: Sequence[Row]) -> str:
    counts = Counter(row.verdict for row in rows)
    spoken = counts["right"] + counts["wrong"]
    share = f"{100 * counts['right'] / spoken:.0f} %" if spoken else "-"
    runs = sorted(row.runs for row in rows if row.verdict != "not found")
    median = runs[len(runs) // 2] if runs else 0
    cells = [*(str(counts[verdict]) for verdict in _VERDICTS), share, str(median)]
    return f"| {name} ({len(rows)}) | " + " | ".join(cells) + " |"


def _by_class(rows: Sequence[Row]) -> Iterator[str]:
    """The confusion table: a bug class a row, with what was said of its mutants."""
    yield "| bug class | mutants | right | silent | wrong | what was said |"
    yield "|---|--:|--:|--:|--:|---|"
    for bug in sorted({row.bug for row in rows}):
        of_bug = [row for row in rows if row.bug == bug]
        counts = Counter(row.verdict for row in of_bug)
        said = Counter(row.suspicion for row in of_bug if row.suspicion is not None)
        listed = ", ".join(f"{kind} {count}" for kind, count in said.most_common())
        yield (
            f"| {bug} | {len(of_bug)} | {counts['right']} | {counts['silent'] + counts['not found']} "
            f"| {counts['wrong']} | {listed} |"
        )
