"""Values: inside their domain, with the property that their distribution's name promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuemu.engine.dtypes import DTYPES, FLOATS, INTEGERS, numpy_dtype, properties
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.op import VALUES, Input
from pytest_gpuemu.engine.schema import DimExpr
from pytest_gpuemu.engine.values import EDIT_VALUES, fill, largest_value

SEEDS = range(40)
ROWS, COLS = 12, 40
N = DimExpr(((1, ("N",)),))
SHAPES = st.lists(st.integers(0, 9), max_size=4).map(tuple)
EVERY_SEED = st.integers(0, 2**64 - 1)


def drawn(distribution, dtype="float32", shape=(ROWS, COLS), seed=0, **keys):
    """The values as float64, exact."""
    return fill(Input(name="x", dims=(), **keys), shape, dtype, distribution, {}, seed).astype(np.float64)


def of_kind(kind, shape, size, seed, dtype="int64", **keys):
    return fill(Input(name="x", dims=(), kind=kind, of=N, **keys), shape, dtype, "uniform", {"N": size}, seed)


def patterns(kind, shape, size, **keys):
    return [of_kind(kind, shape, size, seed, **keys) for seed in range(80)]


@settings(max_examples=150, deadline=None)
@given(EVERY_SEED, SHAPES, st.sampled_from(DTYPES), st.sampled_from((*VALUES, *EDIT_VALUES)))
def test_the_array_has_the_shape_and_dtype_asked_for_and_is_contiguous(seed, shape, dtype, distribution):
    array = fill(Input(name="x", dims=()), shape, dtype, distribution, {"N": 7}, seed)

    assert array.shape == shape
    assert array.dtype == numpy_dtype(dtype)
    assert array.flags.c_contiguous
    assert array.flags.writeable


@settings(max_examples=300, deadline=None)
@given(
    EVERY_SEED,
    SHAPES,
    st.sampled_from((*FLOATS, *INTEGERS)),
    st.sampled_from((*VALUES, *EDIT_VALUES)),
    st.one_of(st.none(), st.integers(-20, 20)),
    st.one_of(st.none(), st.integers(8, 30)),  # float8_e5m2 has no value between -19 and -17
)
def test_every_value_lies_in_the_domain(seed, shape, dtype, distribution, low, width):
    """Non-finite distributions too: with a bound they give the domain's ends."""
    high = None if width is None else (0 if low is None else low) + width
    if dtype.startswith("u") and high is not None and high <= 0:
        return  # nothing is there: another test
    values = drawn(distribution, dtype, shape, seed, low=low, high=high)

    assert low is None or (values >= low).all()
    if high is not None:
        assert (values <= high if dtype in FLOATS else values < high).all()


@given(EVERY_SEED, st.sampled_from(FLOATS), st.sampled_from(VALUES))
def test_bounds_that_the_dtype_cannot_represent_are_kept_too(seed, dtype, distribution):
    """Guards: 0.1 rounds to a float16 below it, so a value at the bound lay outside."""
    values = drawn(distribution, dtype, (3, 8), seed, low=0.1, high=0.7)

    assert (values >= 0.1).all()
    assert (values <= 0.7).all()


@given(EVERY_SEED, st.sampled_from(INTEGERS))
def test_a_bound_may_be_a_dim(seed, dtype):
    x = Input(name="x", dims=(), low=0, high=N)

    assert fill(x, (50,), dtype, "uniform", {"N": 3}, seed).max() < 3


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("float16", 1.0001, 1.0002), ("uint8", None, 0), ("int8", 5, 5)]
)
def test_a_domain_without_a_value_is_refused(dtype, low, high):
    with pytest.raises(ConfigError, match=f"input 'x': no {dtype} "):
        drawn("uniform", dtype, low=low, high=high)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(ConfigError, match="'unifrom' is no distribution of values; did you mean 'uniform'"):
        drawn("unifrom")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("longest", [1, 100, 10_000])
def test_finite_values_keep_below_what_sums_overflow_at(dtype, longest):
    limit = largest_value(dtype, longest)
    for distribution in set(VALUES) - {"root"}:
        x = Input(name="x", dims=())
        for seed in SEEDS:
            values = fill(x, (4, 8), dtype, distribution, {"N": longest}, seed).astype(np.float64)
            assert np.abs(values[np.isfinite(values)]).max(initial=0.0) <= limit
    assert limit <= max(properties(dtype).max / (4 * longest), 1.0)


@pytest.mark.parametrize("distribution", sorted(set(VALUES) - {"nonfinite", "nonfinite_rows"}))
def test_only_the_non_finite_distributions_have_infinities_or_nan(distribution):
    for dtype in FLOATS:
        for seed in SEEDS:
            assert np.isfinite(drawn(distribution, dtype, seed=seed)).all()


def test_uniform_and_normal_have_several_scales():
    """Guards: with [-1, 1] alone no missing max-subtraction and no misplaced eps shows."""
    for distribution in ("uniform", "normal"):
        sizes = np.array([np.abs(drawn(distribution, seed=seed)).max() for seed in SEEDS])
        assert sizes.min() < 0.01
        assert sizes.max() > 88  # exp overflows in float32


def test_normal_values_have_the_moments_of_the_normal_distribution():
    values = drawn("normal", "float64", (200_000,), seed=next(s for s in SEEDS if is_standard(s)))
    n = len(values)

    # Four standard errors of each moment of a standard normal sample (variances 1, 2, 15, 96).
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((values**power).mean() - moment) < 4 * np.sqrt(variance / n) + (power == 4) * 0.05
    assert 4 < np.abs(values).max() < 8.3


def is_standard(seed):
    """Whether this seed's normal has scale 1 and mean 0, judged from a sample of its own."""
    values = drawn("normal", "float64", (5000,), seed=seed)
    return abs(values.std() - 1) < 0.1 and abs(values.mean()) < 0.1


def test_wide_magnitudes_spread_evenly_over_the_exponents():
    values = np.abs(np.concatenate([drawn("wide", seed=seed).ravel() for seed in SEEDS]))
    exponents = np.frexp(values)[1]

    assert (values > 0).all()
    assert exponents.min() < -100
    assert exponents.max() > 90
    counts = np.histogram(exponents, bins=np.arange(-120, 110, 10))[0]
    # Half of the arrays are spread over 251 exponents: 382 values in each ten of them, give or take 20.
    assert counts.min() > 300


def test_near_equal_rows_have_a_mean_far_above_their_spread():
    ratios, constant = [], 0
    for seed in SEEDS:
        values = drawn("near_equal", seed=seed)
        axis = 1 if np.ptp(values, axis=1).max() <= np.ptp(values, axis=0).max() else 0
        spread, mean = values.std(axis=axis), np.abs(values.mean(axis=axis))
        constant += np.count_nonzero(np.ptp(values, axis=axis) == 0)
        ratios += (mean / np.maximum(spread, 1e-30)).tolist()
    assert min(ratios) > 2
    assert np.median(ratios) > 1000  # one-pass variance loses all of float32's digits at 2**12
    assert constant >= 10


def test_the_rows_of_some_near_equal_arrays_share_their_mean():
    """A group of channels, or a column, is then near equal too."""
    arrays = [drawn("near_equal", seed=seed) for seed in SEEDS]
    shared = [np.ptp(values) < 0.5 * np.abs(values).mean() for values in arrays]
    assert 0.2 * len(shared) < sum(shared) < 0.8 * len(shared)


def test_some_normal_arrays_have_their_largest_values_at_the_ends_of_rows():
    arrays = [drawn("normal", seed=seed) for seed in SEEDS]
    for end in (0, COLS - 1):
        largest = [(values.argmax(axis=1) == end).all() for values in arrays]
        assert any(largest)
        assert not all(largest)


def test_one_signed_arrays_are_above_zero_or_below_it():
    signs = {tuple(np.unique(np.sign(drawn("one_signed", seed=seed)))) for seed in SEEDS}

    assert signs == {(1.0,), (-1.0,)}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_squares_of_root_values_come_near_the_limits_of_the_dtype(dtype):
    form = properties(dtype)
    squares = np.concatenate([drawn("root", dtype, seed=seed).ravel() for seed in SEEDS]) ** 2

    # Where a kernel's own float32 is as narrow, a row of squares still has a sum.
    limit = form.max if dtype == "float16" else largest_value(dtype, max(ROWS, COLS))
    assert limit / 4 < squares.max() <= limit * (1 + form.unit_roundoff) ** 2  # the root itself was rounded
    assert form.smallest_normal / 4 <= squares.min() < form.smallest_normal


def test_integers_are_small_whole_or_half_numbers_and_repeat():
    for dtype in ("float16", "bfloat16", "float32"):
        for seed in SEEDS:
            values = drawn("integers", dtype, seed=seed)
            assert np.array_equal(values * 2, np.rint(values * 2))
            assert np.abs(values).max() <= 16
            assert len(np.unique(values)) < values.size / 4


def test_sparse_values_are_mostly_zeros_of_both_signs_with_rows_of_nothing_else():
    arrays = [drawn("sparse", seed=seed) for seed in SEEDS]
    everything = np.concatenate([values.ravel() for values in arrays])

    assert np.mean(everything == 0) > 0.5
    assert np.signbit(everything[everything == 0]).any()
    assert not np.signbit(everything[everything == 0]).all()
    assert sum((values == 0).all(axis=1).any() for values in arrays) > 10
    assert sum(not (values == 0).all() for values in arrays) > 30


@pytest.mark.parametrize("dtype", FLOATS)
def test_tiny_values_are_subnormals_zeros_and_the_smallest_normals(dtype):
    form = properties(dtype)
    sizes = np.abs(np.concatenate([drawn("tiny", dtype, seed=seed).ravel() for seed in SEEDS]))

    assert sizes.max() <= 4 * form.smallest_normal
    assert np.mean((sizes > 0) & (sizes < form.smallest_normal)) > 0.2
    assert np.mean(sizes >= form.smallest_normal) > 0.2
    assert (sizes == form.smallest_subnormal).any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_large_values_come_within_a_factor_of_two_of_the_limit(dtype):
    limit = largest_value(dtype, COLS)
    arrays = [drawn("large", dtype, seed=seed) for seed in SEEDS]

    assert all((np.abs(values) >= 0.49 * limit).all() for values in arrays)
    assert {frozenset(np.sign(values).ravel().tolist()) for values in arrays} == {
        frozenset({1.0}),
        frozenset({-1.0}),
        frozenset({1.0, -1.0}),
    }


def test_nonfinite_values_are_few_and_of_every_kind():
    arrays = [drawn("nonfinite", seed=seed) for seed in SEEDS]
    everything = np.concatenate([values.ravel() for values in arrays])

    assert all(1 <= np.count_nonzero(~np.isfinite(values)) <= 10 for values in arrays)
    for kind in (np.isnan, np.isposinf, np.isneginf):
        assert kind(everything).any()
    assert np.isnan(drawn("nonfinite", "float8_e4m3fn")).any()  # it has no infinity


def test_whole_rows_are_nonfinite_or_zero():
    rows = np.concatenate([drawn("nonfinite_rows", seed=seed) for seed in SEEDS])

    for whole in (np.isnan, np.isposinf, np.isneginf, lambda values: values == 0, np.isfinite):
        assert whole(rows).all(axis=1).sum() > 5
    single = np.isneginf(rows).sum(axis=1) == COLS - 1
    assert np.isfinite(rows[single]).any(axis=1).sum() > 5
    for seed in SEEDS:
        only = drawn("nonfinite_rows", shape=(1, 9), seed=seed)
        assert not np.isfinite(only).all() or not only.any()


def test_rows_are_masked_up_to_a_place_or_from_one_on():
    """Guards: a first block of -inf before a block that is not, where max - max is NaN, hardly came."""
    masked = np.isneginf(np.concatenate([drawn("nonfinite_rows", seed=seed) for seed in SEEDS]))
    changes = np.diff(masked.astype(np.int8), axis=1)

    for change in (-1, 1):
        at_one_place = (changes != 0).sum(axis=1) == 1
        assert (at_one_place & (changes == change).any(axis=1)).sum() > 5


def test_rows_lie_along_another_axis_now_and_then():
    columns = [drawn("nonfinite_rows", seed=seed) for seed in SEEDS]

    assert any(np.isnan(values).all(axis=0).any() and not np.isnan(values).all() for values in columns)


@pytest.mark.parametrize("dtype", FLOATS)
def test_zeros_and_ones_are_just_those(dtype):
    zeros = drawn("zeros", dtype)
    assert not zeros.any()
    assert not np.signbit(zeros).any()
    assert (drawn("ones", dtype) == 1).all()


@pytest.mark.parametrize("dtype", ["float16", "int8"])
@pytest.mark.parametrize("distribution", ["zeros", "sparse"])
def test_an_input_without_zeros_keeps_to_its_domain(dtype, distribution):
    """Guards: an integer 0 became 1, which a high of 1 excludes."""
    values = drawn(distribution, dtype, low=-5, high=1, nonzero=True)

    assert (values != 0).all()
    assert (values >= -5).all()
    assert (values <= 1 if dtype == "float16" else values < 1).all()


def test_two_inputs_of_one_case_differ():
    left, right = (fill(Input(name=name, dims=()), (50,), "float32", "uniform", {}, 3) for name in "ab")

    assert not np.array_equal(left, right)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_reach_over_the_whole_type(dtype):
    limits = np.iinfo(dtype)
    for distribution in ("uniform", "wide", "nonfinite"):
        arrays = [
            fill(Input(name="x", dims=()), (ROWS, COLS), dtype, distribution, {}, seed) for seed in SEEDS
        ]
        everything = np.concatenate([array.ravel() for array in arrays])
        assert int(everything.max()) > limits.max * 0.9
        assert int(everything.min()) < limits.min + limits.max * 0.1
    assert {int(limits.min), int(limits.max), 0} <= {int(value) for value in everything}


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64"])
def test_integer_distributions_mean_what_they_can(dtype):
    for seed in SEEDS:
        assert np.abs(drawn("integers", dtype, seed=seed)).max() <= 3
        assert np.abs(drawn("tiny", dtype, seed=seed)).max() <= 1
        assert np.ptp(drawn("near_equal", "int8", seed=seed)) <= 6
        assert len(np.unique(np.sign(drawn("one_signed", dtype, seed=seed)))) == 1
        assert np.mean(drawn("sparse", dtype, seed=seed) == 0) > 0.7
    assert (drawn("zeros", dtype) == 0).all()
    assert (drawn("ones", dtype) == 1).all()


def test_bools_are_mixed_all_none_or_by_rows():
    shares = {
        distribution: {drawn(distribution, "bool", seed=seed).mean() for seed in SEEDS}
        for distribution in VALUES
    }

    assert all(0.35 < share < 0.65 for share in shares["uniform"])
    assert shares["one_signed"] == {0.0, 1.0}
    assert max(shares["sparse"]) < 0.2
    rows = drawn("nonfinite_rows", "bool").mean(axis=1)
    assert set(rows) == {0.0, 1.0}
    assert not drawn("zeros", "bool").any()
    assert drawn("ones", "bool").all()


@given(EVERY_SEED, SHAPES, st.integers(1, 300), st.sampled_from(INTEGERS))
def test_indices_lie_below_their_dim(seed, shape, size, dtype):
    indices = of_kind("index", shape, size, seed, dtype)

    assert indices.dtype == np.dtype(dtype)
    assert indices.shape == shape
    assert (indices >= 0).all()
    assert (indices.astype(np.float64) < size).all()


def test_indices_are_repeated_constant_sorted_and_at_the_ends():
    arrays = patterns("index", (60,), 1000)

    assert any(1 < len(np.unique(a)) <= 3 and set(a.tolist()) != {0, 999} for a in arrays)
    assert any(len(np.unique(a)) == 1 for a in arrays)
    assert any(len(np.unique(a)) > 30 and (np.diff(a) >= 0).all() for a in arrays)
    assert any(len(np.unique(a)) > 30 and (np.diff(a) <= 0).all() for a in arrays)
    assert any(set(a.tolist()) == {0, 999} for a in arrays)
    assert any(len(np.unique(a)) > 30 and not (np.diff(a) >= 0).all() for a in arrays)


def test_some_or_all_indices_are_ignored_only_where_ignore_is_set():
    ignored = [np.mean(a == -100) for a in patterns("index", (60,), 50, ignore=-100)]

    assert 1.0 in ignored
    assert 0.0 in ignored
    assert any(0.05 < share < 0.6 for share in ignored)
    assert all(((a == -100) | ((a >= 0) & (a < 50))).all() for a in patterns("index", (60,), 50, ignore=-100))


def test_an_index_below_nothing_is_refused_unless_it_can_be_ignored():
    assert of_kind("index", (0,), 0, 1).shape == (0,)
    assert (of_kind("index", (4,), 0, 1, ignore=-1) == -1).all()
    with pytest.raises(ConfigError, match="input 'x': no index lies below N = 0"):
        of_kind("index", (4,), 0, 1)


@given(EVERY_SEED, SHAPES, st.integers(0, 300))
def test_offsets_rise_from_zero_to_their_dim(seed, shape, size):
    offsets = of_kind("offsets", shape, size, seed)

    assert offsets.shape == shape
    assert (np.diff(offsets, axis=-1) >= 0).all() if shape else True
    if shape and shape[-1] >= 1:
        assert (offsets[..., 0] == 0).all()
    if shape and shape[-1] >= 2:
        assert (offsets[..., -1] == size).all()


def test_offsets_leave_groups_empty_and_put_all_into_one():
    groups = [np.diff(a) for a in patterns("offsets", (9,), 100)]

    assert any(0 < np.count_nonzero(g == 0) < 7 for g in groups)
    assert any(g[0] == 100 for g in groups)
    assert any(g[-1] == 100 for g in groups)
    assert any((g > 0).all() for g in groups)


@given(EVERY_SEED, SHAPES, st.integers(0, 300))
def test_lengths_lie_within_their_dim(seed, shape, size):
    lengths = of_kind("lengths", shape, size, seed)

    assert ((lengths >= 0) & (lengths <= size)).all()


def test_lengths_are_zero_full_and_between():
    arrays = patterns("lengths", (8,), 100)

    assert any((a == 0).all() for a in arrays)
    assert any((a == 100).all() for a in arrays)
    assert any(len(np.unique(a)) > 4 for a in arrays)
    assert any(0 in a and 100 in a for a in arrays)


@given(EVERY_SEED, SHAPES)
def test_permutations_hold_each_index_once(seed, shape):
    order = of_kind("permutation", shape, 5, seed)

    assert order.shape == shape
    if shape:
        assert np.array_equal(np.sort(order, axis=-1), np.broadcast_to(np.arange(shape[-1]), shape))


def test_permutations_shuffle_reverse_and_leave_in_order():
    arrays = [a.tolist() for a in patterns("permutation", (20,), 20)]

    assert list(range(20)) in arrays
    assert list(range(19, -1, -1)) in arrays
    assert len({tuple(a) for a in arrays}) > 15


def test_masks_are_full_empty_random_triangular_and_empty_in_rows():
    masks = [of_kind("mask", (8, 12), 5, seed, "bool") for seed in range(80)]
    triangle = np.tril(np.ones((8, 12), bool), 12 - 8)

    assert all(mask.dtype == bool for mask in masks)
    assert any(mask.all() for mask in masks)
    assert any(not mask.any() for mask in masks)
    assert any(np.array_equal(mask, triangle) for mask in masks)
    assert any(0.3 < mask.mean() < 0.7 and mask.any(axis=1).all() for mask in masks)
    assert any(mask.any() and (~mask.any(axis=1)).sum() >= 2 and mask.mean() > 0.1 for mask in masks)


def test_a_kind_that_points_into_a_dim_needs_one():
    with pytest.raises(ConfigError, match="input 'x': kind 'index' needs `of`"):
        fill(Input(name="x", dims=(), kind="index"), (3,), "int64", "uniform", {}, 1)
