"""Coverage: pairs are counted rightly, and a campaign's seeds meet them earlier than drawn ones do."""

import json
from itertools import combinations

import pytest

from pytest_gpuemu.engine.coverage import UNPAIRED, Coverage, campaign_seeds, factors, levels_of
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.engine.rng import derive_seed


def op(schema="input[rows,cols] -> [rows,cols]", **keys):
    return define_op("mine", reference=lambda *inputs, **params: inputs[0], schema=schema, **keys)


SOFTMAX = op(params={"dim": [-1, 0]})
MATMUL = op("a[M,K], b[K,N] -> [M,N]")


def covered(mine, seeds):
    coverage = Coverage(mine)
    for seed in seeds:
        coverage.add(plan_case(mine, seed))
    return coverage


def test_factors_are_what_differs_between_cases():
    mine = op("x[M], i[N] -> [M]", dims={"M": [3, 64]}, dtypes=["float32"], params={"k": [1, 2], "eps": 1e-5})
    levels = {factor.name: factor.levels for factor in factors(narrow_op(mine, values=["uniform"]))}

    assert levels["size of M"] == ("small", "aligned")
    assert levels["param k"] == ("1", "2")
    assert levels["layout of x"] == ("contiguous", "strided", "offset", "reversed", "broadcast")
    assert not {"dtype", "param eps", "values of x"} & set(levels)


def test_a_size_class_that_a_condition_on_the_dim_forbids_is_no_level():
    levels = {factor.name: factor.levels for factor in factors(op(where=["16 <= cols"]))}

    assert levels["size of cols"] == ("aligned", "off by one", "odd", "large", "long")


def test_pairs_are_those_that_the_plans_have():
    """The count by bit masks beside one by plain sets."""
    plans = [plan_case(SOFTMAX, seed) for seed in range(40)]
    paired = [factor for factor in factors(SOFTMAX) if not factor.name.startswith(UNPAIRED)]
    levels = {(factor.name, level) for factor in paired for level in factor.levels}
    pairs = {
        pair
        for plan in plans
        for pair in combinations(sorted(levels.intersection(levels_of(plan).items())), 2)
    }
    coverage = Coverage(SOFTMAX)

    news = [(coverage.new_pairs(plan)[1], coverage.add(plan)) for plan in plans]

    assert coverage.pairs_met == len(pairs) == sum(new for _, new in news)
    assert all(foretold == found for foretold, found in news)
    assert coverage.cases == 40
    assert sum(coverage.counts["dtype"].values()) == 40


def test_possible_pairs_are_all_levels_of_one_factor_with_all_of_another():
    mine = op("x[] -> []", dtypes=["float16", "float32"], params={"k": [1, 2, 3]}, values=["uniform"])

    # dtype 2, layout of a 0-d input 2 (contiguous, offset), k 3
    assert Coverage(mine).pairs_possible == 2 * 2 + 2 * 3 + 2 * 3
    assert covered(mine, range(200)).pairs_met == 16


def test_what_was_not_met_is_named():
    coverage = covered(SOFTMAX, [1])

    assert len(coverage.unmet["dtype"]) == 2
    assert plan_case(SOFTMAX, 1).dtype not in coverage.unmet["dtype"]
    assert len(coverage.unmet_pairs(3)) == 3
    assert all(": " in one and ": " in other for one, other in coverage.unmet_pairs())


def test_a_campaign_is_a_function_of_op_and_master_and_a_shorter_one_its_beginning():
    seeds = list(campaign_seeds(SOFTMAX, 7, 30))

    assert seeds == list(campaign_seeds(op(params={"dim": [-1, 0]}), 7, 30))
    assert seeds[:9] == list(campaign_seeds(SOFTMAX, 7, 9))
    assert seeds != list(campaign_seeds(SOFTMAX, 8, 30))
    assert list(campaign_seeds(SOFTMAX, 7, 0)) == []


def test_seeds_are_distinct_and_below_2_48():
    seeds = list(campaign_seeds(MATMUL, 2**64 - 1, 100))

    assert len(set(seeds)) == 100
    assert max(seeds) < 2**48


@pytest.mark.parametrize("master", [1, 2, 3])
def test_every_single_level_of_a_one_input_op_is_met_within_18_cases_and_the_rare_ones_within_40(master):
    seeds = list(campaign_seeds(SOFTMAX, master, 40))

    assert all(name.startswith(UNPAIRED) for name in covered(SOFTMAX, seeds[:18]).unmet)
    assert covered(SOFTMAX, seeds).unmet == {}


def test_the_remainders_of_blocks_and_special_values_in_long_rows_are_met_again_and_again():
    """Guards: a grid one block short for 1025 columns was met by one campaign of three within 30 cases."""
    counts = covered(SOFTMAX, campaign_seeds(SOFTMAX, 4, 200)).counts

    for name in ("remainder of cols", "remainder of all elements", "in long rows of input"):
        assert min(counts[name].values()) >= 4, name


def test_a_dim_of_few_candidates_and_finite_inputs_have_no_such_levels():
    small = op("x[M,K] -> [M]", dims={"M": [3, 64], "K": (1, 300)}, values=["uniform"])

    assert not [factor.name for factor in factors(small) if factor.name.startswith(UNPAIRED)]


@pytest.mark.parametrize("mine", [SOFTMAX, MATMUL], ids=["one input", "two inputs"])
@pytest.mark.parametrize("count", [8, 25])
def test_a_campaign_meets_more_pairs_than_drawn_seeds(mine, count):
    guided = drawn = 0
    for master in range(8):
        guided += covered(mine, campaign_seeds(mine, master, count)).pairs_met
        drawn += covered(mine, [derive_seed(master, str(i)) for i in range(count)]).pairs_met

    assert guided > 1.08 * drawn


def test_long_rows_and_several_large_dims_come_within_a_default_campaign():
    """Guards: a loop that drops its last block only where there are several was met by half the campaigns."""
    first_long, first_large, medians = [], [], []
    for master in range(10):
        shapes = [plan_case(SOFTMAX, seed).shapes["input"] for seed in campaign_seeds(SOFTMAX, master, 25)]
        first_long.append(next((i for i, shape in enumerate(shapes) if shape[1] > 4096), 25))
        first_large.append(next((i for i, shape in enumerate(shapes) if min(shape) >= 300), 25))
        medians.append(sorted(rows * cols for rows, cols in shapes)[12])

    assert sum(first < 25 for first in first_long) >= 9
    assert sum(first < 25 for first in first_large) >= 9
    assert sorted(medians)[5] < 2**13  # interpreters need small cases


def test_coverages_of_several_campaigns_are_what_they_met_together():
    plans = [plan_case(SOFTMAX, seed) for seed in range(40)]
    one, other, together = Coverage(SOFTMAX), Coverage(SOFTMAX), Coverage(SOFTMAX)
    for plan in plans:
        together.add(plan)
        (one if plan.seed % 2 else other).add(plan)

    joined = Coverage.joined([json.loads(json.dumps(each.plain())) for each in (one, other)])

    assert joined.plain() == together.plain()
    assert joined.pairs_met == together.pairs_met > max(one.pairs_met, other.pairs_met)
    assert joined.unmet == together.unmet


def test_coverages_of_ops_with_other_levels_are_joined_by_name():
    narrow = narrow_op(SOFTMAX, dtypes=["float64", "float32"], values=["tiny", "uniform"])
    one, other = covered(SOFTMAX, range(5)), covered(narrow, range(5))

    joined = Coverage.joined([other.plain(), one.plain()])

    assert {factor.name: factor.levels for factor in joined.factors}["dtype"] == (
        "float64",
        "float32",
        "float16",
        "bfloat16",
    )
    assert joined.cases == 10
    assert sum(joined.counts["dtype"].values()) == 10
    assert max(one.pairs_met, other.pairs_met) < joined.pairs_met <= one.pairs_met + other.pairs_met
    assert all(pair in one.unmet_pairs(10**6) for pair in joined.unmet_pairs(10**6) if "float16" in str(pair))
