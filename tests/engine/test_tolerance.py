"""What each element is allowed: rounding, the derived tolerance, one given by hand, and its row's."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Tolerance
from pytest_gpuemu.engine.tolerance import (
    ErrorBounds,
    compute_type,
    derived_allowance,
    given_allowance,
    rounding_allowance,
    row_errors,
    unit_roundoff,
)


def op_of(reference=lambda x: x, **keys):
    return define_op("mine", reference=reference, schema="x[N] -> [N]", **keys)


@pytest.mark.parametrize(
    ("declared", "outputs", "expected"),
    [
        (None, ["float16"], "float32"),
        (None, ["float64"], "float64"),
        (None, ["float64", "int64"], "float64"),
        (None, ["float64", "float32"], "float32"),
        (None, ["int64"], "float32"),
        ("tf32", ["float64"], "tf32"),
    ],
)
def test_a_kernel_is_taken_to_compute_in_float32_unless_all_it_gives_is_float64(declared, outputs, expected):
    assert compute_type(op_of(compute=declared), outputs) == expected


@pytest.mark.parametrize(
    ("compute", "dtype", "bits"),
    [
        ("float32", "float16", 24),
        ("tf32", "float32", 24),
        ("float64", "float64", 53),
        ("storage", "bfloat16", 8),
    ],
)
def test_the_unit_roundoff_is_half_the_gap_above_one(compute, dtype, bits):
    assert unit_roundoff(compute, dtype) == 2.0**-bits


def test_rounding_costs_half_an_ulp_or_a_whole_one():
    reference = np.array([1.0, 1.5, 2.0, 70000.0])
    assert rounding_allowance(reference, "float16", "nearest").tolist() == [
        2.0**-11,
        2.0**-11,
        2.0**-10,
        16.0,
    ]
    assert rounding_allowance(reference, "float16", "faithful").tolist() == [
        2.0**-10,
        2.0**-10,
        2.0**-9,
        32.0,
    ]


def test_the_derived_tolerance_is_half_an_ulp_at_the_far_end_and_twice_the_bound():
    allowed = derived_allowance(np.array([1.0, 1.9]), np.array([0.25, 0.25]), "float16", "nearest")
    # |r| + 2E is 1.5 and 2.4: the gap of float16 is 2**-10 below 2, 2**-9 above.
    assert allowed.tolist() == [2.0**-11 + 0.5, 2.0**-10 + 0.5]


def test_an_infinite_bound_allows_anything():
    assert derived_allowance(np.array([1.0]), np.array([np.inf]), "float32", "nearest").tolist() == [np.inf]


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        (Tolerance(atol=0.5), 0.5),
        (Tolerance(rtol=0.5), 4.0),
        (Tolerance(atol=0.5, rtol=0.5), 4.5),
        (Tolerance(ulp=2), 2 * 2.0**-7),
        (Tolerance(atol=0.5, ulp=2), 0.5),
    ],
)
def test_a_given_tolerance_is_the_larger_of_its_two_forms(tolerance, expected):
    assert given_allowance(np.array([-8.0]), tolerance, "float16").tolist() == [expected]


def test_an_ulp_of_an_integer_is_one():
    assert given_allowance(np.array([100.0]), Tolerance(ulp=2), "int8").tolist() == [2.0]


def test_a_row_allows_by_its_largest_finite_element():
    reference = np.array([[1.0, -8.0], [np.inf, 2.0]])
    assert row_errors(reference, 0.5).tolist() == [[4.0, 4.0], [1.0, 1.0]]
    assert row_errors(np.array(-3.0), 0.5).tolist() == 1.5
    assert row_errors(np.zeros((2, 0)), 0.5).shape == (2, 0)


class TestErrorBounds:
    def test_each_is_computed_once(self):
        calls = []

        def reference(x):
            calls.append(1)
            return x * 3

        bounds = ErrorBounds(
            reference, case_from_arrays(op_of(reference), {"x": np.ones(3, np.float32)}), "float32"
        )
        assert not calls
        bounds.traced("output")
        first = len(calls)
        bounds.traced("output")
        assert len(calls) == first
        bounds.widened("output")
        after = len(calls)
        bounds.widened("output")
        assert len(calls) == after > first

    def test_the_spread_leaves_what_is_exact_alone(self):
        bounds = ErrorBounds(
            np.negative, case_from_arrays(op_of(np.negative), {"x": np.ones(3, np.float32)}), "float32"
        )
        assert bounds.traced("output").tolist() == [0.0] * 3
        assert bounds.widened("output").tolist() == [0.0] * 3
