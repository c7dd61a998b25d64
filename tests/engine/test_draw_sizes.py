"""Drawing sizes: conditions are met or named, and limits hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.draw_sizes import draw_sizes
from pytest_gpuemu.engine.errors import SchemaError
from pytest_gpuemu.engine.rng import SeededRng

seeds = st.integers(0, 2**64 - 1)


def op(schema, **keys):
    return define_op("mine", reference=lambda *inputs: inputs[0], schema=schema, **keys)


RARE = op("x[A,B,C] -> [A]", dims={"A": (1, 300), "B": (1, 300)}, where=["A*B == C", "A != B", "3 < B"])
CHAIN = op("x[A,B,C] -> [A]", where=["A < B", "C >= B"])
INDEXED = op("w[V], i[N] -> [N]", dims={"V": [0, 3]}, inputs={"i": {"kind": "index", "of": "V"}})


@given(seed=seeds)
def test_conditions_that_random_sizes_seldom_meet_hold(seed):
    sizes = draw_sizes(RARE, "float32", SeededRng(seed))
    chain = draw_sizes(CHAIN, "float32", SeededRng(seed))

    assert sizes["A"] * sizes["B"] == sizes["C"]
    assert sizes["A"] != sizes["B"] > 3
    assert chain["A"] < chain["B"] <= chain["C"]


@given(seed=seeds)
def test_there_is_something_to_index_where_there_are_indices(seed):
    assert draw_sizes(INDEXED, "float32", SeededRng(seed))["V"] == 3


def test_an_op_of_0_d_tensors_has_no_sizes():
    assert draw_sizes(op("x[] -> []"), "float32", SeededRng(1)) == {}


@pytest.mark.parametrize(
    ("schema", "keys", "message"),
    [
        (
            "x[A,B] -> [A]",
            {"dims": {"A": [4], "B": [1, 2]}, "where": ["A <= B"]},
            "op 'mine': where: no sizes found for which A <= B holds, tried last: A=4, B=",
        ),
        (
            "x[A] -> [A]",
            {"dims": {"A": [1000, 2000]}, "max_bytes": 4096},
            "the smallest sizes found, A=1000, need 8000 bytes in float32, more than max_bytes = 4096; "
            "give smaller dims or a larger max_bytes",
        ),
        (
            "w[V], i[N] -> [N]",
            {"dims": {"V": [0]}, "inputs": {"i": {"kind": "index", "of": "V"}}},
            "indices below V = 0; let V begin at 1",
        ),
        (
            "x[M], at[N] -> [M]",
            {"dims": {"N": [1], "M": [3]}, "inputs": {"at": {"kind": "offsets", "of": "M"}}},
            "input 'at' has 1 offsets, too few to go from 0 to M = 3; give it N+1",
        ),
        (
            "x[M] -> [M]",
            {"dims": {"M": [3]}, "inputs": {"x": {"dtype": "int32", "low": 3, "high": "M"}}},
            "input 'x': no value lies between low = 3 and high = 3",
        ),
    ],
)
def test_sizes_that_no_case_can_have_are_named(schema, keys, message):
    with pytest.raises(SchemaError) as error:
        draw_sizes(op(schema, **keys), "float32", SeededRng(1))

    assert message in str(error.value)
