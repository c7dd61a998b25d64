"""`python -m benchmarks.detection`: run the corpus, and print what was found by what.

The results go to a file as they come, and a run that was cut short goes on from there.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.detection import page, rows, triton_kernels
from benchmarks.detection.kernels import CONTROLS, FRESH_MUTANTS, MUTANTS
from benchmarks.detection.rivals import MODULES, OURS, detector
from benchmarks.detection.rivals.environments import OWN_ENVIRONMENT, run_in_own_environment

GROUPS: Mapping[str, Sequence[Any]] = {
    "control": CONTROLS,
    "tuned beside": MUTANTS,
    "written after": FRESH_MUTANTS,
    "Triton control": triton_kernels.CONTROLS,
    "Triton mutant": triton_kernels.MUTANTS,
}
TRITON_CASES = 30
NAMES = Counter(control.name for control in CONTROLS)


def label(kernel: Any) -> str:
    """The name of a kernel; one that serves several ops says which."""
    name: str = kernel.name
    return f"{name} as {kernel.op}" if NAMES.get(name, 1) > 1 else name


@dataclass(frozen=True)
class Job:
    """A campaign to run. index is the kernel's place in its group."""

    detector: str
    group: str
    index: int
    master: int
    cases: int

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        return self.detector, self.group, label(GROUPS[self.group][self.index]), self.master, self.cases


def run(job: Job) -> rows.Row:
    warnings.filterwarnings("ignore")
    kernel = GROUPS[job.group][job.index]
    start = time.perf_counter()
    campaign = detector(job.detector)(kernel, job.master, job.cases)
    return rows.Row(
        sources=rows.sources(MODULES[job.detector][0]),
        detector=job.detector,
        group=job.group,
        kernel=label(kernel),
        bug=getattr(kernel, "bug", ""),
        master=job.master,
        budget=job.cases,
        cases=campaign.cases,
        found_at=campaign.found_at,
        seed=campaign.seed,
        message=campaign.message,
        seconds=time.perf_counter() - start,
        statuses=dict(campaign.statuses),
        dtypes=dict(campaign.dtypes),
        undetermined=dict(campaign.undetermined),
    )


def jobs_of(arguments: argparse.Namespace) -> list[Job]:
    """Mutants and one master of each control by every detector; further masters by our own."""
    first = arguments.first_master
    jobs = []
    for name in arguments.detectors:
        for group in ("tuned beside", "written after", "control"):
            for index, kernel in enumerate(GROUPS[group]):
                if arguments.only in kernel.name:
                    jobs.append(Job(name, group, index, first, arguments.cases))
    if OURS in arguments.detectors:
        for group in ("Triton mutant", "Triton control"):
            for index, kernel in enumerate(GROUPS[group]):
                if arguments.only in kernel.name:
                    jobs.append(Job(OURS, group, index, first, min(arguments.cases, TRITON_CASES)))
        for master in range(first + 1, first + arguments.masters):
            for index, kernel in enumerate(CONTROLS):
                if arguments.only in kernel.name:
                    jobs.append(Job(OURS, "control", index, master, arguments.further_cases))
    return jobs


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    add = parser.add_argument
    add("--cases", type=int, default=200, help="cases a campaign")
    add("--masters", type=int, default=3, help="master seeds for each control; mutants take the first")
    add("--first-master", type=int, default=1)
    add("--further-cases", type=int, help="cases of a control's further masters, if not --cases")
    add("--only", default="", metavar="WORD", help="kernels whose name contains the word")
    add(
        "--detectors",
        type=lambda text: text.split(","),
        default=[OURS],
        metavar="NAME,...",
        help=(f"of {', '.join(MODULES)}; or all"),
    )
    add("--jobs", type=int, default=None, help="processes; every core without it")
    add("--results", type=Path, default=Path("build/detection/results.jsonl"), metavar="FILE")
    add("--environments", type=Path, default=Path("build/detection/environments"), metavar="FOLDER")
    add("--report-only", action="store_true", help="run nothing; report on the results that are there")
    add("--write", type=Path, metavar="PAGE", help="also write the report as a page of the docs")
    arguments = parser.parse_args(given)
    arguments.further_cases = arguments.further_cases or arguments.cases
    if arguments.detectors == ["all"]:
        arguments.detectors = list(MODULES)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    elsewhere = [name for name in arguments.detectors if name in OWN_ENVIRONMENT]
    if not arguments.report_only:
        for name in elsewhere:
            run_in_own_environment(name, arguments)
        here = [name for name in arguments.detectors if name not in elsewhere]
        run_jobs(argparse.Namespace(**{**vars(arguments), "detectors": here}))
    found = rows.read(arguments.results, MODULES)
    for line in page.details(found):
        print(line)
    print("\n".join(page.tables(found)))
    if arguments.write is not None:
        arguments.write.write_text(page.page(found, GROUPS))


def run_jobs(arguments: argparse.Namespace) -> None:
    """Run what the results file does not have yet; each row is written as it comes."""
    done = {row.key for row in rows.read(arguments.results, MODULES)}
    with ProcessPoolExecutor(arguments.jobs) as pool:
        waiting = [pool.submit(run, job) for job in jobs_of(arguments) if job.key not in done]
        for future in as_completed(waiting):
            rows.append(arguments.results, [future.result()])


if __name__ == "__main__":
    main()
