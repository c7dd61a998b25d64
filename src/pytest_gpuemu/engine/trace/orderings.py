"""Extrema, orderings and the indices that they give.

Here: max, min, argmax, argmin, sort, argsort, partition, median, quantiles, searchsorted.
Elsewhere: sums (reductions.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.rounding import difference, finish
from pytest_gpuemu.engine.trace.run import Run
from pytest_gpuemu.engine.trace.traced import Error, Traced, has_error, is_real


def monotone(run: Run, x: Traced, f: Callable[[Array], Any], units: float = 0.0) -> Traced:
    """f rises with every element (max, sort, median): it lies between f(x - e) and f(x + e)."""
    value = np.asarray(f(x.value))
    error: Error = 0.0
    if has_error(x.error):
        up = difference(np.asarray(f(x.value + x.error)), value)
        down = difference(np.asarray(f(x.value - x.error)), value)
        error = np.maximum(up, down)
        # An infinite error of an infinite element gives inf - inf; a NaN that may be a number is open.
        if np.isinf(x.error).any():
            free = np.isinf(x.error).astype(float)
            error = np.where(np.isnan(value) & (np.asarray(f(free)) > 0), np.inf, error)
    return finish(run, "ordering", value, error, units)


def extremum(
    run: Run,
    x: Traced,
    largest: bool,
    axis: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """max or min along an axis."""
    run.check_time()
    f = np.max if largest else np.min
    if where is not True:
        x = np.where(where, x, initial)  # type: ignore[assignment]
    extra = {} if initial is None else {"initial": initial}
    result = monotone(run, x, lambda t: f(t, axis=axis, keepdims=keepdims, **extra))
    result.leaf = x.leaf
    if out is not None:
        out[...] = result
        return out
    return result


def arg_extremum(
    run: Run, x: Traced, largest: bool, axis: Any = None, out: Any = None, keepdims: bool = False
) -> Traced:
    """argmax or argmin; undetermined where a rival lies within the errors. An exact tie is no rival."""
    f = np.argmax if largest else np.argmin
    value = np.asarray(f(x.value, axis=axis, keepdims=keepdims))
    if not has_error(x.error) or x.is_exact:
        return Traced(run, value)
    t, e = (x.value, x.error) if axis is not None else (x.value.ravel(), np.ravel(x.error))
    along = 0 if axis is None else axis
    t = t if largest else -t
    at = np.expand_dims(np.argmax(t, axis=along), along)
    best, best_error = np.take_along_axis(t, at, along), np.take_along_axis(e, at, along)
    rival = (t + e >= best - best_error) & ((e > 0) | (best_error > 0))
    np.put_along_axis(rival, at, False, along)
    open_ = rival.any(axis=along) | np.isinf(best_error).any(axis=along)
    error = np.where(open_, np.inf, 0.0)
    return Traced(run, value, error.reshape(value.shape))


def sort(run: Run, x: Traced, axis: int | None = -1, **kwargs: Any) -> Traced:
    return monotone(run, x, lambda t: np.sort(t, axis=axis))


def partition(run: Run, x: Traced, kth: Any, axis: int | None = -1, **kwargs: Any) -> Traced:
    """np.partition keeps an order of its own, so only the elements at kth are certain."""
    value = np.partition(x.value, kth, axis=axis)
    ordered = monotone(run, x, lambda t: np.sort(t, axis=axis))
    return Traced(run, value, ordered.error)


def argsort(
    run: Run, x: Traced, axis: int | None = -1, kind: Any = None, stable: Any = None, **kwargs: Any
) -> Traced:
    """The order; undetermined at neighbours that the errors may swap."""
    value = np.argsort(x.value, axis=axis, kind=kind or ("stable" if stable else None))
    if not has_error(x.error) or x.is_exact:
        return Traced(run, value)
    t, e = (x.value, x.error) if axis is not None else (x.value.ravel(), np.ravel(x.error))
    axis = -1 if axis is None else axis
    t = np.moveaxis(np.take_along_axis(t, value, axis), axis, -1)
    e = np.moveaxis(
        np.take_along_axis(np.broadcast_to(e, x.shape) if axis is not None else e, value, axis), axis, -1
    )
    top = np.maximum.accumulate(t + e, axis=-1)[..., :-1]
    bottom = np.minimum.accumulate((t - e)[..., ::-1], axis=-1)[..., ::-1][..., 1:]
    swap = (top >= bottom) & ((e[..., :-1] > 0) | (e[..., 1:] > 0))
    open_ = np.zeros(t.shape, bool)
    open_[..., :-1] |= swap
    open_[..., 1:] |= swap
    return Traced(run, value, np.moveaxis(np.where(open_, np.inf, 0.0), -1, axis))


def statistic(run: Run, function: Callable[..., Any], x: Traced, args: Any, kwargs: Any) -> Traced:
    """median, quantile, percentile: monotone, with an interpolation of a few roundings."""
    return monotone(run, x, lambda t: function(t, *args, **kwargs), 4.0 if is_real(x.value) else 0.0)


def searchsorted(run: Run, a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Traced:
    """The position; off by as many elements as lie within the errors."""
    av, vv = (x.value if isinstance(x, Traced) else np.asarray(x) for x in (a, v))
    ae, ve = (x.error if isinstance(x, Traced) else 0.0 for x in (a, v))
    value = np.searchsorted(av, vv, side=side, sorter=sorter)
    if not (has_error(ae) or has_error(ve)):
        return Traced(run, value)
    early = np.searchsorted(av + ae, vv - ve, side=side, sorter=sorter)
    late = np.searchsorted(av - ae, vv + ve, side=side, sorter=sorter)
    return Traced(run, value, np.maximum(np.abs(early - value), np.abs(late - value)).astype(float))
