"""Campaigns beside the usual plugins: timeout, rerunfailures, randomly, cov, asyncio."""

from __future__ import annotations

import pytest
from suites import THIRDS, failed_ids, run, seeds_of, thirds_of

pytest_plugins = ["pytester"]

SLOW = """
import time
from kernels import *

@double
def test_slow(fuzz_case):
    time.sleep(0.9 if fuzz_case.seed == {seed} else 0.08)
    fuzz_case.run(good)
"""


@pytest.mark.parametrize("func_only", ["false", "true"])
def test_a_timeout_holds_for_each_case_and_not_for_the_campaign(pytester, func_only):
    """Guards: the limit covered the sum of all cases."""
    pytest.importorskip("pytest_timeout")
    slow = seeds_of(8)[2]
    pytester.makepyfile(test_k=SLOW.format(seed=slow))

    result = pytester.runpytest_inprocess(
        "--timeout=0.4", f"--override-ini=timeout_func_only={func_only}", "--gpuemu-fuzz=8", "--gpuemu-seed=7"
    )

    assert failed_ids(result) == [f"test_k.py::test_slow[seed={slow}]"]
    result.assert_outcomes(passed=1, failed=1)


def test_failing_seeds_are_rerun_and_the_campaign_is_not(pytester):
    pytest.importorskip("pytest_rerunfailures")
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "--reruns=1")

    outcomes = result.parseoutcomes()
    assert outcomes == {"failed": len(thirds_of(8)), "passed": 1, "rerun": len(thirds_of(8))}


def test_randomly_changes_neither_cases_nor_verdicts(pytester):
    pytest.importorskip("pytest_randomly")
    pytester.makeini("[pytest]\naddopts = -p no:asyncio -p no:hypothesispytest")
    pytester.makepyfile(
        test_k="""
        import random
        from kernels import *

        @double
        def test_draws(fuzz_case):
            fuzz_case.run(good if random.random() < 0.5 else wrong)
        """
    )

    result = run(pytester)

    assert 0 < len(failed_ids(result)) < 8
    assert "nondeterministic" not in result.stdout.str()


def test_coverage_sees_the_lines_of_the_campaign_and_of_its_failing_seeds(pytester):
    pytest.importorskip("pytest_cov")
    pytester.makepyfile(test_k=THIRDS)

    result = pytester.runpytest_subprocess("--cov=kernels", "--gpuemu-fuzz=8", "--gpuemu-seed=7")

    result.stdout.fnmatch_lines(["kernels.py*100%"])


def test_an_async_test_runs_in_the_loop_and_alone(pytester):
    pytest.importorskip("pytest_asyncio")
    pytester.makeini("[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(
        test_k="""
        import asyncio
        from kernels import *

        @double
        @pytest.mark.asyncio
        async def test_it(fuzz_case):
            await asyncio.sleep(0)
            check_thirds(fuzz_case)
        """
    )

    result = run(pytester, "-p", "no:randomly")

    assert failed_ids(result) == [f"test_k.py::test_it[seed={seed}]" for seed in thirds_of(8)]
    result.assert_outcomes(passed=1, failed=len(thirds_of(8)))
