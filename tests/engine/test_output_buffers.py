"""Output buffers: their shape and dtype are known before anything expected exists."""

import numpy as np

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.output_buffers import make_outputs


def op(schema, reference, **keys):
    return define_op("mine", reference=reference, schema=schema, **keys)


def test_outputs_have_the_shape_of_the_schema_and_the_dtype_of_the_first_floating_input():
    mine = op("i[M], x[M,N] -> y[N,M]", lambda i, x: x.T, inputs={"i": {"dtype": "int32"}})
    case = make_case(mine, 1, "M=2,N=3,dtype=bfloat16")

    outputs = make_outputs(case)

    assert (outputs["y"].shape, str(outputs["y"].dtype)) == ((3, 2), "bfloat16")
    assert case.output_buffers["y"].unwritten().all()
    assert case.output_buffers["y"].guard_damage() is None


def test_a_declared_dtype_and_layout_are_kept():
    mine = op("x[M,N] -> y[M,N]", lambda x: x, outputs={"y": {"dtype": "int8", "layouts": ["transposed"]}})
    y = make_outputs(make_case(mine, 1, "M=2,N=3"))["y"]

    assert str(y.dtype) == "int8"
    assert y.strides == (1, 2)


def test_the_reference_tells_integers_and_bools_and_shapes_that_the_schema_leaves_open():
    mine = op("x[M,N] -> at[M], all[...]", lambda x: (x.argmax(1), x[:, None] > 0))
    outputs = make_outputs(make_case(mine, 1, "M=2,N=3"))

    assert str(outputs["at"].dtype) == "int64"
    assert (outputs["all"].shape, str(outputs["all"].dtype)) == ((2, 1, 3), "bool")


def test_the_reference_sees_ones_and_none_of_the_values_of_the_case():
    """Guards: a kernel that searched the memory could find what is expected of it."""
    seen = []
    mine = op("x[N] -> [...]", lambda x: seen.append(x.copy()) or x)
    case = make_case(mine, 1, "N=5,values=zeros")

    make_outputs(case)

    assert np.array_equal(seen, [np.ones(5)])
    assert np.all(case.originals["x"] == 0)


def test_the_two_poisons_can_be_chosen():
    case = make_case(op("x[N] -> [N]", lambda x: x), 1, "N=5,dtype=float32")
    first = make_outputs(case, 0)["output"].view(np.uint32).copy()
    second = make_outputs(case, 1)["output"].view(np.uint32)

    assert np.all(first != second)
    assert case.output_buffers["output"].unwritten().all()


def test_an_output_that_is_computed_in_place_is_its_input():
    case = make_case(op("x[N] -> y[N]", lambda x: x, inplace={"y": "x"}), 1)

    assert make_outputs(case)["y"] is case.inputs["x"]
    assert case.output_buffers["y"] is case.buffers["x"]
    assert not case.output_buffers["y"].unwritten().any()
