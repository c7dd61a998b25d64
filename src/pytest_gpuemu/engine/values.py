"""The values of one input of a case: which distribution, within which domain, in which dtype.

Here: `fill`, and keeping floating values inside the input's domain and away from overflow.
Elsewhere: the floating distributions (distributions.py), integers, bools and inputs that point into
a dim (discrete.py), which distribution a seed gets (plan.py), strides and guard bands (buffers.py).

Values are drawn by exact operations alone: integers, shifts, and + - * / sqrt in IEEE double, each of
which has one right result. Library log, cos, exp and pow differ in the last bit between machines.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pytest_gpuemu.engine import discrete, distributions
from pytest_gpuemu.engine.dtypes import cast, is_floating, properties, round_to, ulp
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import VALUES, Array, Float64Array, Input
from pytest_gpuemu.engine.rng import SeededRng, derive_seed
from pytest_gpuemu.engine.schema import DimExpr

EDIT_VALUES = ("zeros", "ones")


def fill(
    x: Input, shape: tuple[int, ...], dtype: str, distribution: str, dims: Mapping[str, int], seed: int
) -> Array:
    """A C-contiguous array of this shape and dtype with values for the input x.

    distribution is one of op.VALUES, "zeros" or "ones"; inputs of another kind than "values" are drawn
    from patterns of their own kind instead. dims are the sizes that x.low, x.high and x.of refer to.
    The result is a function of the arguments alone; the seed is split by the input's name, so inputs
    of one case may share it. Every value lies within x.low and x.high; where an input has such a bound,
    the non-finite distributions give the domain's boundary values instead of infinities and NaN.

    Raises ConfigError for an unknown distribution, and where the domain holds no value of the dtype.
    """
    if distribution not in VALUES and distribution not in EDIT_VALUES:
        known = (*VALUES, *EDIT_VALUES)
        raise ConfigError(
            f"{distribution!r} is no distribution of values; {did_you_mean(distribution, known)}"
        )
    rng = SeededRng(derive_seed(seed, f"values of {x.name}"))
    if x.kind != "values":
        return discrete.fill_kind(x, shape, dtype, _size(x.of, dims), rng)
    low, high = _bound(x.low, dims), _bound(x.high, dims)
    if not is_floating(dtype):
        values = discrete.fill_integers(x.name, shape, dtype, distribution, low, high, rng)
    else:
        longest = max([*dims.values(), *shape, 1])
        values = _fill_floats(x.name, shape, dtype, distribution, low, high, longest, rng)
    return _without_zeros(x.name, values, low, high) if x.nonzero else values


def _without_zeros(name: str, values: Array, low: float | None, high: float | None) -> Array:
    """Each 0 replaced by 1, or by the first of -1, low and high that lies in the domain."""
    floating = is_floating(str(values.dtype))  # for integers high is excluded
    for other in (1.0, -1.0, low, high):
        below = high is None or other is None or (other <= high if floating else other < high)
        if other and (low is None or low <= other) and below:
            return np.where(values == 0, np.array(other).astype(values.dtype), values)
    raise ConfigError(f"input {name!r}: low = {low!r} and high = {high!r} leave no value but 0")


def largest_value(dtype: str, longest: int) -> float:
    """The magnitude that values keep to: max / (4 * longest dim), so that no sum of them overflows.

    A kernel may sum without dividing first, so an overflow there is no mistake of its own. Never below
    1: formats of 8 bits would be left without values, and nothing sums in those.
    """
    return max(properties(dtype).max / (4.0 * longest), 1.0)


def _fill_floats(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    distribution: str,
    low: float | None,
    high: float | None,
    longest: int,
    rng: SeededRng,
) -> Array:
    form = properties(dtype)
    limit = largest_value(dtype, longest)
    axis = _row_axis(shape, rng)
    moved = shape if axis is None else (*shape[:axis], *shape[axis + 1 :], shape[axis])
    cols = moved[-1] if moved else 1
    rows = int(np.prod(moved[:-1], dtype=np.int64)) if cols else 0
    drawn = distributions.draw(distribution, rng, rows, cols, form, limit)
    values = np.zeros(moved) if drawn.size == 0 else drawn.reshape(moved)
    if axis is not None:
        values = np.moveaxis(values, -1, axis)
    top = min(form.max, max(limit, float(np.sqrt(form.max)))) if distribution == "root" else limit
    if low is not None or high is not None:
        values = _within(name, values, dtype, low, high, top)
    else:
        top = _round_toward_zero(top, dtype)
        rounded = round_to(values, dtype)
        values = np.where(np.isfinite(values), np.clip(rounded, -top, top), values)
    return np.ascontiguousarray(cast(values, dtype)).reshape(shape)


def _row_axis(shape: tuple[int, ...], rng: SeededRng) -> int | None:
    """The axis that "rows" lie along: mostly the last, as most kernels reduce that one."""
    axes = [axis for axis, size in enumerate(shape) if size > 1] or [len(shape) - 1]
    luck, other = rng.gen_range(0, 4), rng.choice(axes)
    if not shape:
        return None
    return other if luck == 0 else len(shape) - 1


def _within(
    name: str, values: Float64Array, dtype: str, low: float | None, high: float | None, top: float
) -> Float64Array:
    """The values moved into [low, high], as values of the dtype.

    An open side ends at ±top. With one bound, what lies beyond it is reflected. With two, an array
    with values outside is scaled to fit as a whole, which keeps its signs where both are allowed.
    """
    bottom = max(-top, -properties(dtype).max) if low is None else low
    ceiling = top if high is None else high
    if low is not None and high is None and low > ceiling:
        ceiling = properties(dtype).max
    if high is not None and low is None and high < bottom:
        bottom = -properties(dtype).max
    least, most = _representable(name, dtype, bottom, ceiling)
    finite = np.where(np.isfinite(values), values, 0.0)
    if high is None:
        finite = np.where(finite < least, least + (least - finite), finite)
    elif low is None:
        finite = np.where(finite > most, most - (finite - most), finite)
    elif finite.size and (finite.min() < least or finite.max() > most):
        share = finite / np.max(np.abs(finite)) if np.any(finite) else finite
        if least < 0 < most:
            finite = np.where(share < 0, share * -least, share * most)
        elif least >= 0:
            finite = least + np.abs(share) * (most - least)
        else:
            finite = most - np.abs(share) * (most - least)
    moved = np.clip(round_to(finite, dtype, saturate=True), least, most)
    return np.where(np.isfinite(values), moved, np.where(values > 0, most, least))


def _representable(name: str, dtype: str, low: float, high: float) -> tuple[float, float]:
    """The smallest and largest value of the dtype in [low, high]; ConfigError where there is none."""
    least = float(round_to(low, dtype, saturate=True))
    if least < low:
        least += float(ulp(least, dtype))
    most = float(round_to(high, dtype, saturate=True))
    if most > high:
        most -= float(ulp(most, dtype))
    if not low <= least <= most <= high:
        raise ConfigError(f"input {name!r}: no {dtype} lies between low = {low!r} and high = {high!r}")
    return least, most


def _round_toward_zero(value: float, dtype: str) -> float:
    rounded = float(round_to(value, dtype, saturate=True))
    return rounded if rounded <= value else rounded - float(ulp(value, dtype))


def _size(dim: DimExpr | None, dims: Mapping[str, int]) -> int | None:
    return None if dim is None else dim.evaluate(dims)


def _bound(bound: float | DimExpr | None, dims: Mapping[str, int]) -> float | None:
    return float(bound.evaluate(dims)) if isinstance(bound, DimExpr) else bound
