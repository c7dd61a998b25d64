"""The condition that parts failing from passing cases: found, sharpened, confirmed, or not named."""

import itertools

from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.diagnose.confirm import find_condition
from pytest_gpuemu.engine.plan import plan_case

OP = define_op(
    "two_dims",
    reference=lambda x: x,
    schema="x[M,N] -> [M,N]",
    dims={"M": (1, 300), "N": (1, 300)},
)


def condition_for(fails, *, lies_after=None, count=60):
    """What is found where fails(plan) says which cases fail, and lies_after runs in is answered otherwise."""
    plans = [plan_case(OP, seed) for seed in campaign_seeds(OP, 1, count)]
    runs = itertools.count()

    def run(plan):
        found = fails(plan)
        return not found if lies_after is not None and next(runs) >= lies_after else found

    return find_condition(
        OP, [plan for plan in plans if fails(plan)], [plan for plan in plans if not fails(plan)], run
    )


def test_a_size_that_is_no_multiple_is_found():
    condition = condition_for(lambda plan: plan.dims["N"] % 32 != 0)

    assert condition.terms == ("N % 32 != 0",)
    assert condition.failing_without == condition.passing_with == 0
    assert condition.confirmed_by >= 2


def test_a_threshold_is_found_to_the_last_digit():
    condition = condition_for(lambda plan: plan.dims["M"] > 37)

    assert condition.terms == ("M > 37",)
    assert condition.text.startswith("M > 37   (")


def test_a_dtype_is_found():
    assert condition_for(lambda plan: plan.dtype == "float16").terms == ("dtype == float16",)


def test_a_layout_is_found():
    condition = condition_for(lambda plan: plan.layouts["x"] not in ("contiguous", "offset"))

    assert condition.terms == ("layout is not contiguous",)


def test_values_are_found():
    condition = condition_for(lambda plan: plan.values["x"].startswith("nonfinite"), count=120)

    assert condition.terms == ("values contain NaN or infinities",)


def test_a_relation_of_two_dims_is_found():
    assert condition_for(lambda plan: plan.dims["M"] < plan.dims["N"]).terms == ("M < N",)


def test_two_terms_are_joined_where_one_does_not_do():
    condition = condition_for(lambda plan: plan.dtype == "float16" and plan.dims["N"] % 32 != 0, count=200)

    assert set(condition.terms) == {"dtype == float16", "N % 32 != 0"}
    assert condition.passing_with == 0


def test_a_condition_that_foretells_further_cases_wrongly_is_not_named():
    assert condition_for(lambda plan: plan.dims["N"] % 32 != 0, lies_after=0) is None


def test_too_few_failures_have_no_condition():
    assert condition_for(lambda plan: plan.dims["N"] % 32 != 0, count=2) is None


def test_failures_without_a_pattern_have_no_condition():
    assert condition_for(lambda plan: plan.seed % 3 == 0) is None


def test_one_passing_case_beyond_a_border_that_no_drawn_case_crosses_is_not_enough():
    """Guards: a bug that shows with some values alone was laid to a condition that every case fulfils."""
    plans = [plan_case(OP, seed) for seed in campaign_seeds(OP, 1, 120)]
    plans = [plan for plan in plans if plan.dims["N"] % 2]
    aligned = itertools.count()

    def run(plan):
        if plan.dims["N"] % 2:
            return True
        return False if next(aligned) == 0 else None

    failed = [plan for plan in plans if plan.seed % 3 == 0]
    assert find_condition(OP, failed, [plan for plan in plans if plan.seed % 3], run) is None
