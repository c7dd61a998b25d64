"""What a test is worth: weak cases and tolerances are named, right ones are not, and no kernel is needed."""

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.fakes import fakes
from pytest_gpuemu.engine.op import Invariant
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.engine.worth import measure


def op(reference, schema="x[M,N] -> [M,N]", **keys):
    return define_op("mine", reference=reference, schema=schema, **keys)


def worth_of(mine, count=25, **keys):
    return measure(mine, [plan_case(mine, seed) for seed in campaign_seeds(mine, 1, count)], **keys)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def masked_sum(x, keep):
    return np.where(keep, x, 0.0).sum(-1)


@pytest.mark.parametrize("name", ["softmax", "matmul", "cross_entropy", "argmax", "layer_norm_backward"])
def test_the_derived_tolerance_kills_every_fake_of_an_ordinary_op(name):
    worth = worth_of(BUILTIN_OPS[name])

    assert len(worth.killed) >= 12
    assert worth.survived == set()
    assert (worth.trivial, worth.loose, worth.ignored) == ({}, {}, [])


def test_a_tolerance_that_zeros_would_pass_is_named_with_the_case():
    """Guards: atol=0.5 on softmax accepts anything, and nobody saw it while the kernel was right."""
    worth = worth_of(op(softmax, tolerance={"atol": 1.0}))

    assert {"zeros", "a constant"} <= set(worth.trivial)
    assert {"zeros", "the last row 0"} <= worth.survived
    assert worth.trivial["zeros"].isdigit()
    assert worth.loose["output"] > 1000


def test_a_tolerance_near_the_derived_one_is_not_named():
    worth = worth_of(op(softmax, tolerance={"ulp": 4}))

    assert (worth.trivial, worth.loose) == ({}, {})
    assert "zeros" in worth.killed


def test_zeros_are_named_only_where_the_given_tolerance_is_to_blame():
    """relu of negative values is 0: zeros are right there, whatever the tolerance."""
    always_zero = op(lambda x: np.maximum(-np.abs(x), 0.0), values=["normal"], tolerance={"ulp": 1})

    assert worth_of(always_zero).trivial == {}


def test_an_input_that_the_reference_ignores_is_named():
    """Guards: a reference that forgot its mask agreed with a kernel that forgot it, too."""
    forgetful = op(lambda x, keep: x.sum(-1), "x[M,N], keep[M,N] -> [M]", inputs={"keep": {"kind": "mask"}})
    careful = op(masked_sum, "x[M,N], keep[M,N] -> [M]", inputs={"keep": {"kind": "mask"}})

    assert worth_of(forgetful).ignored == ["keep"]
    assert worth_of(careful).ignored == []


def test_an_input_that_matters_only_in_some_cases_is_not_named():
    sometimes = op(lambda x, w, on: x * w if on else x, "x[N], w[N] -> [N]", params={"on": [True, False]})

    assert worth_of(sometimes).ignored == []


def test_nothing_is_measured_where_values_are_not_checked_or_the_reference_fails():
    def failing(x):
        raise ValueError("no")

    assert worth_of(op(softmax, checks={"values": False})).cases == 0
    assert worth_of(op(failing)).cases == 0


def test_no_case_is_begun_after_the_time_is_up():
    assert worth_of(op(softmax, tolerance={"atol": 1.0})).cases == 4
    assert worth_of(op(softmax, tolerance={"atol": 1.0}), time_s=0.0).cases == 1


def test_an_invariant_that_raises_for_a_fake_refuses_it():
    def sums_to_one(outputs, inputs, params):
        if not outputs["output"].any():
            raise ZeroDivisionError

    invariant = Invariant(name="sums to one", check=sums_to_one)
    worth = worth_of(op(softmax, tolerance={"atol": 10.0}, invariants=[invariant]))

    assert "zeros" in worth.killed
    assert "the last row 0" in worth.survived


def test_fakes_have_the_right_shapes_and_dtypes_and_differ_from_the_right_output():
    mine = op(softmax, dtypes=["float16"])
    case = case_from_arrays(mine, {"x": np.arange(12, dtype=np.float16).reshape(3, 4)})
    right = {"output": softmax(np.arange(12.0).reshape(3, 4)).astype(np.float16)}

    made = dict(fakes(case, right))

    assert len(made) > 25
    assert all(fake["output"].shape == (3, 4) for fake in made.values())
    assert all(fake["output"].dtype == np.float16 for fake in made.values())
    assert not any(np.array_equal(fake["output"], right["output"]) for fake in made.values())
    assert "two rows swapped" not in made  # equal rows here: no fake
    assert made["the input x"]["output"].tolist() == case.originals["x"].tolist()
    assert "doubled" not in dict(fakes(case, right, {"doubled"}))
    assert right["output"].tolist() == softmax(np.arange(12.0).reshape(3, 4)).astype(np.float16).tolist()


def test_integers_and_several_outputs_have_fakes_too():
    mine = define_op(
        "two",
        reference=lambda x: (x, x),
        schema="x[N] -> y[N], n[N]",
        outputs={"n": {"dtype": "int8"}},
        dtypes=["float32"],
    )
    case = case_from_arrays(mine, {"x": np.array([1.5, -2.0, 300.0], np.float32)})
    right = {"y": case.originals["x"], "n": np.array([1, -2, 127], np.int8)}

    made = dict(fakes(case, right))

    assert made["n: doubled"]["n"].tolist() == [2, -4, 127]
    assert made["n: doubled"]["y"] is right["y"]
    assert made["y: doubled"]["y"].tolist() == [3.0, -4.0, 600.0]
    assert made["zeros"]["n"].tolist() == made["zeros"]["y"].tolist() == [0, 0, 0]
