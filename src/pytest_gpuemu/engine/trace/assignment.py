"""Indexing and item assignment, masks and indices that may be undecided included.

Here: x[i], x[i] = y, ufunc.at, bincount, take and take_along_axis with computed indices.
Elsewhere: rearranging whole arrays (structural.py).
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.reductions import accumulation
from pytest_gpuemu.engine.trace.rounding import finish, lost
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Traced, error_of, has_error, in_range, is_real, value_of

# An undecided index spoils the slots this far to either side; beyond that, every slot.
REACH = 8


def plain_index(index: Any) -> Any:
    """The index with traced parts as NumPy arrays, and as integers where they are one: these give views."""
    if isinstance(index, tuple):
        return tuple(_plain_part(part) for part in index)
    if isinstance(index, list):
        return [_plain_part(part) for part in index]
    return _plain_part(index)


def _plain_part(part: Any) -> Any:
    is_one = isinstance(part, Traced) and part.ndim == 0 and part.dtype.kind in "iu"
    return part.value.item() if is_one else value_of(part)


def _undecided_parts(index: Any) -> list[Traced]:
    parts = index if isinstance(index, tuple) else (index,)
    return [part for part in parts if isinstance(part, Traced) and not part.is_exact]


def get_item(x: Traced, index: Any) -> Traced:
    """x[index]. An element whose index (or mask) is undecided is undetermined."""
    x.run.check_time()
    plain = plain_index(index)
    value = x.value[plain]
    undecided = _undecided_parts(index)
    if not undecided:
        if isinstance(x.error, np.ndarray):
            return Traced(x.run, value, np.asarray(x.error[plain]), x.leaf)
        # A view may yet be written to, so it makes no promise about its sign.
        is_view = isinstance(value, np.ndarray) and value.base is not None
        return Traced(x.run, value, 0.0, x.leaf, parent=(x, itemgetter(plain)) if is_view else None)
    if len(undecided) > 1 or (isinstance(index, tuple) and undecided[0].value.dtype == bool):
        raise Untraceable("it indexes with several computed masks or indices that rounding may change")
    error = np.array(np.broadcast_to(x.error, x.shape)[plain])
    part = undecided[0]
    open_ = np.broadcast_to(part.error, part.shape) > 0
    if part.value.dtype == bool:
        error[open_[part.value]] = np.inf
        return Traced(x.run, value, error)
    if isinstance(index, tuple):
        # The result's axes follow NumPy's own rules; no place in it is certain.
        error[...] = np.inf
        return Traced(x.run, value, error)
    error[open_] = np.inf
    return Traced(x.run, value, error)


def set_item(x: Traced, index: Any, new: Any) -> None:
    """x[index] = new. An undecided mask is a `where`; an undecided index spoils the slots around it."""
    x.run.check_time()
    plain = plain_index(index)
    new = in_range(x.run, new)
    new_value, new_error = value_of(new), error_of(x.run, new)
    undecided = _undecided_parts(index)
    if undecided:
        _set_undecided(x, index, plain, undecided, new_value, new_error)
        return
    carry = has_error(new_error) or isinstance(x.error, np.ndarray) or x._parent is not None
    error = x.full_error() if carry else None
    x.leaf = x.leaf and getattr(new, "leaf", True)
    x.nonnegative = False
    x.value[plain] = new_value
    if error is not None:
        error[plain] = _cast_error(x, new_value, new_error)


def _cast_error(x: Traced, new_value: Any, new_error: Any) -> Any:
    """The error after the value took the array's own dtype."""
    if x.value.dtype.kind in "iub" and is_real(np.asarray(new_value)):
        cut = np.abs(np.asarray(new_value) - np.trunc(new_value))
        return np.where(np.asarray(new_error) > 0, np.ceil(np.asarray(new_error) + cut), 0.0)
    return new_error


def _set_undecided(
    x: Traced, index: Any, plain: Any, undecided: list[Traced], new_value: Any, new_error: Any
) -> None:
    error = x.full_error()
    part = undecided[0]
    if part is index and part.value.dtype == bool:
        mask, open_ = part.value, np.broadcast_to(part.error, part.shape) > 0
        before, before_error = x.value.copy(), error.copy()
        x.value[mask] = new_value
        error[mask] = new_error
        if np.ndim(new_value) == 0:
            gap = np.where(before == new_value, 0.0, np.abs(before - new_value))
            spoiled = np.maximum(np.maximum(before_error, new_error), gap + before_error + new_error)
            error[open_] = np.where(np.isnan(spoiled), np.inf, spoiled)[open_]
        else:
            error[open_] = np.inf
        x.leaf = x.nonnegative = False
        return
    x.value[plain] = new_value
    # Which slots were meant is unknown, so no slot of the array is certain.
    error[...] = np.inf
    x.leaf = x.nonnegative = False


def take(
    run: Run, x: Any, indices: Any, axis: int | None = None, out: Any = None, mode: Any = "raise"
) -> Any:
    """np.take; an undecided index makes its elements undetermined."""
    picked = value_of(indices)
    x = x if isinstance(x, Traced) else Traced(run, x, error_of(run, x))
    value = np.take(x.value, picked, axis=axis, mode=mode)
    error: Any = 0.0
    if isinstance(x.error, np.ndarray):
        error = np.take(x.error, picked, axis=axis, mode=mode)
    if isinstance(indices, Traced) and not indices.is_exact:
        open_ = np.broadcast_to(indices.error, indices.shape) > 0
        if axis is not None:
            before = axis % x.ndim
            open_ = open_.reshape((1,) * before + open_.shape + (1,) * (x.ndim - before - 1))
        error = np.where(open_, np.inf, np.broadcast_to(error, value.shape))
    result = Traced(run, value, error, x.leaf)
    if out is not None:
        out[...] = result
        return out
    return result


def take_along_axis(run: Run, x: Any, indices: Any, axis: int | None = -1) -> Traced:
    x = x if isinstance(x, Traced) else Traced(run, x, error_of(run, x))
    picked = value_of(indices)
    value = np.take_along_axis(x.value, picked, axis)
    error: Any = 0.0
    if isinstance(x.error, np.ndarray):
        error = np.take_along_axis(np.broadcast_to(x.error, x.shape), picked, axis)
    if isinstance(indices, Traced) and not indices.is_exact:
        open_ = np.broadcast_to(indices.error, indices.shape) > 0
        error = np.where(np.broadcast_to(open_, value.shape), np.inf, error)
    return Traced(run, value, error, x.leaf)


def put_along_axis(run: Run, x: Any, indices: Any, values: Any, axis: int | None) -> None:
    if not isinstance(x, Traced):
        raise Untraceable("it writes a traced result into a plain NumPy array")
    picked = value_of(indices)
    error = x.full_error()
    new_error = error_of(run, values)
    np.put_along_axis(x.value, picked, value_of(values), axis)
    np.put_along_axis(error, picked, new_error, axis)
    if isinstance(indices, Traced) and not indices.is_exact:
        error[...] = np.inf
    x.leaf = x.nonnegative = False


def scatter(run: Run, ufunc: np.ufunc, x: Any, index: Any, new: Any = None) -> None:
    """ufunc.at(x, index, new): slots in any order of arrival (atomics)."""
    if not isinstance(x, Traced):
        raise Untraceable("it accumulates traced values into a plain NumPy array")
    run.check_time()
    plain = plain_index(index)
    error = x.full_error()
    x.leaf = x.nonnegative = False
    undecided = _undecided_parts(index)
    name = ufunc.__name__
    if name in ("add", "subtract"):
        _scatter_add(run, ufunc, x, plain, value_of(new), error_of(run, new))
    elif name in ("maximum", "minimum", "fmax", "fmin"):
        low, high = x.value - error, x.value + error
        new_value, new_error = value_of(new), error_of(run, new)
        ufunc.at(x.value, plain, new_value)
        ufunc.at(low, plain, new_value - new_error)
        ufunc.at(high, plain, new_value + new_error)
        above = np.where(high == x.value, 0.0, high - x.value)
        below = np.where(low == x.value, 0.0, x.value - low)
        spread = np.maximum(above, below)
        error[...] = np.where(np.isnan(spread), np.where(np.isnan(x.value), 0.0, np.inf), spread)
    else:
        raise Untraceable(f"it calls numpy.{name}.at")
    if undecided:
        _spoil(x, error, index, undecided[0], new)


def _spoil(x: Traced, error: Array, index: Any, part: Traced, new: Any) -> None:
    """Slots that an undecided index may have meant: those within its error may hold the value or not."""
    amount = np.broadcast_to(np.abs(value_of(new)) + error_of(x.run, new), part.shape)
    reach = np.broadcast_to(part.error, part.shape)
    open_ = reach > 0
    if x.ndim != 1 or part is not index or not reach[open_].max() <= REACH:
        error[...] = np.inf
        return
    for at, far, how_much in zip(part.value[open_], reach[open_], amount[open_], strict=True):
        error[max(0, int(at - far)) : int(at + far) + 1] += how_much


def _scatter_add(run: Run, ufunc: np.ufunc, x: Traced, plain: Any, new: Any, new_error: Any) -> None:
    """Every slot is the sum of what was there and of its arrivals."""
    before = x.value.copy()
    error = x.full_error()
    ufunc.at(x.value, plain, new)
    if has_error(new_error):
        np.add.at(error, plain, new_error)
    if not is_real(x.value):
        return
    carried = error.copy()
    error[...] = _arrivals(run, before, x.value, plain, new, error)
    x.value[np.isinf(error) & np.isfinite(carried)] = np.nan  # as rounding.lost, in place


def _arrivals(run: Run, before: Array, total: Array, plain: Any, new: Any, error: Array) -> Array:
    count = np.zeros(total.shape)
    np.add.at(count, plain, np.where(np.asarray(new) != 0, 1.0, 0.0))
    count += (before != 0) - 1.0
    count = np.maximum(count, 0.0)
    squares = np.where(np.isfinite(before), before * before, 0.0)
    sizes = np.abs(before)
    np.add.at(squares, plain, np.where(np.isfinite(new), np.square(np.asarray(new, float)), 0.0))
    np.add.at(sizes, plain, np.abs(new))
    # Arrivals come in any order, so the largest partial sum may be the sum of the magnitudes.
    root = np.sqrt(count)
    rounding = run.arithmetic.unit * (root * np.sqrt(squares) + (root + count / 4) * sizes)
    rounding = np.where(count > 0, rounding + run.arithmetic.unit * np.abs(total), 0.0)
    rounding = np.where(np.isfinite(total), rounding, 0.0)
    rounding = np.where((sizes > run.arithmetic.largest) & np.isfinite(sizes), np.inf, rounding)
    whole = error + rounding
    whole = whole + run.arithmetic.tiny * ((count > 0) & (whole > 0))
    return np.where(np.isnan(whole), np.inf, whole)


def bincount(run: Run, x: Any, weights: Any = None, minlength: int = 0) -> Traced:
    """np.bincount: a scatter of ones or of weights."""
    index = value_of(x)
    value = np.bincount(index, value_of(weights), minlength)
    result = Traced(run, np.zeros(value.shape, value.dtype), np.zeros(value.shape))
    scatter(run, np.add, result, x, 1 if weights is None else weights)
    result.value[...] = value
    return result


def add_reduceat(
    run: Run, x: Traced, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None
) -> Traced:
    """np.add.reduceat: sums of segments."""
    if dtype is not None or out is not None:
        raise Untraceable(f"it calls numpy.add.reduceat with {'out' if dtype is None else 'dtype'}=")
    starts = np.asarray(value_of(indices))

    def segments(t: Array) -> Array:
        return np.asarray(np.add.reduceat(t, starts, axis=axis))

    value = segments(x.value)
    if not is_real(value):
        return Traced(run, value, segments(x.error) if isinstance(x.error, np.ndarray) else 0.0)
    t = np.where(np.isfinite(x.value), x.value, 0.0)
    count = x.shape[axis]
    rounding = accumulation(run, max(count - 1, 1), np.sqrt(segments(t * t)), segments(np.abs(t)))
    carried = segments(x.error) if isinstance(x.error, np.ndarray) else 0.0
    overflowing = ~(segments(np.abs(t)) + carried <= run.arithmetic.largest) & np.isfinite(value)
    error = np.where(np.isfinite(value), rounding + carried, 0.0)
    return lost(finish(run, "sum", value, error, 1.0), overflowing)
