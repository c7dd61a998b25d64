"""Configurations in campaigns: each seed runs under each, and a failure names the one that fails."""

from __future__ import annotations

import pytest
from suites import MASTER_SEED, failed_ids, run

pytest_plugins = ["pytester"]

MARK = (
    '"double", reference=lambda x: 2.0 * x, schema="x[N] -> [N]", dims={"N": (5, 40)}, '
    'dtypes=["float32"], layouts=["contiguous"], values=["uniform"],'
)


def test_each_configuration_is_judged_and_the_failing_one_is_named(pytester):
    """Guards: one wrong configuration among several was hidden by those that came after it."""
    pytester.makepyfile(
        test_k=f"""
        import numpy as np, pytest

        @pytest.mark.gpuemu_op({MARK} configs=[{{"BLOCK": 4}}, {{"BLOCK": 64}}])
        def test_it(fuzz_case):
            x = fuzz_case.inputs["x"]
            y = np.zeros_like(x)
            y[: fuzz_case.config["BLOCK"]] = 2 * x[: fuzz_case.config["BLOCK"]]
            fuzz_case.check(y)
        """
    )

    result = run(pytester, cases=3)

    assert len(failed_ids(result)) == 3
    assert all(item.endswith("~config=0]") for item in failed_ids(result))
    result.stdout.fnmatch_lines(["*  config  0 of 0 to 1: {'BLOCK': 4}", "double: 6 cases, 3 failed*"])
    run(pytester, failed_ids(result)[0]).assert_outcomes(failed=1)
    right = failed_ids(result)[0].replace("config=0", "config=1")
    run(pytester, right).assert_outcomes(passed=1)


def test_a_triton_autotuner_runs_one_configuration_a_case(pytester):
    """Guards: tuning ran every configuration into one output, and the last one hid what others left."""
    pytest.importorskip("triton")
    pytester.makepyfile(
        test_k=f"""
        import os
        os.environ["TRITON_INTERPRET"] = "1"
        import pytest, torch, triton
        import triton.language as tl

        @triton.autotune(configs=[triton.Config({{"BLOCK": b}}) for b in (4, 64)], key=["n"])
        @triton.jit
        def kernel(x, y, n, BLOCK: tl.constexpr):
            at = tl.arange(0, BLOCK)
            tl.store(y + at, tl.load(x + at, mask=at < n) * 2, mask=at < n)

        def double(x):
            y = torch.zeros_like(x)
            kernel[(1,)](x, y, x.shape[0])
            return y

        @pytest.mark.gpuemu_op({MARK} configs=kernel, library="torch")
        def test_it(fuzz_case):
            fuzz_case.run(double)

        def test_the_autotuner_has_all_its_configurations_again():
            assert len(kernel.configs) == 2
        """
    )

    result = pytester.runpytest_subprocess("--gpuemu-fuzz=2", f"--gpuemu-seed={MASTER_SEED}")

    assert len(failed_ids(result)) == 2
    result.stdout.fnmatch_lines(
        ["*  config  0 of 0 to 1: BLOCK: 4, num_warps: *", "double: 4 cases, 2 failed*"]
    )
