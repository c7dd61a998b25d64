"""Diagnosing in pytest: the lines in the first failing item's report, and what further runs may do."""

from __future__ import annotations

import pytest
from suites import run

pytest_plugins = ["pytester"]

SUITE = """
import numpy as np
import pytest

CALLS = []

@pytest.mark.gpuemu_op("sum", dims={"rows": (1, 20), "cols": (1, 150)})
def test_row_sum(fuzz_case):
    CALLS.append(fuzz_case.seed)
    x = fuzz_case.inputs["input"].astype(np.float32)
    start = (x.shape[1] - 1) // 32 * 32
    fuzz_case.check(x[:, start:].sum(axis=1).astype(fuzz_case.dtype))

def test_calls():
    print("called", len(CALLS), "times")
"""


def test_the_first_failing_item_says_when_it_fails_and_why(pytester):
    pytester.makepyfile(SUITE)

    result = run(pytester, "--gpuemu-fuzz=25", "--gpuemu-seed=1")

    result.stdout.re_match_lines(
        [
            r"E         when    cols > 32   \(\d+ of \d+ failing cases, \d+ of \d+ passing; .*",
            r"E         suspect an accumulator is overwritten or not reset: the sum over axis 1 of .*"
            r" holds its last block of \d+ alone \(= for \+=\)",
        ]
    )
    assert result.stdout.str().count(" suspect ") == 1


def test_the_case_that_the_item_reports_is_its_own(pytester):
    """Guards: what was run to learn more was the case that the report and its commands then named."""
    pytester.makepyfile(SUITE)

    result = run(pytester, "--gpuemu-fuzz=5", "--gpuemu-seed=1", "-v")

    first = next(line for line in result.outlines if "FAILED" in line and "seed=" in line)
    seed = first.partition("seed=")[2].partition("]")[0]
    result.stdout.fnmatch_lines([f"*sum fails for seed {seed}: *", f"*re-run *seed={seed}*"])


def test_where_the_plugin_may_not_run_more_cases_the_verdict_alone_is_read(pytester):
    pytester.makepyfile(SUITE)
    pytester.makeini(
        "[pytest]\naddopts = -p no:randomly -p no:asyncio -p no:hypothesispytest\ngpuemu_auto_minimize = off"
    )

    result = run(pytester, "--gpuemu-fuzz=25", "--gpuemu-seed=1", "-s")

    campaign = 25
    failed = result.parseoutcomes()["failed"]
    calls = int(result.stdout.str().partition("called ")[2].split()[0])
    assert calls <= 3 * campaign + failed  # second and third runs of some cases, and each failing item
    result.stdout.no_fnmatch_line("*  when  *")
    result.stdout.re_match_lines([r"E         how     output = reference \* "])


@pytest.mark.parametrize("other", ["raise ValueError('x')", "pytest.skip('no')"])
def test_a_kernel_that_raises_on_further_cases_is_reported_all_the_same(pytester, other):
    pytester.makepyfile(
        f"""
import numpy as np
import pytest

@pytest.mark.gpuemu_op("sum", dims={{"rows": [4], "cols": [40]}}, values=["uniform"], layouts=["strided"])
def test_row_sum(fuzz_case):
    if fuzz_case.layout != "strided":
        {other}
    fuzz_case.check(fuzz_case.inputs["input"][:, 1:].astype(np.float32).sum(axis=1).astype(fuzz_case.dtype))
"""
    )

    result = run(pytester, "--gpuemu-fuzz=4", "--gpuemu-seed=1")

    result.stdout.fnmatch_lines(
        ["*sum fails for seed *", "*suspect a loop ends early: the first element is*"]
    )
    result.assert_outcomes(passed=1, failed=4)
