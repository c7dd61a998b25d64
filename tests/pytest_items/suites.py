"""Suites for pytester: a small op, kernels that are right and wrong, and the seeds at which they are."""

from __future__ import annotations

import pytest

from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import define_op

MASTER_SEED = 7
DOUBLE = {
    "reference": lambda x: 2.0 * x,
    "schema": "x[N] -> [N]",
    "dims": {"N": (1, 40)},
    "dtypes": ["float32"],
    "layouts": ["contiguous"],
    "values": ["uniform"],
}
KERNELS = """
import numpy as np
import pytest

double = pytest.mark.gpuemu_op(
    "double", reference=lambda x: 2.0 * x, schema="x[N] -> [N]", dims={"N": (1, 40)},
    dtypes=["float32"], layouts=["contiguous"], values=["uniform"],
)

def good(x):
    return x * np.float32(2)

def wrong(x):
    return good(x) + np.float32(1)

def check_thirds(fuzz_case):
    \"\"\"Wrong where the seed is divisible by 3.\"\"\"
    fuzz_case.run(wrong if fuzz_case.seed % 3 == 0 else good)
"""
THIRDS = """
from kernels import *

@double
def test_thirds(fuzz_case):
    check_thirds(fuzz_case)
"""


def with_store(pytester: pytest.Pytester) -> None:
    """Let the suite have a store, and so a daemon."""
    pytester.path.joinpath(".gpuemu").unlink()


def seeds_of(count: int, master: int = MASTER_SEED) -> list[int]:
    """The seeds of a campaign of the op `double`."""
    return list(campaign_seeds(define_op("double", **DOUBLE), master, count))


def thirds_of(count: int, master: int = MASTER_SEED) -> list[int]:
    """Those at which check_thirds is wrong."""
    return [seed for seed in seeds_of(count, master) if seed % 3 == 0]


def run(pytester: pytest.Pytester, *options: str, cases: int = 8) -> pytest.RunResult:
    """Run the suite in this process."""
    return pytester.runpytest_inprocess(f"--gpuemu-fuzz={cases}", f"--gpuemu-seed={MASTER_SEED}", *options)


def failed_ids(result: pytest.RunResult) -> list[str]:
    """The node ids of the items that failed: a run inside this process recorded each, also where the short
    summary counts those that are alike."""
    recorded = getattr(result, "reprec", None)
    if recorded is not None:
        reports = recorded.getreports("pytest_runtest_logreport")
        return [str(report.nodeid) for report in reports if report.failed]
    return [line.split()[1] for line in result.outlines if line.startswith("FAILED ")]
