"""The errors of a campaign beside a baseline's: what is called worse, and what is not compared."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from baseline_samples import number

from pytest_gpuemu.engine.baselines.numbers import Errors, compare
from pytest_gpuemu.engine.case import build_case
from pytest_gpuemu.engine.config import Policies
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.plan import plan_case

POLICIES = Policies()
DOUBLE = define_op(
    "double", reference=lambda x: 2.0 * x, schema="x[N] -> y[N]", dims={"N": (3, 40)}, dtypes=["float32"]
)


@pytest.mark.parametrize(
    ("used", "verdict", "fails"),
    [
        (0.25, "unchanged", False),
        (0.27, "unchanged", False),
        (0.28, "regression", True),
        (0.2, "improvement", False),
    ],
)
def test_growth_beyond_the_threshold_is_a_regression(used, verdict, fails):
    change = compare(number(), number(tolerance_used=used, max_ulp=9.0), POLICIES)

    assert (change.verdict, change.fails) == (verdict, fails)


def test_a_regression_says_what_grew_and_by_how_much():
    change = compare(number(), number(tolerance_used=0.5, max_ulp=3.0, max_abs=2e-7), POLICIES)

    assert change.message == (
        "softmax float16: the largest error uses 0.5 of its tolerance, 0.25 in the baseline: grew by 100%, "
        "more than warn_threshold = 0.1 allows (max_ulp 1.5 -> 3, max_abs 1e-07 -> 2e-07)"
    )


def test_the_policy_says_whether_a_regression_fails():
    grown = number(tolerance_used=0.5, max_ulp=3.0)

    assert not compare(number(), grown, Policies(fail_on_regression=False)).fails
    assert compare(number(), grown, Policies(fail_on_regression=False)).verdict == "regression"
    assert compare(number(), grown, Policies(warn_threshold=1.5)).verdict == "unchanged"


def test_an_error_from_nothing_is_growth_unless_it_is_correct_rounding():
    exact = number(tolerance_used=0.0, max_ulp=0.0)

    assert compare(exact, number(tolerance_used=0.3, max_ulp=0.5), POLICIES).verdict == "unchanged"
    found = compare(exact, number(tolerance_used=0.3, max_ulp=0.6), POLICIES)
    assert (found.verdict, "grew from nothing" in found.message) == ("regression", True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"master_seed": 3}, "use --gpuemu-seed=9223372036854775808"),
        ({"generator": 2}, "generator 2 draws other cases"),
        ({"cases": 26}, "26 cases, the baseline has 25; use --gpuemu-fuzz=25"),
        ({"tolerance": "marker"}, "the tolerance is now marker, and was derived"),
    ],
)
def test_other_cases_or_tolerances_are_not_compared(changed, words):
    found = compare(number(), number(tolerance_used=0.9, max_ulp=9.0, **changed), POLICIES)

    assert (found.verdict, found.fails) == ("incomparable", False)
    assert words in found.message


def test_fewer_of_the_same_cases_are_compared():
    assert (
        compare(number(), number(cases=5, tolerance_used=0.9, max_ulp=9.0), POLICIES).verdict == "regression"
    )


def errors_of(kernel, seeds) -> Errors:
    errors = Errors()
    for seed in seeds:
        case = build_case(DOUBLE, plan_case(DOUBLE, seed, ""))
        verdict = judge(case, kernel(case.inputs["x"]))
        errors.add([verdict], test_id="t", master_seed=7, generator=1, cases=len(seeds))
    return errors


def test_the_largest_error_of_all_cases_is_kept():
    with np.errstate(all="ignore"):
        exact = errors_of(lambda x: x + x, range(6)).found["float32"]
        off = errors_of(lambda x: np.nextafter(x + x, np.float32(math.inf), dtype=x.dtype), range(6)).found[
            "float32"
        ]

    assert (exact.max_abs, exact.max_ulp, exact.tolerance_used) == (0.0, 0.0, 0.0)
    assert 0.9 <= off.max_ulp <= 1.1
    assert off.tolerance_used > 0.0
    assert (off.op, off.dtype, off.cases, off.tolerance) == ("double", "float32", 6, "derived")


def test_the_order_of_the_cases_does_not_matter():
    def uneven(x):
        return (x + x) * np.float32(1 + x.size * 2.0**-23)

    with np.errstate(all="ignore"):
        forth, back = errors_of(uneven, range(6)), errors_of(uneven, range(5, -1, -1))

    assert dataclasses.asdict(forth) == dataclasses.asdict(back)


def test_the_share_of_the_tolerance_is_that_of_the_worst_element():
    op = define_op(
        "double", reference=lambda x: 2.0 * x, schema="x[N] -> y[N]", dims={"N": [8]}, dtypes=["float32"],
        values=["integers"], tolerance={"atol": 4.0},
    )  # fmt: skip
    case = build_case(op, plan_case(op, 3, ""))
    output = case.inputs["x"] * 2
    output[3] += 1
    output[5] -= 2

    assert judge(case, output).comparisons[0].tolerance_used == 0.5
