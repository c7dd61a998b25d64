"""The floating distributions that a case's values are drawn from, and what each is there to find.

Here: one function a distribution, each giving float64 [rows, cols] by exact operations only.
Elsewhere: domains and rounding to the dtype (values.py), integers and bools (discrete.py).
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from pytest_gpuemu.engine.dtypes import FloatProperties
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.rng import SeededRng, UInt64Array

# What a special row is filled with, and where: all of it, or at a drawn place, up to it, from it on, or all
# but there. The likelier mistakes stand twice: a row or its first blocks masked, and a NaN that gets lost.
_ROW_KINDS = (
    (-np.inf, "all"),
    (-np.inf, "all"),
    (np.nan, "all"),
    (np.inf, "all"),
    (0.0, "all"),
    (-np.inf, "all but one"),
    (np.nan, "one"),
    (np.nan, "one"),
    (-np.inf, "one"),
    (np.inf, "one"),
    (-np.inf, "before"),
    (-np.inf, "before"),
    (-np.inf, "after"),
)
_INF, _NAN = np.inf, np.nan
_SPECIALS = (
    (_NAN,),
    (_NAN,),
    (_NAN, -_INF),
    (_NAN, _INF),
    (-_INF,),
    (-_INF,),
    (_INF,),
    (_INF, -_INF),
    (_INF, -_INF, _NAN),
)
_POPCOUNT_MASKS = (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F)


class Draws:
    """What a distribution draws from: a stream of numbers, and the array's size and format.

    limit is the magnitude that values should keep to.
    """

    __slots__ = ("cols", "form", "limit", "rng", "rows")

    def __init__(self, rng: SeededRng, rows: int, cols: int, form: FloatProperties, limit: float) -> None:
        self.rng, self.rows, self.cols, self.form, self.limit = rng, rows, cols, form, limit

    @property
    def size(self) -> int:
        return self.rows * self.cols

    def uniform(self) -> Float64Array:
        """[rows, cols] in [0, 1)."""
        return self.rng.gen_f64s(self.size).reshape(self.rows, self.cols)

    def uniform_rows(self) -> Float64Array:
        """[rows, 1] in [0, 1): one for each row."""
        return self.rng.gen_f64s(self.rows).reshape(self.rows, 1)

    def bits(self) -> UInt64Array:
        return self.rng.gen_u64s(self.size).reshape(self.rows, self.cols)

    def integers(self, low: int, high: int) -> Float64Array:
        """[rows, cols] of integers in [low, high)."""
        return np.asarray(self.bits() % np.uint64(high - low)).astype(np.float64) + low

    def signs(self) -> Float64Array:
        """[rows, cols] of +1 and -1."""
        return np.where(self.bits() >> np.uint64(63), -1.0, 1.0)

    def some_signs(self) -> Float64Array:
        """Mixed signs, all of one sign, or rows of one sign beside mixed ones: which is drawn too."""
        how = self.rng.choice(("mixed", "positive", "negative", "rows", "rows"))
        if how == "mixed":
            return self.signs()
        if how == "rows":
            kind = self.uniform_rows()
            return np.where(kind < 0.4, -1.0, np.where(kind < 0.6, 1.0, self.signs()))
        return np.full((self.rows, self.cols), 1.0 if how == "positive" else -1.0)

    def scale(self) -> float:
        """The size of ordinary values: often 1, now and then where exp overflows or an eps matters."""
        return min(self.rng.choice((1.0, 1.0, 10.0, 10.0, 100.0, 2.0**-7, 2.0**-12)), self.limit)


def draw(
    distribution: str, rng: SeededRng, rows: int, cols: int, form: FloatProperties, limit: float
) -> Float64Array:
    """Values [rows, cols] of that distribution, not yet rounded to the format. KeyError for another name."""
    return _DISTRIBUTIONS[distribution](Draws(rng, rows, cols, form, limit))


def uniform(draws: Draws) -> Float64Array:
    """Mostly symmetric about 0, sometimes [0, scale]."""
    scale = draws.scale()
    low = draws.rng.choice((-1.0, -1.0, -1.0, 0.0)) * scale
    return low + (scale - low) * draws.uniform()


def normal(draws: Draws) -> Float64Array:
    """Standard normal times a scale, sometimes about 1 instead of 0; within ±8.2 scales.

    Now and then the rows are sorted: the largest of a row is then its last, in a tail that a kernel may miss.
    """
    scale = min(draws.scale(), draws.limit / 16)
    mean = draws.rng.choice((0.0, 0.0, 0.0, 1.0))
    order = draws.rng.choice(("drawn", "drawn", "drawn", "drawn", "rising", "falling"))
    values = mean * min(1.0, draws.limit / 16) + scale * standard_normal(draws)
    if order == "drawn":
        return values
    return np.sort(values, axis=1) if order == "rising" else np.sort(values, axis=1)[:, ::-1]


def standard_normal(draws: Draws) -> Float64Array:
    """(popcount(bits) + u - 32.5) / sqrt(16 + 1/12): mean 0, variance 1, and no log or cos.

    The number of ones among 64 fair bits is binomial, with variance 16; u in [0, 1) makes it smooth.
    """
    ones = _popcount(draws.bits()).astype(np.float64)
    return np.asarray((ones - 32.5 + draws.uniform()) / sqrt(16.0 + 1.0 / 12.0))


def wide(draws: Draws) -> Float64Array:
    """Log-uniform magnitudes, over the whole format or over 2**±12: absorption, and sums in bad orders."""
    top = int(np.frexp(draws.limit)[1]) - 1
    bottom = draws.form.min_exponent
    if draws.rng.choice((True, False)):
        bottom, top = max(bottom, -12), min(top, 12)
    exponent = draws.integers(bottom, max(top, bottom + 1))
    return draws.signs() * np.ldexp(1.0 + draws.uniform(), exponent.astype(np.int32))


def near_equal(draws: Draws) -> Float64Array:
    """Values near a large mean, some rows constant: cancellation, tiny variances.

    The mean is that of a row, or of all rows where a kernel reduces over more than the last axis.
    """
    base = min(draws.rng.choice((1.0, 32.0, 256.0, 1024.0, 4096.0, 65536.0)), draws.limit / 4)
    mean = base * (1.0 + draws.uniform_rows()) * np.where(draws.uniform_rows() < 0.5, -1.0, 1.0)
    # The mean over the deviation, which is what cancellation multiplies a rounding by; one ulp at least.
    ratio = draws.rng.choice((16.0, 256.0, 1024.0, 4096.0, 16384.0))
    if draws.rng.choice((True, False)):
        mean[:] = mean[:1]
        ratio = min(ratio, 1024.0)  # more elements are summed, whose roundings drown more
    spread = max(base / ratio, 2.0 * base * draws.form.unit_roundoff)
    constant = draws.uniform_rows() < 0.125
    return mean + np.where(constant, 0.0, spread) * (2.0 * draws.uniform() - 1.0)


def one_signed(draws: Draws) -> Float64Array:
    """All values above 0 or all below: an accumulator or maximum that starts at 0, a lost sign."""
    scale = draws.scale() / 2
    offset = draws.rng.choice((0.0, 0.0, 1.0)) * scale
    sign = draws.rng.choice((-1.0, 1.0))
    return sign * (offset + scale * (2.0**-4 + draws.uniform() * (1.0 - 2.0**-4)))


def root(draws: Draws) -> Float64Array:
    """Magnitudes near the root of the largest or smallest normal value: squares near the limits."""
    # A sum of squares beyond float32 leaves nothing to judge; beyond float16 it is an ordinary float32.
    is_narrow = draws.form.max < 2.0**100
    largest = draws.rng.choice((draws.form.max, draws.limit)) if is_narrow else draws.limit
    high, low = sqrt(largest), sqrt(draws.form.smallest_normal)
    how = draws.rng.choice(("high", "low", "rows", "mixed"))
    size: Float64Array
    if how == "rows":
        size = np.asarray(np.where(draws.uniform_rows() < 0.5, high, low))
    elif how == "mixed":
        size = np.asarray(np.where(draws.uniform() < 0.5, high, low))
    else:
        size = np.full((1, 1), high if how == "high" else low)
    factor = np.where(size == high, 0.25 + 0.75 * draws.uniform(), 0.5 + 3.5 * draws.uniform())
    return draws.some_signs() * size * factor


def integers(draws: Draws) -> Float64Array:
    """Few small whole numbers, now and then halves: exact sums, equal maxima, ties in rounding."""
    unit = draws.rng.choice((1.0, 1.0, 1.0, 0.5))
    most = int(min(draws.rng.choice((1, 2, 3, 8, 16)), draws.limit))
    return draws.integers(-most, most + 1) * unit


def sparse(draws: Draws) -> Float64Array:
    """Mostly zeros of both signs, and rows of nothing else: divisions by a norm, log of a sum."""
    density = draws.rng.choice((1 / 16, 1 / 4, 1 / 2))
    empty = draws.uniform_rows() < 0.25
    zero = (draws.uniform() >= density) | empty
    return np.where(zero, np.copysign(0.0, draws.signs()), draws.scale() * (2.0 * draws.uniform() - 1.0))


def tiny(draws: Draws) -> Float64Array:
    """Subnormals, zeros of both signs and the smallest normals: flushing, division by what underflowed."""
    below = draws.form.precision - 1
    steps = draws.bits() >> (np.uint64(64 - below) + draws.bits() % np.uint64(below))
    subnormal = steps.astype(np.float64) * draws.form.smallest_subnormal
    normal_ = draws.form.smallest_normal * (1.0 + 3.0 * draws.uniform())
    return draws.some_signs() * np.where(draws.uniform() < 0.5, subnormal, normal_)


def large(draws: Draws) -> Float64Array:
    """Upper half of the allowed magnitudes: scores that overflow where a kernel multiplies first."""
    return draws.some_signs() * (draws.limit * (0.5 + 0.5 * draws.uniform()))


def nonfinite(draws: Draws) -> Float64Array:
    """Infinities or NaN at a few places among ordinary values."""
    values = uniform(draws).reshape(-1)
    if values.size == 0:
        return values.reshape(draws.rows, draws.cols)
    specials = draws.rng.choice(_SPECIALS)
    if not draws.form.has_inf:
        specials = (np.nan,)
    count = len(specials) + draws.rng.gen_range(0, 1 + min(values.size // 16, 7))
    for place in range(count):
        values[draws.rng.gen_range(0, values.size)] = specials[place % len(specials)]
    return values.reshape(draws.rows, draws.cols)


def nonfinite_rows(draws: Draws) -> Float64Array:
    """Whole rows of -inf (a masked row), NaN, +inf or zero; rows of -inf but for one place; rows with one NaN
    or infinity; and rows that are -inf up to a place or from one on (a causal mask, a masked block). The
    others are ordinary.
    """
    values = normal(draws)
    if values.size == 0:
        return values
    share = draws.rng.choice((0.25, 0.5, 1.0))
    special = draws.uniform_rows()[:, 0] < share
    special[draws.rng.gen_range(0, draws.rows)] = True
    usual = draws.rng.gen_range(0, len(_ROW_KINDS))
    one_kind = draws.rng.choice((True, False))
    kinds = draws.rng.gen_u64s(draws.rows) % np.uint64(len(_ROW_KINDS))
    places = draws.rng.gen_u64s(draws.rows) % np.uint64(draws.cols)
    for row in np.flatnonzero(special):
        fill, where = _ROW_KINDS[usual if one_kind else int(kinds[row])]
        place = int(places[row])
        kept = values[row, place]
        filled = {
            "one": slice(place, place + 1),
            "before": slice(None, place + 1),
            "after": slice(place, None),
        }
        values[row, filled.get(where, slice(None))] = fill
        if where == "all but one":
            values[row, place] = kept
    return values


def _popcount(bits: UInt64Array) -> UInt64Array:
    """The number of ones in each element, by adding neighbouring fields (NumPy 1 has no bitwise_count)."""
    pairs, nibbles, octets = (np.uint64(mask) for mask in _POPCOUNT_MASKS)
    bits = bits - ((bits >> np.uint64(1)) & pairs)
    bits = (bits & nibbles) + ((bits >> np.uint64(2)) & nibbles)
    bits = (bits + (bits >> np.uint64(4))) & octets
    for shift in (8, 16, 32):
        bits = bits + (bits >> np.uint64(shift))
    return np.asarray(bits & np.uint64(0x7F))


_DISTRIBUTIONS: dict[str, Callable[[Draws], Float64Array]] = {
    "uniform": uniform,
    "normal": normal,
    "wide": wide,
    "near_equal": near_equal,
    "one_signed": one_signed,
    "root": root,
    "integers": integers,
    "sparse": sparse,
    "tiny": tiny,
    "large": large,
    "nonfinite": nonfinite,
    "nonfinite_rows": nonfinite_rows,
    "zeros": lambda draws: np.zeros((draws.rows, draws.cols)),
    "ones": lambda draws: np.ones((draws.rows, draws.cols)),
}
