"""--gpuemu-baseline on campaigns: the largest errors are kept, and growth fails the campaign."""

from __future__ import annotations

import pytest
from suites import MASTER_SEED, with_store

pytest_plugins = ["pytester"]
SUITE = """
import numpy as np
from kernels import *

@double
def test_double(fuzz_case):
    fuzz_case.run(lambda x: good(x))

@double
def test_off(fuzz_case):
    fuzz_case.run(lambda x: np.nextafter(good(x), np.float32(np.inf), dtype=np.float32))
"""
# An error of one ulp in place of none, and of two in place of one: all within the tolerance by hand.
WORSE = SUITE.replace("good(x))\n\n", "np.nextafter(good(x), np.float32(np.inf), dtype=np.float32))\n\n")


@pytest.fixture
def suite(pytester):
    with_store(pytester)
    loose = 'dtypes=["float32"], layouts=["contiguous"], values=["uniform"], tolerance={"ulp": 4}'
    kernels = pytester.path / "kernels.py"
    text = kernels.read_text()
    kernels.write_text(text.replace('dtypes=["float32"], layouts=["contiguous"], values=["uniform"]', loose))
    pytester.makepyfile(test_it=SUITE)
    return pytester


def run(pytester, *options):
    return pytester.runpytest_inprocess("--gpuemu-fuzz=6", *options)


def test_what_was_stored_is_compared_with_and_an_error_that_grew_fails(suite):
    stored = run(suite, "--gpuemu-baseline=store", f"--gpuemu-seed={MASTER_SEED}")
    same = run(suite, "--gpuemu-baseline=compare")
    suite.makepyfile(test_it=WORSE)
    worse = run(suite, "--gpuemu-baseline=compare")

    stored.assert_outcomes(passed=2)
    stored.stdout.fnmatch_lines(
        [
            "gpuemu: this session is stored as the baseline",
            "stored 2:",
            "  errors of double float32 in test_it.py::test_double",
            "  errors of double float32 in test_it.py::test_off",
        ]
    )
    same.assert_outcomes(passed=2)
    same.stdout.fnmatch_lines(["compared with .gpuemu (tag 'default'): 2 unchanged"])
    worse.assert_outcomes(passed=1, failed=1)
    worse.stdout.fnmatch_lines(
        [
            "worse than .gpuemu (tag 'default'):",
            "  double float32: the largest error uses 0.2* of its tolerance, 0 in the baseline: grew from*",
            "compared with .gpuemu (tag 'default'): 1 regression, 1 unchanged",
        ]
    )


def test_the_baselines_master_seed_is_used_and_another_is_not_compared(suite):
    run(suite, "--gpuemu-baseline=store", f"--gpuemu-seed={MASTER_SEED}")

    own = run(suite, "--gpuemu-baseline=compare")
    other = run(suite, "--gpuemu-baseline=compare", "--gpuemu-seed=8")
    more = run(suite, "--gpuemu-baseline=compare", "--gpuemu-fuzz=7")

    own.stdout.fnmatch_lines([f"*master seed {MASTER_SEED} *"])
    other.assert_outcomes(passed=2)
    other.stdout.fnmatch_lines(
        ["compared with *: 2 incomparable", f"  double float32: not compared: master seed 8 *={MASTER_SEED}"]
    )
    more.stdout.fnmatch_lines(
        ["  double float32: not compared: 7 cases, the baseline has 6; use --gpuemu-fuzz=6"]
    )


def test_the_policies_of_the_project_hold(suite):
    run(suite, "--gpuemu-baseline=store", f"--gpuemu-seed={MASTER_SEED}")
    suite.makefile(".toml", gpuemu="[policies]\nfail_on_regression = false\n")
    suite.makepyfile(test_it=WORSE)

    result = run(suite, "--gpuemu-baseline=compare")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["compared with *: 1 regression, 1 unchanged", "  double float32: *grew from nothing*"]
    )


def test_xdist_workers_keep_and_compare_alike(suite):
    options = ("-n1", "--gpuemu-fuzz=6")
    stored = suite.runpytest_subprocess("--gpuemu-baseline=store", f"--gpuemu-seed={MASTER_SEED}", *options)
    suite.makepyfile(test_it=WORSE)
    worse = suite.runpytest_subprocess("--gpuemu-baseline=compare", *options)

    stored.stdout.fnmatch_lines(["stored 2:"])
    worse.assert_outcomes(passed=1, failed=1)
    worse.stdout.fnmatch_lines(["compared with .gpuemu (tag 'default'): 1 regression, 1 unchanged"])


def test_a_baseline_file_that_is_broken_is_an_error_of_use(suite):
    suite.path.joinpath("gpuemu-baseline.json").write_text("{")

    result = run(suite, "--gpuemu-baseline=compare")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--gpuemu-baseline=compare: *gpuemu-baseline.json: is no baseline: *"])
