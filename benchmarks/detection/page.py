"""The report of a run, on the terminal and as docs/detection.md. Every figure comes from the rows.

Here: counting and Markdown. Elsewhere: the rows (rows.py), how a rival is run (its module's docstring,
which the page repeats).
"""

from __future__ import annotations

import ast
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.detection.campaign import EXTREME
from benchmarks.detection.rivals import MODULES, OURS
from benchmarks.detection.rows import Row

BUDGETS = (8, 30, 200)
COMMON = 30  # the budget at which detectors are compared
HALVES = ("tuned beside", "written after")
TITLES = {
    "tuned beside": "the mutants that the rules were tuned beside",
    "written after": "the mutants written after the tuning",
}

INTRODUCTION = """# Does it find bugs, and does it leave correct kernels alone?

A kernel test is worth what it finds, and costs what it fails for nothing. This page measures both, on
kernels with known bugs and on the same kernels without them, with no option but the op's name and the
params that a kernel takes. The whole of it is run, and this page written, by

```
make detection   # python -m benchmarks.detection --masters 20 --further-cases 40 --detectors all --write …
```

The kernels are NumPy in a GPU's tiled form (blocks, masks, accumulators, flat addresses and strides over
raw memory), so no GPU is needed. A mutant is a kernel with one place of its source changed. About half
of the mutants were there while the rules were tuned. The others were written by another author, who had
read notes on how the tolerance is derived and what values are drawn, but not the code of either; they
are counted apart. Neither a kernel nor a mutant of these was changed for being found late.
"""

REASONS = """## Why these figures can be trusted, and how far

- A control whose campaign fails is a false alarm. Each master seed draws other cases.
- A kernel stops at its first failure, so a mutant's number is the case that found it.
- The rivals run over the same kernels with one seed, in the one set-up described below: none was tried in
  several and the best or worst shown. What is not their matter they get for free: indices in range, ties
  of an index resolved, every accepted reference.
- A median is over what was found; a detector that finds only what is easy has a low one.
- A detector that fails a control tells nothing by failing that control's mutants; the column before the
  last leaves these out.
- The corpus has NumPy arrays only, and no GPU's own arithmetic: `__expf`, tensor cores and flushed
  subnormals are emulated nowhere here.
"""


def found(rows: Iterable[Row]) -> list[int]:
    return [row.found_at for row in rows if row.found_at is not None]


def control_of(row: Row) -> str:
    """The function that a row's kernel is or was made from: `softmax` of `softmax: no shift`."""
    return row.kernel.split(":")[0].split(" as ")[0]


def within(rows: Sequence[Row], budget: int) -> int:
    return sum(number <= budget for number in found(rows))


def counts(rows: Sequence[Row]) -> str:
    """How many were found within each budget; a dash for a budget larger than that of the run."""
    most = max((row.budget for row in rows), default=0)
    found_within = [str(within(rows, budget)) if budget <= most else "-" for budget in BUDGETS]
    return f"{' / '.join(found_within)} of {len(rows)}"


def median(rows: Sequence[Row]) -> str:
    numbers = found(rows)
    return f"{statistics.median(numbers):g}" if numbers else "-"


def table(head: Sequence[str], body: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(["---"] + ["--:"] * (len(head) - 1)) + "|"]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in body]


def detectors_table(rows: Sequence[Row]) -> list[str]:
    """One line a detector: mutants found in each half, controls failed (of the first master), median."""
    body = []
    for detector in MODULES:
        its = [row for row in rows if row.detector == detector]
        if not its:
            continue
        controls = [row for row in its if row.group == "control"]
        first = min((row.master for row in controls), default=1)
        controls = [row for row in controls if row.master == first]
        cells: list[object] = [f"**{detector}**" if detector == OURS else detector]
        for group in HALVES:
            mutants = [row for row in its if row.group == group]
            cells.append(counts(mutants))
        mutants = [row for row in its if row.group in HALVES]
        failed = {control_of(row) for row in controls if (row.found_at or COMMON + 1) <= COMMON}
        passed = {control_of(row) for row in controls} - failed
        sharp = [row for row in mutants if control_of(row) in passed and within([row], COMMON)]
        cells += [counts(controls), f"{len(sharp)} of {len(mutants)}", median(mutants)]
        body.append(cells)
    budgets = " / ".join(str(budget) for budget in BUDGETS)
    head = ["", f"mutants tuned beside, within {budgets} cases", f"mutants written after, within {budgets}"]
    head += [
        f"controls failed, within {budgets}",
        f"mutants found and control passed, within {COMMON}",
        "median case",
    ]
    return table(head, body)


def provenance(rows: Sequence[Row]) -> list[str]:
    """What was run for this report: cases a campaign by detector, and which sources."""
    budgets = {
        detector: max(row.budget for row in rows if row.detector == detector and row.group in HALVES)
        for detector in MODULES
        if any(row.detector == detector and row.group in HALVES for row in rows)
    }
    digests = {row.sources for row in rows if row.detector == OURS}
    return [
        "Run here with at most so many cases a campaign: "
        + ", ".join(f"{name} {budget}" for name, budget in budgets.items())
        + ". A dash: not run at so many cases. "
        + f"Sources of our own rows (a digest of corpus and engine): {', '.join(sorted(digests))}."
    ]


def classes_table(rows: Sequence[Row], group: str) -> list[str]:
    """Our own results in one half by bug class."""
    by_class: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.detector == OURS and row.group == group:
            by_class[row.bug].append(row)
    everything = [row for mutants in by_class.values() for row in mutants]
    body = [
        [bug, len(mutants), *(within(mutants, budget) for budget in BUDGETS), median(mutants)]
        for bug, mutants in [*sorted(by_class.items()), ("**all**", everything)]
    ]
    return table(["bug class", "mutants", *(f"≤ {budget}" for budget in BUDGETS), "median case"], body)


def controls_lines(rows: Sequence[Row]) -> list[str]:
    """Our own results on the controls: alarms, cases by dtype, undetermined elements by distribution."""
    controls = [row for row in rows if row.detector == OURS and row.group == "control"]
    alarms = [row for row in controls if row.found_at is not None]
    masters = Counter(row.kernel for row in controls)
    statuses: Counter[str] = Counter()
    cases: Counter[str] = Counter()
    kernels: dict[str, set[str]] = defaultdict(set)
    shares: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in controls:
        statuses.update(row.statuses)
        cases.update(row.dtypes)
        for dtype in row.dtypes:
            kernels[dtype].add(row.kernel)
        for name, (count, undetermined) in row.undetermined.items():
            shares[name][0] += count
            shares[name][1] += undetermined
    least, most = min(masters.values(), default=0), max(masters.values(), default=0)
    seeds = f"{most}" if least == most else f"{least} to {most}"
    budgets = " or ".join(str(budget) for budget in sorted({row.budget for row in controls}))
    lines = [
        f"{len(alarms)} of {len(controls)} campaigns failed: {len(masters)} controls, {seeds} master seeds "
        f"each, {budgets} cases a campaign, {sum(statuses.values())} in all, {statuses['passed']} of them "
        f"passed and {statuses['undetermined']} not judged because most of their elements were undetermined.",
        "",
        *(f"- alarm: {row.kernel}, seed {row.seed}: {row.message}" for row in alarms),
        *table(
            ["dtype of the first input", "controls", "cases"],
            ([name, len(kernels[name]), count] for name, count in sorted(cases.items())),
        ),
        "",
        "Undetermined elements, which no output can fail on. A case counts under an extreme distribution "
        "where any of its inputs has it, else under that of its first input.",
        "",
    ]
    order = sorted(shares, key=lambda name: (name in EXTREME, name))
    body: list[list[object]] = [[name, shares[name][0], f"{_share(shares[name])}"] for name in order]
    ordinary = [sum(shares[name][i] for name in order if name not in EXTREME) for i in (0, 1)]
    body.append(["**all but " + ", ".join(EXTREME) + "**", ordinary[0], _share(ordinary)])
    return lines + table(["values", "elements", "undetermined"], body)


def _share(counts: Sequence[int]) -> str:
    return f"{counts[1] / max(counts[0], 1):.2%}"


def triton_lines(rows: Sequence[Row]) -> list[str]:
    """The subset in Triton: mutants found, controls failed, and what was not found."""
    mutants = [row for row in rows if row.group == "Triton mutant"]
    controls = [row for row in rows if row.group == "Triton control"]
    names = ", ".join(row.kernel.removeprefix("Triton ") for row in controls)
    budget = max((row.budget for row in mutants), default=0)
    lines = [
        f"{len(found(mutants))} of {len(mutants)} mutants found within {budget} cases (median "
        f"{median(mutants)}); {len(found(controls))} of {len(controls)} controls failed ({names}). These are "
        "the kernels of examples/triton that return their output, with the bugs of "
        "examples/planted_bugs.py, in float16 and float32, at the small sizes of their own tests.",
    ]
    missed = [f"- **not found**: {row.kernel}" for row in mutants if row.found_at is None]
    return [*lines, "", *missed] if missed else lines


def late_lines(rows: Sequence[Row]) -> list[str]:
    """Our own misses, and what took more cases than the middle budget."""
    mutants = [row for row in rows if row.detector == OURS and row.group in HALVES]
    missed = [row for row in mutants if row.found_at is None]
    late = sorted(
        (row for row in mutants if (row.found_at or 0) > BUDGETS[1]), key=lambda row: row.found_at or 0
    )
    lines = [f"- **not found** ({row.bug}, {row.group}): {row.kernel}" for row in missed]
    return lines + [f"- case {row.found_at} ({row.bug}, {row.group}): {row.kernel}" for row in late]


def details(rows: Sequence[Row]) -> list[str]:
    """For the terminal: every alarm, survivor and late find with its seed."""
    ours = [row for row in rows if row.detector == OURS]
    lines = []
    for row in ours:
        if row.group.endswith("control") and row.found_at is not None:
            lines.append(f"ALARM     {row.kernel}, master {row.master}, seed {row.seed}: {row.message}")
        elif not row.group.endswith("control") and row.found_at is None:
            lines.append(f"SURVIVES  {row.kernel} [{row.bug}]")
        elif not row.group.endswith("control") and (row.found_at or 0) > BUDGETS[1]:
            lines.append(f"late      {row.kernel} [{row.bug}]: case {row.found_at}, seed {row.seed}")
    return lines


def tables(rows: Sequence[Row]) -> list[str]:
    """Everything that is counted, as Markdown."""
    lines = ["## What is found, beside other ways to test", "", *detectors_table(rows), ""]
    lines += [*provenance(rows), ""]
    lines += ["## Correct kernels", "", *controls_lines(rows), ""]
    for group in HALVES:
        lines += [f"## By bug class: {TITLES[group]}", "", *classes_table(rows, group), ""]
    if any(row.group == "Triton mutant" for row in rows):
        lines += ["## Triton kernels, under its interpreter", "", *triton_lines(rows), ""]
    late = late_lines(rows)
    if late:
        lines += ["## Found late, or not at all", "", *late, ""]
    return lines


def corpus_lines(groups: Mapping[str, Sequence[Any]]) -> list[str]:
    """Which ops and how many kernels."""
    controls = groups["control"]
    ops = sorted({control.op for control in controls})
    halves = [len(groups[group]) for group in HALVES]
    return [
        f"{len(controls)} kernels of {len(ops)} ops ({', '.join(ops)}) and "
        f"{sum(halves)} mutants: {halves[0]} that the rules were tuned beside, {halves[1]} written after."
    ]


def rivals_lines() -> list[str]:
    """How each rival is run: the docstrings of their modules."""
    lines = []
    for name, (module, _) in MODULES.items():
        if name != OURS:
            path = Path(__file__).parent / "rivals" / f"{module.rpartition('.')[2]}.py"
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            lines += [f"- **{name}**: " + " ".join(text.split())]
    return lines


def page(rows: Sequence[Row], groups: Mapping[str, Sequence[Any]]) -> str:
    lines = [INTRODUCTION, *corpus_lines(groups), "", *tables(rows), REASONS]
    return "\n".join([*lines, "How each rival is run:", "", *rivals_lines(), ""])
