"""One attempt: what counts as a try, and how short the id of a smaller case is."""

from __future__ import annotations

import pytest
from broken_kernels import double_op

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.minimize import signature_of_error
from pytest_gpuemu.engine.minimize.attempts import Attempts, OutOfBudget
from pytest_gpuemu.engine.plan import plan_case

FAILURE = signature_of_error("it fails")


def attempts_at(op, seed=5, edits="", max_cases=10, fails=lambda case_id: FAILURE):
    return Attempts(op, plan_case(op, seed, edits), FAILURE, fails, max_cases, lambda: False)


def test_the_id_says_only_what_the_seed_does_not_draw():
    op = double_op()
    attempts = attempts_at(op)
    drawn = attempts.plan

    assert attempts.accepts(
        dims={"rows": drawn.dims["rows"], "cols": drawn.dims["cols"] + 1}, dtype=drawn.dtype
    )
    assert attempts.plan.edits == f"cols={drawn.dims['cols'] + 1}"


def test_the_id_names_no_draw_of_constant_values():
    attempts = attempts_at(double_op())

    assert attempts.accepts(values={"x": "ones"}, draw=3)
    assert attempts.plan.edits == "values.x=ones"


def test_the_same_case_under_another_name_is_no_run():
    attempts = attempts_at(double_op())

    assert not attempts.accepts(dtype=attempts.plan.dtype)
    assert not attempts.accepts(values={"x": attempts.plan.values["x"]})
    assert attempts.cases == 0


def test_a_case_that_the_op_cannot_have_is_no_run():
    attempts = attempts_at(double_op(where=["rows <= cols"]))

    assert not attempts.accepts(dims={"rows": 9, "cols": 3})
    assert attempts.cases == 0


def test_what_did_not_fail_is_not_run_again():
    attempts = attempts_at(double_op(), fails=lambda case_id: None)

    assert [attempts.accepts(dims={"rows": 1, "cols": 1}) for _ in range(2)] == [False, False]
    assert attempts.cases == 1


def test_a_choice_that_no_node_id_can_hold_is_not_tried():
    op = define_op(
        "p", reference=lambda x, axes: x, schema="x[N] -> [N]", params={"axes": [[0, 1], (0, 1), None]}
    )
    attempts = attempts_at(op, seed=next(s for s in range(50) if plan_case(op, s).params["axes"] is None))

    assert not attempts.accepts(params={"axes": [0, 1]})
    assert attempts.accepts(params={"axes": (0, 1)})
    assert attempts.plan.params == {"axes": (0, 1)}


def test_no_run_is_made_beyond_the_budget():
    attempts = attempts_at(double_op(), max_cases=1)
    attempts.accepts(dims={"rows": 2, "cols": 2})

    with pytest.raises(OutOfBudget):
        attempts.accepts(dims={"rows": 1, "cols": 1})
