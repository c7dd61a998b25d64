"""`python -m benchmarks.minimize`: minimize failures of the detection corpus's mutants; what came of it.

Each mutant is minimized twice, within the runs that the plugin takes by itself and within those that it
takes when asked to, and compared with the smallest failing case that an exhaustive search finds. Then pairs
of mutants in one kernel: does a case of the first bug stay one?
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.detection.kernels import FRESH_MUTANTS, MUTANTS
from benchmarks.minimize.best import MOST_RUNS
from benchmarks.minimize.failing import pairs_of
from benchmarks.minimize.measure import ASKED, BY_ITSELF, Pair, Row, measure, measure_pair

_BEGIN, _END = "<!-- measured by `python -m benchmarks.minimize", "<!-- end of measured -->"


def table(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[str]:
    """The figures as a table of Markdown."""
    lines = ["| | |", "|---|---|"]
    if rows:
        reached = sum(row.asked == row.best for row in rows)
        at_all = sum(row.asked == row.at_all for row in rows)
        at_once = sum(row.by_itself == row.best for row in rows)
        lines += [
            f"| failures minimized, of as many mutants | {len(rows)} |",
            f"| elements before, median | {median(row.original for row in rows):,.0f} |",
            f"| elements after, median | {median(row.asked for row in rows):.0f} |",
            f"| as small as the smallest that an exhaustive search found to fail alike | {reached} |",
            f"| those of them for which that search tried every smaller shape | {_settled(rows)} |",
            f"| as small within {BY_ITSELF} runs, which the plugin takes by itself | {at_once} |",
            f"| as small as the smallest that fails in any way | {at_all} |",
            f"| elements against the smallest, mean of the ratios | {_mean_ratio(rows):.2f} |",
            f"| kernel runs, median | {median(row.runs for row in rows):.0f} |",
            f"| kernel runs, 9 of 10 within | {_ninth_tenth([row.runs for row in rows])} |",
            f"| ended by the budget of {ASKED} runs | {sum(not row.is_complete for row in rows)} |",
        ]
    if pairs:
        lines += [
            f"| kernels with two bugs, a case of the first minimized | {len(pairs)} |",
            f"| the smallest case still shows the first | {sum(pair.keeps for pair in pairs)} |",
        ]
    return lines


def details(rows: Sequence[Row], pairs: Sequence[Pair]) -> list[str]:
    """What could be better, a line each."""
    return [
        *(
            f"larger than need be: {row.asked} for {row.best} elements, {row.mutant}: {row.case_id}"
            for row in rows
            if row.asked > row.best
        ),
        *(
            f"another bug: {pair.first} became {pair.second}: {pair.case_id}"
            for pair in pairs
            if not pair.keeps
        ),
    ]


def inserted(page: str, lines: Sequence[str], command: str) -> str:
    """The page with these lines between its marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return "\n".join([f"{before}{_BEGIN}{command}` -->", "", *lines, "", f"{_END}{after}"])


def _settled(rows: Sequence[Row]) -> int:
    return sum(row.asked == row.best and row.tried < MOST_RUNS for row in rows)


def _mean_ratio(rows: Sequence[Row]) -> float:
    return float(np.mean([row.asked / row.best for row in rows]))


def _ninth_tenth(runs: Sequence[int]) -> int:
    return sorted(runs)[min(len(runs) * 9 // 10, len(runs) - 1)]


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.minimize", description=__doc__)
    add = parser.add_argument
    add("--every", type=int, default=7, metavar="N", help="every N-th mutant (7: about 40)")
    add("--pairs-every", type=int, default=16, metavar="N", help="every N-th pair of mutants; 0: none")
    add("--master", type=int, default=1, help="master seed of the campaigns")
    add("--write", type=Path, metavar="PAGE", help="also write the table into this page, between its marks")
    arguments = parser.parse_args(given)
    warnings.filterwarnings("ignore")
    mutants = (*MUTANTS, *FRESH_MUTANTS)
    rows, pairs = [], []
    with np.errstate(all="ignore"):
        for mutant in mutants[:: arguments.every]:
            if (row := measure(mutant, arguments.master)) is not None:
                rows.append(row)
                print(row, file=sys.stderr, flush=True)
        both = list(pairs_of(mutants))[:: arguments.pairs_every] if arguments.pairs_every else []
        for first, second in both:
            if (pair := measure_pair(first, second, arguments.master)) is not None:
                pairs.append(pair)
                print(pair, file=sys.stderr, flush=True)
    lines = table(rows, pairs)
    print("\n".join([*details(rows, pairs), *lines]))
    if arguments.write is not None:
        command = "".join(f" {word}" for word in given or ())
        arguments.write.write_text(inserted(arguments.write.read_text(), lines, command))


if __name__ == "__main__":
    main()
