"""Where inputs hold NaN and infinities: said where the wrong elements have to do with them, and else not."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.report import describe_failure

INF, NAN = np.inf, np.nan


def row_sum(x):
    return x.sum(axis=-1)


def held(inputs, output, reference=row_sum, schema="x[M,N] -> [M]"):
    """What the report of a wrong output says that the inputs hold."""
    op = define_op("mine", reference=reference, schema=schema)
    case = case_from_arrays(op, {name: np.array(x, np.float32) for name, x in inputs.items()})
    verdict = judge(case, np.array(output, np.float32))
    assert verdict.failed
    marker = "  holds   "
    lines = describe_failure(case, verdict)
    return [line.removeprefix(marker) for line in lines if line.startswith(marker)]


def test_a_place_and_a_row_that_the_wrong_elements_depend_on_are_named():
    x = np.ones((6, 4))
    x[3, 2], x[5, :] = NAN, -INF
    assert held({"x": x}, [4, 4, 4, 4, 4, 4]) == ["NaN at [3, 2]; -inf in row 5"]


def test_neighbours_are_a_range_and_many_places_are_counted():
    x = np.ones((9, 12))
    x[0, 3:8] = INF
    x[1:9, 5] = NAN
    assert held({"x": x}, np.full(9, 12.0)) == ["NaN at [1, 5], [2, 5], [3, 5] and 5 more; inf at [0, 3:8]"]


def test_the_rows_that_are_wrong_come_first():
    x = np.ones((9, 3))
    x[[0, 2, 4, 8], 1] = NAN
    right = np.where(np.isnan(x).any(axis=-1), NAN, 3.0)
    right[8] = 0.0
    assert held({"x": x}, right) == ["NaN at [8, 1], [0, 1], [2, 1] and 1 more"]


def test_nothing_is_said_where_the_wrong_element_does_not_depend_on_them():
    x = np.ones((3, 4))
    x[0, 0] = NAN
    assert held({"x": x}, [NAN, 4, 5]) == []


def test_a_nan_that_a_kernel_carries_elsewhere_is_said_to_come_from_somewhere():
    """A kernel that multiplies by a mask of 0 makes NaN of an infinity that the reference never reads."""
    x = np.ones((2, 4))
    x[1, 0] = INF
    first = lambda x: x[:1].sum(axis=-1)  # noqa: E731
    assert held({"x": x}, [NAN], first, "x[M,N] -> [1]") == ["inf at [1, 0]"]


def test_of_several_inputs_each_is_named_that_holds_any():
    inputs = {"a": [1.0, NAN, 3.0], "b": [1.0, 2.0, 3.0], "c": NAN}
    found = held(inputs, [1, 2, 3], lambda a, b, c: a + b + c, "a[N], b[N], c[] -> [N]")
    assert found == ["a: NaN at [1]", "c: NaN"]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_an_input_of_nothing_else_is_so_everywhere(rank):
    x = np.full((2, 3, 4)[:rank], -INF)
    names = "".join(f",{name}" for name in "ABC"[:rank])[1:]
    assert held({"x": x}, 0.0, lambda x: x.sum(), f"x[{names}] -> []") == ["-inf everywhere"]


def test_finite_inputs_and_integers_say_nothing():
    assert held({"x": np.ones((2, 3))}, [3, 4]) == []


def test_a_row_of_several_dims_is_named_by_its_index():
    x = np.ones((2, 3, 4))
    x[1, 2] = -INF
    assert held({"x": x}, np.full((2, 3), 4.0), row_sum, "x[B,M,N] -> [B,M]") == ["-inf in row [1, 2]"]
