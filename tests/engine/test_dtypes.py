"""Rounding and ulps, against facts that others computed: NumPy's casts, every value of small formats."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.dtypes import (
    DTYPES,
    FLOATS,
    cast,
    dtype_name,
    is_floating,
    numpy_dtype,
    properties,
    round_to,
    to_float64,
    ulp,
)
from pytest_gpuemu.engine.errors import ConfigError

SMALL = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
EVERY_FLOAT64 = st.floats(width=64)


def finite_values(name):
    """Every finite value of a format of 8 or 16 bits, ascending, zero once: read from its bit patterns."""
    dtype = numpy_dtype(name)
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    with np.errstate(invalid="ignore"):  # signalling NaNs
        values = bits.view(dtype).astype(np.float64)
    return np.unique(values[np.isfinite(values)])


def same(a, b):
    """Equal values, NaN and the sign of zero included."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.array_equal(a, b, equal_nan=True) and np.array_equal(
        np.signbit(a[~np.isnan(a)]), np.signbit(b[~np.isnan(b)])
    )


@pytest.mark.parametrize("name", FLOATS)
def test_properties_are_those_of_finfo(name):
    finfo, ours = ml_dtypes.finfo(numpy_dtype(name)), properties(name)

    assert ours.max == float(finfo.max)
    assert ours.smallest_normal == float(finfo.smallest_normal)
    assert ours.smallest_subnormal == float(finfo.smallest_subnormal)
    assert ours.unit_roundoff == float(finfo.eps) / 2
    assert ours.precision == finfo.nmant + 1


@pytest.mark.parametrize("name", SMALL)
def test_every_value_of_a_small_format_rounds_to_itself(name):
    values = finite_values(name)

    assert same(round_to(values, name), values)
    assert same(cast(values, name).astype(np.float64), values)
    assert cast(values, name).dtype == numpy_dtype(name)


@pytest.mark.parametrize("name", SMALL)
def test_between_neighbours_the_nearer_wins_and_ties_go_to_the_even_one(name):
    """Between all neighbours: the midpoint, and the float64 just below and just above it."""
    values = finite_values(name)
    low, high = values[:-1], values[1:]
    middle = (low + high) / 2  # exact: few significant bits
    position = np.arange(len(low)) - np.searchsorted(values, 0.0)  # of `low`, counted from zero
    even = np.where(position % 2 == 0, low, high)

    assert np.array_equal(round_to(middle, name), even)
    assert np.array_equal(round_to(np.nextafter(middle, -np.inf), name), low)
    assert np.array_equal(round_to(np.nextafter(middle, np.inf), name), high)


@pytest.mark.parametrize("name", SMALL)
def test_the_ulp_is_the_gap_to_the_next_value_away_from_zero(name):
    values = finite_values(name)
    positive = values[values >= 0]
    gaps = np.diff(positive)

    assert np.array_equal(ulp(positive[:-1], name), gaps)
    assert np.array_equal(ulp(-positive[:-1], name), gaps)
    assert np.array_equal(ulp(positive[:-1] + 0.75 * gaps, name), gaps)
    assert same(ulp([0.0, 1e-300, positive[-1], 1e300, np.inf], name), [*[gaps[0]] * 2, *[gaps[-1]] * 3])
    assert np.isnan(ulp(np.nan, name))


@given(EVERY_FLOAT64)
def test_the_ulp_of_float32_and_float64_is_that_of_numpy_and_python(value):
    value = abs(value)
    if value < properties("float32").max:
        below = np.float32(value)
        below = np.nextafter(below, np.float32(0)) if float(below) > value else below
        assert ulp(value, "float32") == float(np.spacing(below))
    if np.isfinite(value):
        assert ulp(value, "float64") == math.ulp(value)


@given(EVERY_FLOAT64)
def test_rounding_to_float32_and_float64_is_numpys_cast(value):
    with np.errstate(over="ignore"):
        assert same(round_to(value, "float32"), np.float64(np.float32(value)))
    assert same(round_to(value, "float64"), value)


@given(st.integers(0, 2**16 - 1), st.integers(-(2**30), 2**30))
def test_rounding_to_float16_is_numpys_cast(bits, steps):
    """From any float16, some float64 steps away, or far into the gap to its neighbour."""
    start = np.array(bits, np.uint16).view(np.float16).astype(np.float64)
    moved = start + steps * np.spacing(np.abs(start)) * 2.0**12 if np.isfinite(start) else start
    with np.errstate(over="ignore"):
        assert same(round_to(moved, "float16"), np.float64(np.float16(moved)))


@given(EVERY_FLOAT64, st.sampled_from(FLOATS))
def test_rounding_errs_by_at_most_half_an_ulp(value, name):
    rounded = float(round_to(value, name))
    if np.isfinite(rounded):
        assert abs(Fraction(rounded) - Fraction(value)) <= Fraction(float(ulp(value, name))) / 2


def test_no_value_is_rounded_twice():
    """Guards: 1 + 2**-8 + 2**-40 by way of float32 is the tie 1 + 2**-8, and then 1.0 in bfloat16."""
    just_above_a_tie = 1 + 2.0**-8 + 2.0**-40

    assert round_to(just_above_a_tie, "bfloat16") == 1 + 2.0**-7
    assert float(cast(just_above_a_tie, "bfloat16")) == 1 + 2.0**-7


@pytest.mark.parametrize("name", FLOATS)
def test_overflow_begins_half_an_ulp_above_the_largest_value(name):
    form = properties(name)
    if name == "float64":
        beyond = np.inf
    else:
        half = form.max + ulp(form.max, name) / 2
        beyond = np.nextafter(half, np.inf)
        # The largest value of e4m3fn is even (0b110), so there the tie goes down to it.
        tie = form.max if name == "float8_e4m3fn" else np.inf
        assert same(round_to([half, -half], name), [tie, -tie])
    overflow = np.inf if form.has_inf else np.nan
    assert same(round_to([beyond, -beyond, np.inf], name), [overflow, -overflow, overflow])
    assert same(
        round_to([beyond, -beyond, np.inf, np.nan], name, saturate=True),
        [form.max, -form.max, form.max, np.nan],
    )


@pytest.mark.parametrize("name", FLOATS)
def test_zero_keeps_its_sign_and_so_does_what_rounds_to_zero(name):
    half = properties(name).smallest_subnormal / 2  # 0 in float64

    assert same(round_to([0.0, -0.0, half, -half], name), [0.0, -0.0, 0.0, -0.0])
    assert np.signbit(cast([-0.0], name).astype(np.float64)).all()


@pytest.mark.parametrize("name", FLOATS)
def test_every_nan_is_cast_to_the_same_bytes(name):
    nans = np.array([0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000001], np.uint64).view(np.float64)

    array = cast(nans, name)

    assert np.isnan(array.astype(np.float64)).all()
    assert not np.signbit(array.astype(np.float64)).any()
    assert len({array[i : i + 1].tobytes() for i in range(3)}) == 1


def test_casting_to_integers_rounds_and_refuses_what_does_not_fit():
    assert cast([2.5, 3.5, -0.5], "int8").tolist() == [2, 4, 0]
    assert cast([2.0**63 - 1024, -(2.0**63)], "int64").tolist() == [2**63 - 1024, -(2**63)]
    with pytest.raises(ValueError, match=r"128.0 does not fit int8, -128 to 127"):
        cast([1.0, 128.0], "int8")
    with pytest.raises(ValueError, match="nan does not fit uint8"):
        cast([np.nan], "uint8", saturate=True)
    assert cast([1e30, -1e30], "int64", saturate=True).tolist() == [2**63 - 1, -(2**63)]
    assert cast([0.0, -0.0, 0.1], "bool").tolist() == [False, False, True]


@pytest.mark.parametrize("name", DTYPES)
def test_a_name_names_its_dtype_and_back(name):
    assert dtype_name(numpy_dtype(name)) == name
    assert dtype_name(name) == name
    assert to_float64(np.zeros(2, numpy_dtype(name))).dtype == (
        np.float64 if is_floating(name) else numpy_dtype(name)
    )


def test_an_unknown_dtype_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="'flaot16' is not a dtype; did you mean 'float16'"):
        numpy_dtype("flaot16")
    with pytest.raises(ConfigError, match="'int8' is not a floating dtype"):
        ulp([1.0], "int8")


@pytest.mark.parametrize("name", FLOATS)
def test_empty_and_0d_arrays_keep_their_shape(name):
    for shape in ((), (0,), (3, 0, 2)):
        values = np.zeros(shape)
        assert round_to(values, name).shape == ulp(values, name).shape == cast(values, name).shape == shape
