"""`python -m benchmarks.diagnosis`: diagnose a failure of each mutant, and print what was said of it.

The rows go to a file as they come, and a run of the same sources that was cut short goes on from there.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np
from benchmarks.detection.rows import sources
from benchmarks.diagnosis import page
from benchmarks.diagnosis.groups import GROUPS
from benchmarks.diagnosis.measure import Row, measure


def run(group: str, index: int, master: int) -> Row:
    warnings.filterwarnings("ignore")
    with np.errstate(all="ignore"):
        return measure(GROUPS[group][index], group, master)


def read(path: Path) -> list[Row]:
    """The rows that the file has, if it is there."""
    if not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text().splitlines() if line.endswith("}")]


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    add = parser.add_argument
    add("--master", type=int, default=1, help="master seed of the campaigns")
    add("--only", default="", metavar="WORD", help="mutants whose name or bug class contains the word")
    add("--groups", type=lambda text: text.split(","), default=list(GROUPS), metavar="GROUP,...")
    add("--jobs", type=int, default=None, help="processes; every core without it")
    # What other sources of the corpus or the engine have said is no result of these.
    add("--results", type=Path, default=Path(f"build/diagnosis/{sources('')}.jsonl"), metavar="FILE")
    add("--report-only", action="store_true", help="run nothing; report on the results that are there")
    add("--write", type=Path, metavar="PAGE", help="also write the tables into this page, between its marks")
    arguments = parser.parse_args(given)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    if not arguments.report_only:
        done = {(row.group, row.kernel, row.bug) for row in read(arguments.results)}
        with ProcessPoolExecutor(arguments.jobs) as pool:
            waiting = [
                pool.submit(run, group, index, arguments.master)
                for group in arguments.groups
                for index, mutant in enumerate(GROUPS[group])
                if arguments.only in f"{mutant.bug}: {mutant.name}"
                and (group, mutant.name, mutant.bug) not in done
            ]
            for future in as_completed(waiting):
                with arguments.results.open("a") as file:
                    file.write(json.dumps(asdict(future.result()), default=float) + "\n")
    rows = read(arguments.results)
    tables = page.tables(rows)
    print("\n".join([*page.details(rows), *tables]))
    if arguments.write is not None:
        arguments.write.write_text(page.inserted(arguments.write.read_text(), tables))


if __name__ == "__main__":
    main()
