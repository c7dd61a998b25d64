"""Failures that hang on few values: what is left of them is few, small and plain."""

from __future__ import annotations

import numpy as np
from broken_kernels import double, double_op, failing_seed, minimized

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.minimize.attempts import elements
from pytest_gpuemu.engine.minimize.describe import describe_smallest
from pytest_gpuemu.engine.plan import parse_case_id, plan_case

MAX = define_op(
    "row_max", reference=lambda x: x.max(axis=-1), schema="x[rows,cols] -> [rows]", dtypes=["float32"]
)


def smallest(op, kernel):
    found = minimized(op, kernel, failing_seed(op, kernel, lambda plan: elements(plan) > 200), max_cases=200)
    return found, make_case(op, *parse_case_id(found.case_id)).originals["x"]


def test_where_a_large_element_is_enough_one_is_left():
    op = double_op(values=["uniform", "normal", "wide", "integers"])

    _, x = smallest(op, lambda x: double(x) + (x > 3))

    assert x.size == 1
    assert 3 < x.item() < 10


def test_where_a_negative_element_is_enough_one_whole_number_is_left():
    op = double_op(values=["uniform", "normal", "wide", "integers"])

    _, x = smallest(op, lambda x: double(x) + (x < 0))

    assert x.size == 1
    assert -10 <= x.item() == int(x.item()) < 0


def test_where_one_nan_in_a_row_is_enough_one_is_left():
    def kernel(x):
        y = x.max(axis=-1)
        return np.where(np.isnan(x).sum(axis=-1) == 1, np.float32(0), y)

    _, x = smallest(MAX, kernel)

    assert x.size == 1
    assert np.isnan(x).all()


def test_where_a_nan_beside_numbers_is_lost_few_elements_are_left():
    def kernel(x):
        return np.fmax.reduce(x, axis=-1)  # NaN only where all are

    _, x = smallest(MAX, kernel)

    assert x.size <= 3
    assert np.isnan(x).sum() == 1
    assert (x[~np.isnan(x)] == 0).all()


def test_where_two_elements_tie_they_are_left_and_plain():
    def kernel(x):
        y = x.max(axis=-1)
        return y + ((x == y[:, None]).sum(axis=-1) == 2)

    found, x = smallest(MAX, kernel)

    assert x.shape == (1, 2)
    assert x[0, 0] == x[0, 1]
    assert found.plan.values["x"] in ("zeros", "ones")


def test_where_a_few_rows_have_what_it_takes_one_is_left():
    """Guards: a smaller case has other values, so that dims alone stopped at many rows."""

    def kernel(x):
        y = x.max(axis=-1)
        return np.where(x.argmax(axis=-1) >= 32, y - 1, y)  # the largest is the last of 33

    op = define_op(
        "row_max",
        reference=lambda x: x.max(axis=-1),
        schema="x[rows,cols] -> [rows]",
        dims={"rows": (1, 400), "cols": [33]},
        dtypes=["float32"],
        values=["uniform"],
    )

    found, _ = smallest(op, kernel)

    assert found.plan.dims["rows"] <= 8


def told(edits):
    op = double_op(dtypes=["float32"])
    line = describe_smallest(op, plan_case(op, 3, f"layout=contiguous,values=integers,{edits}"))
    return line, make_case(op, 3, f"layout=contiguous,values=integers,{edits}").originals["x"]


def test_the_line_tells_few_values_themselves():
    line, x = told("rows=1,cols=2,keep.x=1")

    assert line == f"x float32 [1, 2] = [[0, {int(x[0, 1])}]]"


def test_the_line_tells_where_the_values_came_from_where_they_are_many():
    line, _ = told("rows=1,cols=9,keep.x=1")

    assert line == "x float32 [1, 9], values integers, 0 but at 1"
