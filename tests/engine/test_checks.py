"""Memory checks on torch tensors made from a case's buffers: a store through a pointer is seen."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.output_buffers import make_outputs

torch = pytest.importorskip("torch")


def case_with_outputs(layout="contiguous"):
    """A case, its input as a tensor, and an output of it that is right."""
    op = define_op(
        "double",
        reference=lambda x: 2 * x,
        schema="x[M,N] -> y[M,N]",
        dims={"M": [3], "N": [5]},
        dtypes=["float32"],
        layouts=[layout],
        values=["uniform"],
        outputs={"y": {"layouts": [layout]}},
    )
    case = make_case(op, 1)
    y = arrays.from_numpy(make_outputs(case)["y"], "torch")
    x = arrays.from_numpy(case.inputs["x"], "torch")
    y.copy_(2 * x)
    return case, x, y


def kinds(case, x, y=None):
    return [finding.kind for finding in judge(case, y, inputs={"x": x}, device="cpu").findings]


def store(address, value=1.0):
    """What a kernel's store through a pointer does."""
    ctypes.c_float.from_address(address).value = value


@pytest.mark.parametrize("layout", ["contiguous", "strided", "transposed", "offset"])
def test_a_right_output_in_our_memory_passes(layout):
    case, x, y = case_with_outputs(layout)
    assert kinds(case, x, y) == []
    assert kinds(case, x) == []


@pytest.mark.parametrize("role", ["input", "output"])
@pytest.mark.parametrize("elements", [-1, 15, 15 + 1023])
def test_a_store_beside_a_tensor_is_found_in_its_guard_band(role, elements):
    case, x, y = case_with_outputs()
    store((x if role == "input" else y).data_ptr() + 4 * elements)
    assert kinds(case, x, y) == ["GuardOverwritten"]


def test_a_store_into_the_gap_of_a_strided_output_is_found():
    case, x, y = case_with_outputs("strided")
    rows, columns = y.stride()
    gap = 1 if columns > 1 else 5 * columns
    assert gap not in {rows * i + columns * j for i in range(3) for j in range(5)}
    store(y.data_ptr() + 4 * gap)
    assert kinds(case, x, y) == ["GuardOverwritten"]


def test_an_input_that_is_written_through_its_pointer_is_modified():
    case, x, y = case_with_outputs()
    store(x.data_ptr() + 4 * 7, 77.0)
    assert kinds(case, x, y) == ["InputModified"]


def test_an_element_left_out_is_unwritten_and_one_written_with_nan_is_not():
    case, x, y = case_with_outputs()
    y[2, 4] = float("nan")
    assert kinds(case, x) == ["NaNDetected"]
    case.output_buffers["y"].poison(0)
    y[:2] = 2 * x[:2]
    assert kinds(case, x) == ["Unwritten", "NaNDetected"]


def test_a_view_of_the_input_is_aliased_and_a_copy_is_not():
    op = define_op("same", reference=lambda x: x, schema="x[M,N] -> y[M,N]", dtypes=["float32"])
    case = make_case(op, 1)
    x = torch.from_numpy(np.ascontiguousarray(case.inputs["x"]))
    assert kinds(case, x, x.view(x.shape)) == ["Aliased"]
    assert kinds(case, x, x.clone()) == []


@pytest.mark.parametrize(
    ("layouts", "right", "wrong"),
    [
        (["contiguous"], lambda y: y, lambda y: y.T.copy().T),
        (["transposed"], lambda y: y.T.copy().T, lambda y: np.repeat(y, 2, axis=1)[:, ::2]),
        (["strided"], lambda y: np.repeat(y, 2, axis=1)[:, ::2], lambda y: np.broadcast_to(y[:1], y.shape)),
    ],
)
def test_a_returned_output_has_a_layout_of_the_op_where_that_is_asked_for(layouts, right, wrong):
    op = define_op(
        "zeros",
        reference=lambda x: x * 0,
        schema="x[M,N] -> y[M,N]",
        dims={"M": [3], "N": [5]},
        values=["uniform"],
        outputs={"y": {"layouts": layouts}},
        checks={"layout": True},
    )
    case = make_case(op, 1)
    y = np.zeros((3, 5), case.inputs["x"].dtype)
    assert judge(case, right(y)).status == "passed"
    assert [finding.kind for finding in judge(case, wrong(y)).findings] == ["LayoutMismatch"]
    loose = make_case(narrow_op(op, checks={"layout": False}), 1)
    assert judge(loose, wrong(y)).status == "passed"


@pytest.mark.parametrize("change", ["x.t_()", "x.resize_(2, 2)", "x.unsqueeze_(0)"])
def test_a_shape_that_is_changed_in_place_is_a_modified_input(change):
    """Guards: comparing arrays of two shapes raised NumPy's broadcast error instead of giving a verdict."""
    case, x, y = case_with_outputs()
    exec(change, {"x": x})
    (finding,) = judge(case, y, inputs={"x": x}, device="cpu").findings
    assert finding.kind == "InputModified"
    assert "the shape was changed in place from [3, 5] to" in finding.message
