"""What planted bugs shrink to: the smallest case that still shows them."""

from __future__ import annotations

import numpy as np
import pytest
from broken_kernels import double, double_op, failing_seed, failure_of, minimized, row_sum, row_sum_op

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.minimize import minimize, signature_of_error
from pytest_gpuemu.engine.minimize.attempts import elements
from pytest_gpuemu.engine.plan import parse_case_id, plan_case


def drops_tail(x):
    """Sums whole blocks of 32 only, once there is one: right for cols <= 32 and for multiples."""
    cols = x.shape[1]
    return row_sum(x[:, : cols // 32 * 32] if cols > 32 else x)


def unwritten_tail(x):
    y = double(x)
    y[:, x.shape[1] // 32 * 32 :] = 0
    return y


@pytest.mark.parametrize("strategy", [None, "binary-search-dims"])
def test_an_unmasked_tail_shrinks_to_one_row_and_the_smallest_bad_width(strategy):
    op = row_sum_op(values=["uniform", "nonfinite"])
    seed = failing_seed(op, drops_tail, lambda plan: plan.dims["rows"] > 3 and plan.dims["cols"] > 64)

    found = minimized(op, drops_tail, seed, strategy=strategy)

    assert found.plan.dims == {"rows": 1, "cols": 33}
    assert found.is_complete
    assert found.cases <= 60


def test_a_bug_at_multiples_of_a_block_is_found_below_the_sizes_that_pass():
    op = row_sum_op()

    def kernel(x):
        return row_sum(x) + (x.shape[1] % 32 == 0)

    seed = failing_seed(op, kernel, lambda plan: plan.dims["cols"] > 64)

    assert minimized(op, kernel, seed).plan.dims == {"rows": 1, "cols": 32}


def test_a_bug_that_needs_two_equal_dims_shrinks_both_together():
    op = define_square()

    def kernel(x):
        return double(x) + (x.shape[0] == x.shape[1] and x.shape[0] > 4)

    seed = failing_seed(op, kernel, lambda plan: plan.dims["rows"] > 12)

    assert minimized(op, kernel, seed).plan.dims == {"rows": 5, "cols": 5}


def define_square():
    return double_op(dims={"rows": (1, 40), "cols": (1, 40)}, values=["uniform"])


def test_conditions_lists_and_ranges_hold_in_every_try():
    tried = []
    op = double_op(dims={"rows": (3, 300), "cols": [64, 16, 128]}, where=["rows <= cols"])

    def kernel(x):
        tried.append(x.shape)
        return double(x) + 1

    seed = failing_seed(op, kernel, lambda plan: plan.dims["cols"] == 128 and plan.dims["rows"] > 64)

    assert minimized(op, kernel, seed).plan.dims == {"rows": 3, "cols": 16}
    assert all(3 <= rows <= cols and cols in (16, 64, 128) for rows, cols in tried)


def test_a_dim_shared_by_inputs_stays_one_dim():
    op = define_op("matmul", reference=lambda a, b: a @ b, schema="a[M,K], b[K,N] -> [M,N]", max_bytes=2**16)

    def kernel(a, b):
        k = a.shape[1] // 8 * 8
        return (a[:, :k].astype(np.float64) @ b[:k].astype(np.float64)).astype(a.dtype)

    seed = failing_seed(op, kernel, lambda plan: min(plan.dims.values()) > 5)

    found = minimized(op, kernel, seed)

    assert found.plan.shapes == {"a": (1, 1), "b": (1, 1)}


def test_a_bug_of_one_dtype_keeps_that_dtype_and_loses_the_rest():
    op = double_op()

    def kernel(x):
        return double(x) + (x.dtype == np.float16)

    seed = failing_seed(op, kernel, lambda plan: plan.layouts["x"] != "contiguous")

    found = minimized(op, kernel, seed)

    assert found.plan.dtype == "float16"
    assert found.plan.shapes["x"] == (1, 1)
    assert found.plan.layouts["x"] == "contiguous"


def test_a_bug_of_any_dtype_is_shown_in_float32():
    op = double_op()
    seed = failing_seed(op, lambda x: double(x) + 1, lambda plan: plan.dtype == "float16")

    assert minimized(op, lambda x: double(x) + 1, seed).plan.dtype == "float32"


def test_a_bug_of_strided_inputs_keeps_a_layout_and_shrinks():
    op = double_op(layouts=["contiguous", "strided", "transposed"])

    def kernel(x):
        return double(x) if x.flags.c_contiguous else double(x)[::-1, ::-1]

    seed = failing_seed(op, kernel, lambda plan: min(plan.dims.values()) > 8)

    found = minimized(op, kernel, seed)

    assert found.plan.layouts["x"] != "contiguous"
    assert elements(found.plan) <= 4


def test_a_bug_that_needs_no_param_shows_its_first_choice():
    op = scaled_op()

    def kernel(x, scale):
        return x * x.dtype.type(scale) + 1

    seed = failing_seed(op, kernel, lambda plan: plan.params["scale"] == 5)

    assert minimized(op, kernel, seed).plan.params == {"scale": 2}


def test_a_bug_of_one_param_keeps_it():
    op = scaled_op()

    def kernel(x, scale):
        return x * x.dtype.type(2 if scale == 5 else scale)

    found = minimized(op, kernel, failing_seed(op, kernel))

    assert found.plan.params == {"scale": 5}
    assert found.plan.shapes["x"] == (1, 1)


def scaled_op():
    return define_op(
        "scaled",
        reference=lambda x, scale: scale * x,
        schema="x[rows,cols] -> [rows,cols]",
        params={"scale": [2, 3, 5]},
        dtypes=["float32"],
    )


def test_a_row_of_infinities_shrinks_to_few_elements():
    """Guards: dims alone lose the row, since a smaller case draws other values."""
    op = row_sum_op(dtypes=["float32"])

    def kernel(x):
        y = row_sum(x)
        return np.where(np.isneginf(y), 0, y).astype(x.dtype)

    seed = failing_seed(op, kernel, lambda plan: min(plan.dims.values()) > 5)

    found = minimized(op, kernel, seed, max_cases=300)

    assert elements(found.plan) <= 2


def test_only_the_elements_that_matter_are_kept():
    op = row_sum_op(dims={"rows": [1], "cols": [24]}, dtypes=["float32"], values=["nonfinite"])

    def kernel(x):
        return row_sum(np.where(np.isinf(x), 0, x))

    found = minimized(op, kernel, failing_seed(op, kernel), "", max_cases=200)

    assert len(found.plan.keep["x"]) == 1


def test_values_shrink_alone_where_asked_to():
    op = row_sum_op()
    seed = failing_seed(op, drops_tail, lambda plan: plan.values["x"] == "nonfinite")

    found = minimized(op, drops_tail, seed, strategy="binary-search-values")

    assert found.plan.dims == found.original.dims
    assert found.plan.values["x"] in ("ones", "integers")


def test_a_wrong_tail_does_not_turn_into_another_bug():
    """Guards: at one column this kernel fails for another reason, which is the smaller case."""
    op = double_op(dtypes=["float32"], values=["uniform"])

    def kernel(x):
        if x.shape[1] < 8:
            return np.full_like(x, np.nan)
        return unwritten_tail(x)

    seed = failing_seed(op, kernel, lambda plan: plan.dims["cols"] > 40)

    found = minimized(op, kernel, seed)

    assert found.plan.dims["cols"] == 8


def test_a_gross_error_does_not_become_a_rounding_error():
    op = row_sum_op(dtypes=["float16"], values=["one_signed"], layouts=["contiguous"])

    def kernel(x):
        if x.shape[1] <= 64:
            return row_sum(x) * x.dtype.type(1 + 2**-9)
        return drops_tail(x)

    seed = failing_seed(op, kernel, lambda plan: 64 < plan.dims["cols"] < 90 and plan.dims["cols"] % 32 > 16)

    assert minimized(op, kernel, seed).plan.dims["cols"] > 64


def test_the_budget_ends_the_search_with_what_was_found():
    op = row_sum_op()
    seed = failing_seed(op, drops_tail, lambda plan: plan.dims["rows"] > 3 and plan.dims["cols"] > 64)
    times = iter(range(1000))

    by_cases = minimized(op, drops_tail, seed, max_cases=7)
    by_time = minimized(op, drops_tail, seed, time_s=8.0, clock=lambda: float(next(times)))

    assert (by_cases.cases, by_cases.is_complete) == (7, False)
    assert (by_time.cases, by_time.is_complete) == (8, False)
    assert by_cases.plan.dims == {"rows": 1, "cols": by_cases.original.dims["cols"]}


def test_a_case_that_passes_is_not_minimized():
    op = double_op()

    assert minimize(op, 1, "", lambda case_id: failure_of(op, double, case_id)) is None


def test_an_unknown_strategy_is_named():
    with pytest.raises(
        ConfigError, match="strategy = 'binary-search-dim'; did you mean 'binary-search-dims'"
    ):
        minimize(double_op(), 1, "", lambda case_id: None, strategy="binary-search-dim")


def test_an_edited_case_is_minimized_further_and_its_id_gives_the_same_plan():
    op = row_sum_op()
    seed = failing_seed(op, drops_tail, lambda plan: plan.dims["cols"] > 64)

    found = minimized(op, drops_tail, seed, "rows=7,layout=contiguous")

    assert found.plan.dims == {"rows": 1, "cols": 33}
    assert plan_case(op, *parse_case_id(found.case_id)) == found.plan


def test_a_bug_of_any_config_shows_the_first_and_one_of_a_config_keeps_it():
    op = double_op(configs=[16, 32, 64], dims={"rows": [1], "cols": (1, 100)})

    def smallest(is_wrong):
        def fails(case_id):
            plan = plan_case(op, *parse_case_id(case_id))
            return signature_of_error("raises") if is_wrong(plan.config) else None

        return minimize(op, 5, "config=2", fails).plan

    assert smallest(lambda config: True).config == 16
    assert smallest(lambda config: config == 64).config == 64
