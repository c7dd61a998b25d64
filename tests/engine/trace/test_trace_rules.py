"""The rules one at a time, against what the theory says of each."""

from __future__ import annotations

import threading

import ml_dtypes
import numpy as np
import pytest
from numpy import zeros as zeros_by_name
from scipy import special
from scipy.special import log_softmax as log_softmax_by_name
from traced_case import bound_of, draw, error_of, exceeding, f32

U, TINY = 2.0**-24, 2.0**-126
X = draw("normal", 0, (6, 9))


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: x,
        lambda x: x.copy(),
        lambda x: np.maximum(x, 0),
        lambda x: np.abs(-x),
        lambda x: x.max(axis=-1),
        lambda x: np.min(x, axis=0, keepdims=True),
        lambda x: x.T,
        lambda x: np.transpose(x.reshape(3, 2, 9), (2, 0, 1)),
        lambda x: x[[5, 0, 0]],
        lambda x: np.take_along_axis(x, np.argsort(x, axis=-1), axis=-1),
        lambda x: np.sort(x, axis=-1)[:, ::-1],
        lambda x: np.concatenate([x, x[:, :2]], axis=1),
        lambda x: np.clip(x, -0.5, 0.5),
        lambda x: np.where(x > 0.25, x, 0.0),
        lambda x: np.tril(x) * (x > 0),
        np.floor,
        lambda x: np.argmax(x, axis=-1),
        lambda x: x > 0,
        lambda x: np.pad(x, ((0, 0), (2, 1))),
        lambda x: np.sign(x),
        lambda x: np.stack([row[::-1] for row in x]),
    ],
)
def test_what_only_moves_chooses_or_compares_inputs_is_exact(reference):
    assert not error_of(reference, x=X).any()


def test_integer_arithmetic_is_exact():
    i = np.arange(-5, 7, dtype=np.int32)
    assert not error_of(lambda x, i: (i * 3 + 1) // 2, x=X, i=i).any()
    assert not error_of(lambda x, i: np.bincount(np.abs(i), minlength=9), x=X, i=i).any()


def test_a_step_rounds_by_its_units():
    y = draw("one-signed", 1, (6, 9))
    v = X.astype(np.float64) + y
    assert error_of(lambda x, y: x + y, x=X, y=y) == pytest.approx(U * np.abs(v) + TINY)
    v = X.astype(np.float64) / y
    assert error_of(lambda x, y: x / y, x=X, y=y) == pytest.approx(4 * U * np.abs(v) + TINY)
    v = np.exp(X.astype(np.float64))
    expected = v * np.expm1(1.2 * U * np.abs(X)) + 4 * U * v + TINY
    assert error_of(np.exp, x=X) == pytest.approx(expected)


def test_a_product_with_a_power_of_two_rounds_nothing():
    assert not error_of(lambda x: 0.5 * x - 0, x=np.array([0.0], f32)).any()
    assert not error_of(lambda x: x * 4, x=X).any()
    assert error_of(lambda x: x * 3, x=X).all()


def test_a_subnormal_may_be_flushed_wherever_it_arises():
    small = np.array([1.5 * TINY, 1e-40, 0.0], f32)
    assert (error_of(lambda x: x, x=small) == [0, small[1], 0]).all()
    assert (error_of(lambda x: 0.5 * x, x=small)[:2] >= 0.5 * small[:2]).all()
    assert error_of(lambda x: 0.5 * x, x=small)[2] == 0
    assert error_of(np.exp, x=np.array([-800.0, -np.inf], f32)).tolist() == [TINY, 0.0]


def test_a_plain_constant_carries_its_distance_from_float32():
    lost = abs(float(f32(0.7)) - 0.7)
    x = np.array([10.0], f32)  # exactly 7.0 after the product: the floor is undecided
    assert lost > 0
    assert error_of(lambda x: np.floor(x * 0.7), x=x) == [1.0]
    assert error_of(lambda x: x * 0.7, x=x) == pytest.approx(10 * lost + U * 7 + TINY)


def test_tanh_may_be_written_by_exp():
    x = np.array([1e-5], f32)
    assert error_of(np.tanh, x=x)[0] >= 2 * U


def test_overflow_is_undetermined_and_an_infinite_input_is_not():
    x = np.array([3e38, 1.0, np.inf, np.nan], f32)
    assert error_of(lambda x: x * x, x=x).tolist()[0] == np.inf
    assert error_of(lambda x: x + x, x=x).tolist()[2:] == [0.0, 0.0]
    assert error_of(np.exp, x=np.array([1000.0], f32)) == [np.inf]
    assert error_of(lambda x: np.sum(x), x=np.array([3e38, 3e38, -3e38], f32)) == np.inf


def test_nothing_is_known_of_what_follows_from_a_reduction_that_may_overflow():
    """Guards: x / inf = 0 counted as certain, and a kernel whose other order of terms gives NaN failed."""
    x = np.array([[1e30, 2e30, 3.0, 4.0]], f32)
    everywhere = np.full((1, 4), np.inf)
    near = np.full((1, 4), 3e38, f32)

    def matrix(x: np.ndarray) -> np.ndarray:
        return np.matmul(x, np.ones((4, 4)))

    for f, given in (
        (lambda x: x / np.sqrt(np.square(x).sum(axis=-1, keepdims=True)), x),
        (lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True), x),
        (lambda x: x / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5), x),
        (lambda x: np.tanh(near.astype(float) + x.sum(axis=-1, keepdims=True)), near),
        (lambda x: 1.0 / (1.0 + matrix(x)), near),
        (lambda x: np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True), np.array([[100, 1, 2, 3]], f32)),
        (lambda x: 1.0 / np.einsum("ij,kj->ik", x, np.ones((4, 4))), near),
    ):
        assert np.array_equal(error_of(f, x=given), everywhere)
    running = error_of(lambda x: 1.0 / np.cumsum(x, axis=-1), x=near)
    assert np.isfinite(running).tolist() == [[True, False, False, False]]


def test_an_overflow_of_no_reduction_is_an_infinity_and_what_that_makes_finite_is_judged():
    x = np.array([-200.0, 1.0], f32)
    assert np.all(error_of(lambda x: 1.0 / (1.0 + np.exp(-x)), x=x) < 1e-6)
    large = np.array([1e30], f32)
    assert error_of(lambda x: np.tanh(x * x), x=large)[0] < 2.001


def test_another_row_and_an_infinity_that_was_given_are_not_lost_to_an_overflow():
    x = np.array([[1e30, 2e30], [3.0, 4.0], [np.inf, 1.0], [np.nan, 1.0]], f32)

    def normalized(x: np.ndarray) -> np.ndarray:
        return x / np.sqrt(np.square(x).sum(axis=-1, keepdims=True))

    errors = error_of(normalized, x=x)
    assert np.isinf(errors[0]).all()
    assert np.all(errors[1] < 1e-6)
    assert not errors[2:].any()


def test_a_divisor_or_logarithm_that_may_be_zero_is_undetermined():
    x = np.array([1.0, 3.0], f32)
    assert error_of(lambda x: 1 / (x / 3 * 3 - x), x=x).tolist() == [np.inf, np.inf]
    assert error_of(lambda x: np.log(x / 3 * 3 - x + 0), x=x).tolist() == [np.inf, np.inf]
    assert error_of(lambda x: 1 / x, x=np.zeros(2, f32)).tolist() == [0.0, 0.0]
    assert error_of(np.log, x=np.zeros(2, f32)).tolist() == [0.0, 0.0]


def test_a_jump_within_the_error_becomes_error():
    x = np.array([3.0, 1.0], f32)
    thirds = lambda x: x / 3 * 3  # noqa: E731
    assert error_of(lambda x: np.floor(thirds(x)), x=x).tolist() == [1.0, 1.0]
    assert error_of(lambda x: np.sign(thirds(x) - x), x=x).tolist() == [1.0, 1.0]
    assert error_of(lambda x: np.rint(thirds(x) + 0.5), x=x).tolist() == [1.0, 1.0]
    assert error_of(lambda x: np.rint(thirds(x)), x=x).tolist() == [0.0, 0.0]


def test_where_on_an_undecided_comparison_covers_both_branches():
    x = np.array([3.0, 5.0], f32)
    error = error_of(lambda x: np.where(x / 3 > 1, 10.0, -10.0), x=x)
    assert error.tolist() == [20.0, 0.0]


def test_an_index_with_a_rival_within_the_errors_is_undetermined():
    x = np.array([[1.0, 3.0, 3.0], [1.0, 2.0, 3.0]], f32)
    assert error_of(lambda x: np.argmax(x / 7, axis=-1), x=x).tolist() == [np.inf, 0.0]
    assert error_of(lambda x: np.argmax(x, axis=-1), x=x).tolist() == [0.0, 0.0]  # a tie of exact values
    assert error_of(lambda x: np.argsort(x / 7, axis=-1), x=x).tolist() == [[0, np.inf, np.inf], [0, 0, 0]]


def test_a_python_if_on_an_undecided_value_takes_both_ways():
    def reference(x):
        scaled = x / 3
        if scaled[0] > 1.0:
            return scaled + 4.0
        return scaled

    assert (error_of(reference, x=np.array([3.0, 8.0], f32)) >= 4.0).all()
    assert (error_of(reference, x=np.array([9.0, 8.0], f32)) < 1e-5).all()


def test_more_undecided_decisions_than_can_be_tried_leave_the_case_undetermined():
    def reference(x):
        return np.array([float(k) if row / 3 > 1 else 0.0 for k, row in enumerate(x)]) + x

    assert np.isinf(error_of(reference, x=np.full(9, 3.0, f32))).all()


def test_a_cast_to_a_narrow_type_is_a_step():
    f16 = np.float16
    x = np.array([1.0 + 2.0**-11, 1.3], f32)  # halfway between two float16 numbers, and not
    assert not error_of(lambda x: x.astype(f16), x=x).any()
    error = error_of(lambda x: (x / 3 * 3).astype(f16).astype(np.float64), x=x)
    assert error[0] == 2.0**-10
    assert error[1] == 0.0
    codes = error_of(lambda x: np.rint(x * 3.7).astype(np.int8), x=X)
    assert not codes.any()
    bf16 = error_of(lambda x: (x * 1.7).astype(ml_dtypes.bfloat16).astype(np.float64), x=X)
    assert np.count_nonzero(bf16) <= 1


def test_scatters_bound_every_order_of_arrival():
    index = np.array([0, 2, 2, 2, 5])
    weights = np.array([1.0, 1e4, 1.0, -1e4, 3.0], f32)

    def by_at(x, index):
        out = np.zeros(6)
        np.add.at(out, index, x)
        return out

    for reference in (by_at, lambda x, index: np.bincount(index, weights=x, minlength=6)):
        error = error_of(reference, x=weights, index=index)
        assert error[[0, 1, 3, 4, 5]].tolist() == [0.0] * 5
        # 1e4 + 1 - 1e4 may lose half an ulp of 1e4.
        assert 2 * error[2] >= np.spacing(f32(1e4)) / 2

    def largest(x, index):
        out = np.full(6, -np.inf)
        np.maximum.at(out, index, x)
        return out

    assert not error_of(largest, x=weights, index=index).any()


def test_an_undecided_index_spoils_its_neighbours_only():
    def histogram(x):
        bins = np.floor(x / 3).astype(np.int64)
        counts = np.zeros(8, np.int64)
        np.add.at(counts, bins, 1)
        return counts

    error = error_of(histogram, x=np.array([3.0, 13.0, 14.0], f32))
    assert error.tolist() == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_assignment_through_a_mask_is_a_where():
    def reference(x):
        y = x * 1.0
        y[x / 3 > 1] = 50.0
        return y

    error = error_of(reference, x=np.array([3.0, 30.0, 0.5], f32))
    assert error[0] >= 47.0
    assert error[1] == 0.0
    assert error[2] < 1e-6


@pytest.mark.parametrize(
    "make",
    [
        lambda x: np.zeros(x.shape),
        lambda x: np.empty(x.shape),
        lambda x: np.ones(x.shape, np.float64),
        lambda x: np.full(x.shape, 2.0),
        lambda x: np.zeros_like(x),
        lambda x: np.empty_like(np.arange(x.size).reshape(x.shape), dtype=float),
        lambda x: zeros_by_name(x.shape),
    ],
)
def test_new_arrays_take_items_with_their_errors(make):
    def reference(x):
        out = make(x)
        for i in range(x.shape[0]):
            out[i] = np.exp(x[i])
        row = out[0]
        row[...] = row + 1.0
        return out

    expected = error_of(np.exp, x=X)
    error = error_of(reference, x=X)
    assert (error[1:] == expected[1:]).all()
    assert (error[0] > expected[0]).all()


def test_a_row_view_of_an_exact_copy_shares_its_error():
    def reference(x):
        out = x.copy()
        row = out[0]
        row += np.exp(x[0])
        return out

    error = error_of(reference, x=X)
    assert error[0].all()
    assert not error[1:].any()


@pytest.mark.parametrize(
    "view",
    [
        lambda y: y.reshape(-1),
        lambda y: y.T,
        lambda y: y.T[1:],
        lambda y: np.swapaxes(y, 0, 1),
        lambda y: np.split(y, [4], axis=1)[1],
        lambda y: y.reshape(3, 2, 9)[:, 1].reshape(3, 3, 3),
    ],
)
def test_what_is_written_through_a_view_of_an_exact_array_has_its_error_there(view):
    """Guards: the array stayed exact, and a correct kernel failed by a rounding."""
    marks = np.abs(X)
    view(marks)[...] = np.nan

    def reference(x):
        y = np.abs(x)
        view(y)[...] /= 3
        return y

    error = error_of(reference, x=X)
    assert ((error > 0) == np.isnan(marks)).all()


@pytest.mark.parametrize(
    "scalar",
    [
        lambda x: np.exp(x).sum().astype(np.float64),
        lambda x: np.take(np.exp(x).ravel(), 3),
        lambda x: np.nan_to_num(np.exp(x).sum()),
    ],
)
@pytest.mark.parametrize("spread", [np.broadcast_to, lambda s, shape: np.tile(s.reshape(1, 1), shape)])
def test_a_scalar_keeps_its_error_where_it_is_rearranged(scalar, spread):
    """Guards: NumPy's scalars took the place of 0-d errors, and rearranging took these for exact."""
    error = error_of(lambda x: spread(scalar(x), x.shape), x=X)
    assert (error == error_of(scalar, x=X)).all()
    assert error.all()


def test_what_is_computed_from_a_range_is_computed_in_float32_by_the_kernel_too():
    """Guards: frequencies and angles were taken for constants, and kernels that compute them failed."""

    def rotated(x):
        rows, cols = x.shape
        frequencies = 1e4 ** (-np.arange(cols) / cols)
        return x * np.cos(np.arange(rows)[:, None] * frequencies)

    x = draw("normal", 4, (300, 32))
    frequencies = f32(1e4) ** (-np.arange(32, dtype=f32) / f32(32))
    bound = bound_of(rotated, x=x)
    output = x * np.cos(np.arange(300, dtype=f32)[:, None] * frequencies)
    assert not exceeding(output, bound).any()
    wrong = x * np.cos(np.arange(1, 301, dtype=f32)[:, None] * frequencies)
    assert exceeding(wrong, bound).mean() > 0.9


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: np.where(np.arange(6)[:, None] >= np.arange(9), x, 0.0),
        lambda x: x[np.arange(6), np.arange(6)],
        lambda x: x[np.ix_(np.arange(6), np.arange(9))],
        lambda x: x[np.meshgrid(np.arange(6), np.arange(9), indexing="ij")[0]],
        lambda x: x[np.arange(6).tolist()],
        lambda x: np.stack([{i: x[i] for i in np.arange(6)}[5]]),
        lambda x: np.where(np.isin(np.arange(9), [1, 2]), x, 0.0),
    ],
)
def test_ranges_are_still_indices_masks_and_keys(reference):
    assert not error_of(reference, x=X).any()


def test_a_row_at_a_number_of_a_range_is_a_view():
    def reference(x):
        out = np.zeros_like(x)
        for i in np.arange(len(x)):
            out[i][1:] = np.exp(x[i, 1:])
        return out

    bound = bound_of(reference, x=X)
    assert (bound.values["y"] == reference(X.astype(np.float64))).all()
    assert ((bound.errors["y"] > 0) == (np.arange(9) > 0)).all()


def test_asarray_keeps_the_error():
    def reference(x):
        return np.asarray(np.array([np.ascontiguousarray(np.exp(row)) for row in x]), dtype=np.float64)

    assert (error_of(reference, x=X) == error_of(np.exp, x=X)).all()


def test_division_into_out_where_the_divisor_is_not_zero():
    def reference(x, y):
        return np.divide(x, y, out=np.zeros_like(x), where=y != 0)

    error = error_of(reference, x=np.ones(3, f32), y=np.array([0.0, 3.0, 1.0], f32))
    assert error[0] == 0.0
    assert error[1] > 0.0


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: special.softmax(x, axis=-1),
        lambda x: special.log_softmax(x, axis=-1),
        lambda x: log_softmax_by_name(x, axis=-1),
        lambda x: special.logsumexp(x, axis=-1, keepdims=True) + 0 * x,
        lambda x: special.expit(x),
        lambda x: special.erf(x),
        lambda x: special.erfc(x) + special.ndtr(x),
        lambda x: np.linalg.norm(x, axis=-1),
        lambda x: np.median(x, axis=-1),
        lambda x: np.einsum("ij,kj->ik", x, x),
        lambda x: np.einsum("...j,...j->...", x, x),
        lambda x: np.tensordot(x, x, axes=([1], [1])),
        lambda x: np.dot(x, x.T),
        lambda x: np.prod(x, axis=-1) + np.cumprod(x, axis=-1)[:, -1],
        lambda x: np.linalg.solve(x[:4, :4] + 9 * np.eye(4), x[:4, 0]),
        lambda x: np.std(x, axis=0, ddof=1),
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 3, axis=1).sum(axis=-1),
        lambda x: np.logaddexp(x, 0.0),
        lambda x: np.nanmean(x, axis=-1),
        lambda x: np.convolve(x[0], x[1, :4]),
        lambda x: np.convolve(x[0, :4], x[1], "same"),
        lambda x: np.convolve(x[0], x[1, :3], "same"),
        lambda x: np.correlate(x[0], x[1, :4]),
        lambda x: sum(x[:, i] * x[:, i] for i in range(3)),
        lambda x: np.outer(x[0], x[1]) + np.inner(x[0], x[1]),
    ],
)
def test_common_functions_are_traced_with_the_references_own_values(reference):
    bound = bound_of(reference, x=X)
    plain = np.asarray(reference(X.astype(np.float64)))
    assert bound.method == "trace", bound.note
    assert bound.values["y"] == pytest.approx(plain, rel=1e-12, abs=1e-15)
    scale = max(1.0, np.abs(plain).max())
    assert (bound.errors["y"] > 0).any()
    assert (bound.errors["y"] < 1e-4 * scale).all()


def test_several_outputs_are_bounded_by_name():
    bound = bound_of(lambda x: (x.max(axis=-1), np.exp(x)), outputs=2, x=X)
    assert not bound.errors["y0"].any()
    assert bound.errors["y1"].all()


def test_a_computed_operand_of_a_matmul_may_be_in_the_storage_dtype():
    x = X.astype(np.float16)
    product = lambda x: np.exp(x) @ x.T  # noqa: E731
    wide = error_of(product, x=x)
    narrow = error_of(product, compute="float32-strict", x=x)
    terms = np.exp(x.astype(float)) @ np.abs(x.T.astype(float))
    assert (wide - narrow >= 2.0**-11 * terms).all()
    assert (wide - narrow <= 1.01 * (2.0**-11 * terms + 9 * 2.0**-25 * np.abs(X).max())).all()
    # Inputs are read as they are: no rounding again.
    plain = lambda x: x @ x.T  # noqa: E731
    assert (error_of(plain, x=x) == error_of(plain, compute="float32-strict", x=x)).all()


def test_tf32_rounds_every_operand_and_storage_every_step():
    terms = np.abs(X.astype(float)) @ np.abs(X.T.astype(float))
    assert (error_of(lambda x: x @ x.T, compute="tf32", x=X) >= 2 * 2.0**-10 * terms * 0.999).all()
    x = X.astype(ml_dtypes.bfloat16)
    v = np.abs(np.exp(x.astype(float)))
    assert (error_of(np.exp, compute="storage", x=x) >= 2.0**-8 * v).all()
    assert (error_of(np.exp, compute="float32", x=x) < 2.0**-20 * v).all()


def test_float64_arithmetic_rounds_by_its_own_unit():
    v = np.exp(X.astype(float))
    error = error_of(np.exp, compute="float64", x=X.astype(float))
    assert (error >= 4 * 2.0**-53 * v).all()
    assert (error <= 16 * 2.0**-53 * v).all()
    # A float64 input of a float32 kernel is rounded when it is read.
    lost = np.abs(v.astype(f32) - v)
    assert (error_of(lambda x: x, compute="float32", x=v) == lost).all()


def test_the_root_of_a_variance_of_equal_values_is_judged():
    error = error_of(lambda x: x.std(axis=-1), x=np.full((2, 7), 1.1, f32))
    assert np.isfinite(error).all()


@pytest.mark.parametrize(
    "mask",
    [
        lambda x: np.where(x > 0, x, np.finfo(np.float64).min),
        lambda x: x + np.where(np.arange(9) < 4, 0.0, np.finfo(np.float64).min),
        lambda x: x * 1.0 + (1.0 - (np.arange(9) < 4)) * np.finfo(np.float64).min,
    ],
)
def test_a_mask_by_the_smallest_float64_leaves_the_row_judged(mask):
    def reference(x):
        scores = mask(x)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    bound = bound_of(reference, x=X)
    assert (bound.values["y"] == reference(X.astype(float))).all()
    assert (bound.errors["y"] < 1e-5).all()
    assert (bound.errors["y"][bound.values["y"] == 0] < 1e-37).all()


def test_functions_that_hide_their_sums_or_run_other_code_are_not_guessed_at():
    for reference in (
        lambda x: np.apply_along_axis(lambda row: np.exp(row).sum(), -1, x),
        lambda x: np.cov(x),
    ):
        assert bound_of(reference, x=X).method == "fallback"


def test_arguments_of_ufunc_methods_that_no_rule_reads_are_not_guessed_at():
    def into(method):
        def reference(x):
            out = np.zeros_like(x) + 0 * x
            method(x, out)
            return out

        return reference

    for reference, named in (
        (lambda x: np.add.reduceat(x, [0, 2], axis=1, dtype=np.int64), "dtype"),
        (into(lambda x, out: np.add.reduceat(x, range(x.shape[1]), axis=1, out=out)), "out"),
        (into(lambda x, out: np.add.accumulate(x, axis=1, out=out)), "out"),
    ):
        bound = bound_of(reference, x=X)
        assert bound.method == "fallback"
        assert named in bound.note
        assert (bound.values["y"] == reference(X.astype(float))).all()


# What cannot be traced.


def test_a_reference_that_hides_its_arithmetic_falls_back_and_says_why():
    bound = bound_of(lambda x: np.array([[float(v) ** 2 for v in row] for row in x]), x=X)
    assert bound.method == "fallback"
    assert "Python float" in bound.note
    assert (bound.values["y"] == X.astype(float) ** 2).all()
    assert (bound.errors["y"] >= 100 * U * np.abs(bound.values["y"])).all()
    assert (bound.errors["y"] < 1e-3).all()


def test_an_exception_on_traced_arrays_falls_back():
    def reference(x):
        if not isinstance(x, np.ndarray):
            raise ValueError("arrays only")
        return np.exp(x)

    bound = bound_of(reference, x=X)
    assert bound.method == "fallback"
    assert "ValueError: arrays only" in bound.note


def test_a_trace_beyond_its_budget_falls_back():
    def reference(x):
        for _ in range(50_000):
            x = x + 0.0
        return x

    bound = bound_of(reference, time_budget_s=0.05, x=X[0])
    assert bound.method == "fallback"
    assert "time budget" in bound.note


def test_numpy_is_patched_for_the_tracing_thread_alone_and_restored():
    originals = {name: getattr(np, name) for name in ("zeros", "array", "full_like")}
    seen = {}

    def reference(x):
        def elsewhere():
            seen["other"] = np.zeros(3)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        seen["own"] = np.zeros(3)
        return x

    assert bound_of(reference, x=X).method == "trace"
    assert type(seen["other"]) is np.ndarray
    assert type(seen["own"]) is not np.ndarray
    assert {name: getattr(np, name) for name in originals} == originals
    assert zeros_by_name is np.zeros


def test_nothing_that_the_reference_writes_reaches_the_case():
    x = X.copy()

    def reference(x):
        x -= x.max()
        x[0] = 7.0
        return np.exp(x)

    bound_of(reference, x=x)
    assert (x == X).all()


def test_a_sum_over_two_axes_is_bounded_in_either_order():
    """Guards: partial sums were taken in memory order, where taps of both signs cancel at once; a
    convolution that sums over the channels first has larger ones."""
    channels = 64
    x = 1.0 + np.arange(channels * 2).reshape(channels, 2) % 7 / 7
    w = np.stack([np.full(channels, 3.1), np.full(channels, -3.1)], axis=1)
    bound = error_of(lambda x, w: np.einsum("ck,ck->", x, w), x=x.astype(f32), w=w.astype(f32))

    assert bound >= U * np.abs(x * w).sum() * np.sqrt(2 * channels)


def test_every_step_of_a_sum_of_products_may_flush():
    """Guards: one flush was allowed for the whole sum, and XLA's CPU matmul flushes each product."""
    a = np.full((1, 64), 2.0**-70, f32)
    b = np.full((64, 1), 2.0**-57, f32)  # each product is 2**-127, and their sum 2**-121

    bound = error_of(np.matmul, a=a, b=b)

    assert 2 * bound >= 2.0**-121
    assert not error_of(np.matmul, a=np.zeros_like(a), b=b).any()


def test_an_overflow_in_a_sum_of_one_term_is_that_of_a_reduction():
    """Guards: kernels in Welford's manner give NaN for one column whose square overflows."""
    x = np.array([[1e30], [2.0]], f32)

    def normalized(x: np.ndarray) -> np.ndarray:
        return x / np.sqrt(1.0 + 0.0 * np.square(x).sum(axis=-1, keepdims=True))

    errors = error_of(normalized, x=x)
    assert np.isinf(errors[0, 0])
    assert errors[1, 0] < 1e-5


@pytest.mark.parametrize(
    "reference",
    [
        lambda x, w, b: x @ w + b,
        lambda x, w, b: b + np.einsum("ik,kj->ij", x, w).reshape(2, 3),
        lambda x, w, b: (x[:, :, None] * w).sum(axis=1) - b,
    ],
    ids=["matmul", "einsum", "sum"],
)
def test_an_accumulator_may_begin_with_what_is_added_to_a_sum(reference):
    """Guards: a matrix product in torch whose accumulator began with the bias failed."""
    x, w = np.full((2, 8), 0.1, f32), np.full((8, 3), 0.1, f32)
    alone = error_of(reference, x=x, w=w, b=np.zeros(3, f32))
    biased = error_of(reference, x=x, w=w, b=np.full(3, 1000.0, f32))
    term_after_term = 8 * U * 1000.0
    assert np.all(biased - alone < 2 * term_after_term)
    assert np.all(2 * biased > 2 * alone + term_after_term)


def test_what_is_added_to_something_computed_from_a_sum_is_not_in_its_accumulator():
    x, b = np.full((2, 1024), 0.1, f32), np.full((2, 1), 1000.0, f32)

    def rectified(x: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.maximum(x.sum(axis=1, keepdims=True), 0.0) + b

    added = error_of(rectified, x=x, b=b) - error_of(rectified, x=x, b=np.zeros((2, 1), f32))
    assert np.all(added < 2 * U * 1000.0)


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: (x * 0.01).sum(axis=-1),
        lambda x: np.where(x > 0, -(1.0 - x / 100.0), 0.0).sum(axis=-1),
        lambda x: (x[:, :4].sum(axis=-1, keepdims=True) / 100.0).reshape(-1).sum() + np.zeros(2),
    ],
    ids=["product", "quotient", "sum of sums"],
)
def test_a_kernel_may_scale_after_a_sum_what_the_reference_scales_before(reference):
    """Guards: torch's cross_entropy sums all log-likelihoods before it scales them, which may overflow."""
    x = np.full((2, 8), 1e36, f32)
    assert np.isfinite(error_of(reference, x=x)).all()
    assert np.isinf(error_of(reference, x=50 * x)).all()
