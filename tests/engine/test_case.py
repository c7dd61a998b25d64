"""Cases: the same bytes and strides for the same op, seed and edits; and cases of a caller's own arrays."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuemu.engine.buffers import bits
from pytest_gpuemu.engine.case import build_case, case_from_arrays, make_case
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.op import LAYOUTS
from pytest_gpuemu.engine.plan import plan_case

seeds = st.integers(0, 2**64 - 1)


def op(schema="a[M,K], b[K,N] -> [M,N]", **keys):
    return define_op("mine", reference=lambda *inputs, **params: inputs[0], schema=schema, **keys)


MATMUL = op(params={"alpha": [0.5, 1.0]})
FOUR = op("x[A,B,C,D], i[B] -> [A]", max_bytes=2**18, inputs={"i": {"kind": "index", "of": "A"}})


def digest(case):
    """Of all bytes that are watched, strides, guards and gaps."""
    found = hashlib.sha256(repr((case.plan.case_id, case.params)).encode())
    for name, buffer in case.buffers.items():
        found.update(repr((name, buffer.view.shape, buffer.view.strides, str(buffer.view.dtype))).encode())
        found.update(buffer.watched.tobytes())
    return found.hexdigest()


@settings(max_examples=30)
@given(seed=seeds)
def test_the_same_op_seed_and_edits_give_the_same_bytes_and_strides(seed):
    assert digest(make_case(FOUR, seed)) == digest(make_case(FOUR, seed))
    assert digest(make_case(FOUR, seed, "A=1")) == digest(make_case(FOUR, seed, "A=1"))


def test_another_process_with_another_hash_seed_gives_the_same_bytes():
    program = (
        "from tests.engine.test_case import FOUR, digest, make_case\n"
        "print([digest(make_case(FOUR, seed)) for seed in range(8)])"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }

    assert printed == {str([digest(make_case(FOUR, seed)) for seed in range(8)])}


@settings(max_examples=50)
@given(seed=seeds)
def test_originals_are_equal_contiguous_copies_that_share_no_memory(seed):
    case = make_case(FOUR, seed)

    for name, view in case.inputs.items():
        assert case.originals[name].flags.c_contiguous
        assert np.array_equal(bits(case.originals[name]), bits(view))
        assert not np.may_share_memory(case.originals[name], view)
        assert case.buffers[name].guard_damage() is None


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "huge"])
def test_the_layout_reaches_the_array(layout):
    view = make_case(FOUR, 3, f"A=3,B=4,C=5,D=6,dtype=float32,layout.x={layout}").inputs["x"]
    dense = (480, 120, 24, 4)

    seen = {
        "contiguous": view.strides == dense and view.ctypes.data % 256 == 0,
        "offset": view.strides == dense and view.ctypes.data % 256 != 0,
        "strided": any(step > whole for step, whole in zip(view.strides, dense, strict=True)),
        "transposed": sorted(view.strides, reverse=True) != list(view.strides),
        "channels_last": view.strides == (480, 4, 96, 16),
        "reversed": min(view.strides) < 0,
        "broadcast": 0 in view.strides,
    }
    assert seen[layout]


def test_values_are_equal_along_an_axis_of_stride_0():
    case = make_case(FOUR, 3, "A=3,B=4,C=5,D=6,layout.x=broadcast")
    axis = case.inputs["x"].strides.index(0)
    first = case.originals["x"].take([0], axis=axis)

    assert np.array_equal(bits(np.broadcast_to(first, (3, 4, 5, 6)).copy()), bits(case.originals["x"]))


def test_value_edits_fill_the_inputs_of_their_kind():
    assert np.all(make_case(FOUR, 3, "values=zeros").originals["x"] == 0)
    assert np.all(make_case(FOUR, 3, "values.x=ones").originals["x"] == 1)


def test_kept_elements_have_their_value_and_the_others_are_zero():
    whole = make_case(MATMUL, 4, "M=4,K=5,N=2,values=integers,layout=contiguous").originals["a"]
    kept = make_case(MATMUL, 4, "M=4,K=5,N=2,values=integers,layout=contiguous,keep.a=3:19:500").originals[
        "a"
    ]

    expected = np.zeros_like(whole)
    expected.reshape(-1)[[3, 19]] = whole.reshape(-1)[[3, 19]]
    assert np.array_equal(kept, expected)


def test_what_lies_around_an_index_is_an_index_too():
    """Guards: a kernel that reads past its indices should be wrong, not take the process with it."""
    case = make_case(FOUR, 3, "A=7,B=3,layout.i=strided")
    buffer = case.buffers["i"]

    assert np.all(buffer.base[: buffer.placement.lowest].view(np.int64) == 6)


@settings(max_examples=25)
@given(seed=seeds)
def test_inputs_of_every_dtype_are_built(seed):
    mine = narrow_op(
        MATMUL,
        dtypes=["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"],
        max_bytes=2**16,
    )
    plan = plan_case(mine, seed)

    assert {str(view.dtype) for view in build_case(mine, plan).inputs.values()} == {plan.dtype}


def test_a_case_of_own_arrays_takes_its_dims_from_their_shapes():
    a, b = np.ones((2, 3), np.float16), np.ones((3, 4), np.float16)[:, ::2]
    case = case_from_arrays(MATMUL, {"b": b, "a": a}, {"alpha": 2.0}, seed=9)

    assert case.plan.dims == {"M": 2, "K": 3, "N": 2}
    assert list(case.inputs) == ["a", "b"]
    assert (case.plan.dtype, case.params, case.plan.seed) == ("float16", {"alpha": 2.0}, 9)
    assert case.inputs["b"] is b
    assert not np.may_share_memory(case.originals["a"], a)
    assert case.buffers == {}


def test_params_that_are_not_given_have_their_first_choice():
    case = case_from_arrays(MATMUL, {"a": np.ones((1, 1)), "b": np.ones((1, 1))})

    assert case.params == {"alpha": 0.5}


def test_products_and_sums_give_the_dim_that_is_unknown():
    heads = op("q[H*G,S], k[H,S], at[N+1] -> [H]")
    case = case_from_arrays(heads, {"q": np.ones((6, 5)), "k": np.ones((2, 5)), "at": np.ones(4)})

    assert case.plan.dims == {"H": 2, "G": 3, "S": 5, "N": 3}


def test_one_input_is_taken_under_any_name():
    assert list(case_from_arrays(op("input[N] -> [N]"), {"logits": np.ones(3)}).inputs) == ["input"]


@pytest.mark.parametrize(
    ("inputs", "params", "message"),
    [
        ({"a": (2, 3)}, {}, "op 'mine': input 'b' is missing among a"),
        ({"a": (2, 3), "b": (3, 4), "bb": (1,)}, {}, "unknown input 'bb'; did you mean 'b'?"),
        ({"a": (2, 3), "b": (4, 5)}, {}, "op 'mine': dim K is 3 in 'a' but 4 in 'b'"),
        ({"a": (2,), "b": (3, 4)}, {}, "input 'a' has shape [2], but the schema gives it 2 dims, [M, K]"),
        ({"a": (2, 3), "b": (3, 4)}, {"alhpa": 1}, "unknown param 'alhpa'; did you mean 'alpha'?"),
    ],
)
def test_arrays_that_do_not_fit_are_named(inputs, params, message):
    with pytest.raises(ConfigError) as error:
        case_from_arrays(MATMUL, {name: np.ones(shape) for name, shape in inputs.items()}, params)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("schema", "shapes", "message"),
    [
        (
            "q[H*G], k[H] -> [H]",
            {"q": (5,), "k": (2,)},
            "op 'mine': no shape tells G of H*G = 5 in input 'q'",
        ),
        (
            "x[N], at[N+1] -> [N]",
            {"x": (5,), "at": (5,)},
            "op 'mine': input 'at' has size 5, but N+1 is 6 for N=5",
        ),
        ("x[N,4] -> [N]", {"x": (5, 3)}, "op 'mine': input 'x' has size 3, but the schema says 4"),
    ],
)
def test_compound_dims_that_do_not_fit_are_named(schema, shapes, message):
    with pytest.raises(ConfigError) as error:
        case_from_arrays(op(schema), {name: np.ones(shape) for name, shape in shapes.items()})

    assert message in str(error.value)


def test_a_dtype_that_is_none_of_ours_is_named():
    with pytest.raises(ConfigError, match="op 'mine': input 'x': 'complex64' is not a dtype"):
        case_from_arrays(op("x[N] -> [N]"), {"x": np.ones(3, np.complex64)})
