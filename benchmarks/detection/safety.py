"""`python -m benchmarks.detection.safety`: what the one safety factor buys and costs.

For each factor, the campaigns of the whole corpus: controls that fail (false alarms), and mutants found.
"""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.detection.campaign import run_campaign
from benchmarks.detection.kernels import CONTROLS, FRESH_MUTANTS, MUTANTS

from pytest_gpuemu.engine import compare, tolerance

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
KERNELS = (*CONTROLS, *MUTANTS, *FRESH_MUTANTS)


def use_factor(factor: float) -> None:
    """Judge with this factor in this process."""
    warnings.filterwarnings("ignore")
    tolerance.SAFETY = compare.SAFETY = factor  # type: ignore[misc]


def fails(cases: int, master: int, index: int) -> bool:
    return run_campaign(KERNELS[index], master, cases).found_at is not None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.safety", description=__doc__)
    parser.add_argument("--cases", type=int, default=30)
    parser.add_argument("--master", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print("| factor | controls failed | mutants found |\n|--:|--:|--:|")
    for factor in FACTORS:
        with ProcessPoolExecutor(options.jobs, initializer=use_factor, initargs=(factor,)) as pool:
            failed = [*pool.map(partial(fails, options.cases, options.master), range(len(KERNELS)))]
        alarms, found = sum(failed[: len(CONTROLS)]), sum(failed[len(CONTROLS) :])
        print(
            f"| {factor:g} | {alarms} of {len(CONTROLS)} | {found} of {len(KERNELS) - len(CONTROLS)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
