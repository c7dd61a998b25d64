"""Caps: a case is never larger or less plain than its cap, nor than its seed draws it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.caps import capped_edits, caps_of
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import SeedError
from pytest_gpuemu.engine.minimize.dtype import PLAINEST_FIRST as DTYPES
from pytest_gpuemu.engine.minimize.values import PLAINEST_FIRST as VALUES
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.plan import plan_case

OPS = ("softmax", "matmul", "attention", "embedding", "conv2d", "cross_entropy", "layer_norm")


def capped(op, seed, positions):
    drawn = plan_case(op, seed)
    edits = capped_edits(op, drawn, {cap.name: cap.positions for cap in caps_of(op)} | positions)
    return plan_case(op, seed, edits) if edits else drawn


@given(name=st.sampled_from(OPS), seed=st.integers(0, 2**32), data=st.data())
def test_a_capped_case_is_nowhere_larger_or_less_plain_than_the_drawn_one(name, seed, data):
    op = BUILTIN_OPS[name]
    positions = {cap.name: data.draw(st.integers(0, cap.positions), label=cap.name) for cap in caps_of(op)}
    drawn = plan_case(op, seed)

    try:
        plan = capped(op, seed, positions)
    except SeedError:  # a condition between dims
        return

    assert all(plan.dims[dim] <= size for dim, size in drawn.dims.items())
    assert DTYPES.index(plan.dtype) <= DTYPES.index(drawn.dtype)
    for x in op.inputs:
        assert plan.layouts[x.name] in ("contiguous", drawn.layouts[x.name])
        if x.kind == "values":
            assert VALUES.index(plan.values[x.name]) <= VALUES.index(drawn.values[x.name])


@pytest.mark.parametrize("seed", range(5))
def test_the_same_cap_holds_for_every_seed(seed):
    """Guards: a cap counted from the drawn size, so that another seed made the case larger again."""
    plan = capped(BUILTIN_OPS["matmul"], seed, {"dim.M": 4, "dim.K": 0, "dtype": 0})

    assert plan.dims["M"] <= 5
    assert plan.dims["K"] == 1
    assert plan.dtype == "float32"


def test_caps_at_0_give_the_plainest_case():
    op = BUILTIN_OPS["softmax"]
    plan = capped(op, 3, {cap.name: 0 for cap in caps_of(op)})

    assert plan.dims == {"rows": 1, "cols": 1}
    assert plan.edits.endswith("layout=contiguous,values=zeros") or plan.layouts["input"] == "contiguous"
    assert (plan.dtype, plan.values["input"]) == ("float32", "zeros")


def test_choices_params_and_configs_are_capped_to_those_before():
    op = define_op(
        "scaled",
        reference=lambda x, alpha: alpha * x,
        schema="x[N] -> [N]",
        dims={"N": [4, 16, 64]},
        params={"alpha": [1.0, 0.5, 0.0]},
        configs=[{"BLOCK": 8}, {"BLOCK": 16}],
    )
    last = next(seed for seed in range(200) if plan_case(op, seed).params == {"alpha": 0.0})
    plan = capped(op, last, {"param.alpha": 1, "dim.N": 0, "config": 0})

    assert (plan.params, plan.dims, plan.config) == ({"alpha": 0.5}, {"N": 4}, {"BLOCK": 8})


def test_nothing_capped_is_no_edit():
    op = BUILTIN_OPS["attention"]
    positions = {cap.name: cap.positions for cap in caps_of(op)}

    assert capped_edits(op, plan_case(op, 9), positions) == ""
