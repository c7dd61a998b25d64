"""Sums of many terms, in any order that a kernel may take.

Here: sum, mean, var, std, norm, any, all and count_nonzero.
Elsewhere: running sums and products (products.py), extrema and orderings (orderings.py), matmul
(contractions.py).

The rounding of a sum of n terms t is u [sqrt(n) (|t|_2 + M) + n M / 4] + u |S|, with M the largest
partial sum in memory order. sqrt(n): the probabilistic bound (Higham & Mary 2019; Ipsen & Zhou,
arXiv 1906.10465). n M / 4: coherent rounding of equal terms, and tensor cores, whose accumulation
truncates (Fasi et al., PeerJ CS 7:e330).
"""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.rounding import finish, lost
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Error, Traced, is_real

PARTIAL_SUMS = 32


def accumulation(run: Run, count: int, norm: Any, partial: Any) -> Any:
    """u [sqrt(n) (|t|_2 + M) + n M / 4]: the rounding of adding n terms, without the result's own.

    And n of the smallest normal number, where not all terms are 0: each step may flush what is below it.
    """
    root, unit = sqrt(count), run.arithmetic.unit
    flushed = np.where(np.asarray(norm) > 0, count * run.arithmetic.tiny, 0.0)
    return norm * (unit * root) + partial * (unit * (root + count / 4)) + flushed


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The reduced axes as non-negative numbers; all of them for None."""
    if axis is None:
        return tuple(range(ndim))
    each = axis if isinstance(axis, tuple) else (axis,)
    return tuple(int(a) % ndim for a in each) if ndim else ()


def _sum_of_squares(t: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    letters = "abcdefghijklmnopqrstuvwxyz"[: t.ndim]
    kept = "".join(c for i, c in enumerate(letters) if i not in axes)
    total: Array = np.einsum(f"{letters},{letters}->{kept}", t, t)
    return np.asarray(np.expand_dims(total, axes) if keepdims else total)


def _largest_partial(t: Array, total: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The largest |partial sum| in memory order, at about 32 places; sum |t| for several axes."""
    long = [a for a in axes if t.shape[a] > 1]
    if len(long) > 1:
        return np.asarray(np.abs(t).sum(axis=axes, keepdims=keepdims))
    axis = long[0] if long else axes[0]
    length = t.shape[axis]
    step = -(-length // PARTIAL_SUMS)
    parts = np.add.reduceat(t, np.arange(0, length, step), axis=axis) if step > 1 else t
    partial = np.abs(np.cumsum(parts, axis=axis)).max(axis=axis, keepdims=True)
    squeezed = tuple(a for a in axes if a != axis)
    partial = partial if keepdims else np.squeeze(partial, axis=(axis, *squeezed))
    return np.asarray(np.maximum(partial, np.abs(total)))


def add_reduce(
    run: Run,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    """np.sum with every keyword of it."""
    run.check_time()
    if where is not True:
        x = np.where(where, x, 0)
    x = x if isinstance(x, Traced) else Traced(run, x)
    if dtype is not None and x.dtype != dtype and is_real(np.empty(0, dtype)) != is_real(x.value):
        x = x.astype(dtype)
    axes = axes_of(axis, x.ndim)
    total = np.asarray(x.value.sum(axis=axis, dtype=dtype, keepdims=keepdims))
    error: Error = 0.0
    if isinstance(x.error, np.ndarray):
        error = np.asarray(x.error.sum(axis=axis, keepdims=keepdims))
    if not is_real(total):
        result = Traced(run, total, error)
    else:
        result = _rounded_sum(run, x.value, total, error, axes, keepdims, x.shrunk)
    result.nonnegative, result.shrunk = x.nonnegative, x.shrunk
    if initial is not None and initial != 0:
        result = result + initial
    if out is not None:
        out[...] = result
        return out
    return result


def _rounded_sum(
    run: Run, t: Array, total: Array, error: Error, axes: tuple[int, ...], keepdims: bool, shrunk: float
) -> Traced:
    terms = prod(t.shape[a] for a in axes)
    if terms <= 1 or t.size == 0:
        result = finish(run, "sum", total, error, 0.0, irregular=None)
        return lost(result, np.isinf(error) & np.isfinite(total))
    t = t if t.dtype == np.float64 else t.astype(np.float64)
    low, high = float(t.min()), float(t.max())
    peak = max(-low, high)
    finite = peak < np.inf
    if not finite:  # NaN too
        regular = np.where(np.isfinite(t), t, 0.0)
        total_of = np.asarray(regular.sum(axis=axes, keepdims=keepdims))
    else:
        regular, total_of = t, total
    norm = np.sqrt(_sum_of_squares(regular, axes, keepdims))
    if low >= 0 or high <= 0:
        partial = np.abs(total_of)
    else:
        partial = _largest_partial(regular, total_of, axes, keepdims)
    rounding = accumulation(run, terms - 1, norm, partial)
    largest = run.arithmetic.largest
    overflowing: Any = False
    doubt = float(np.max(error))
    if not finite or not terms * peak * shrunk + doubt <= largest:
        # Some order of summation overflows on the way.
        sum_of_sizes = np.abs(regular).sum(axis=axes, keepdims=keepdims)
        overflowing = sum_of_sizes * shrunk + error > largest
        rounding = np.where(overflowing, np.inf, rounding)
        if not finite:
            has_inf = np.isinf(t).any(axis=axes, keepdims=keepdims)
            given = (has_inf & ~np.isinf(error)) | np.isnan(total)
            rounding = np.where(given, 0.0, rounding)
            overflowing = overflowing & ~given
    carried = error
    result = finish(
        run,
        "sum",
        total,
        error + rounding,
        1.0,
        irregular=lambda bad: np.where(
            np.isfinite(total[bad]),
            np.asarray(carried + rounding)[bad],
            np.where(
                np.isinf(total[bad]) & np.isinf(np.asarray(rounding)[bad]),
                np.inf,
                np.where(np.isinf(np.broadcast_to(carried, total.shape)[bad]), np.inf, 0.0),
            ),
        ),
    )
    result.terms = terms
    return lost(result, overflowing)


def mean(
    run: Run,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    *,
    where: Any = True,
) -> Any:
    """sum / n, as it is written in kernels: one division, or a product with 1/n."""
    if where is not True:
        count: Any = np.sum(np.broadcast_to(where, x.shape), axis=axis, keepdims=keepdims)
    else:
        axes = axes_of(axis, np.ndim(x))
        count = prod(np.shape(x)[a] for a in axes)
    if isinstance(x, Traced) and x.dtype.kind in "iub":
        x = x.astype(np.float64)
    total = add_reduce(run, x, axis=axis, dtype=dtype, keepdims=keepdims, where=where)
    # A count is an integer, exact in float32 up to 2**24.
    result = total / np.asarray(count)
    if where is True and isinstance(x, Traced):
        plain = np.mean(x.value, axis=axis, dtype=dtype, keepdims=keepdims)
        result = _with_value(result, plain)
    if out is not None:
        out[...] = result
        return out
    return result


def var(
    run: Run,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    correction: Any = None,
    mean: Any = None,
) -> Any:
    """The two-pass variance: mean of the squared distances from the mean."""
    if where is not True or out is not None or dtype is not None:
        raise Untraceable("it calls var or std with where=, out= or dtype=")
    ddof = ddof if correction is None else correction
    axes = axes_of(axis, np.ndim(x))
    count = prod(np.shape(x)[a] for a in axes)
    centre = np.mean(x, axis=axis, keepdims=True) if mean is None else mean
    apart = x - centre
    squares = add_reduce(run, apart * apart, axis=axis, keepdims=keepdims)
    result = squares / float(max(count - ddof, 0))
    with np.errstate(all="ignore"):
        plain = np.var(x.value, axis=axis, ddof=ddof, keepdims=keepdims)
    return _with_value(result, plain)


def _with_value(result: Traced, value: Any) -> Traced:
    """The result with the value that the reference itself would have got, its last bit included.

    Where nothing is known of it, it stays NaN (rounding.lost).
    """
    if np.isnan(result.value).any():
        value = np.where(np.isnan(result.value), np.nan, value)
    same = Traced(result.run, value, result.error)
    same.nonnegative = result.nonnegative
    return same


def std(run: Run, x: Any, *args: Any, **kwargs: Any) -> Any:
    """The square root of the two-pass variance."""
    return np.sqrt(var(run, x, *args, **kwargs))


def norm(run: Run, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """np.linalg.norm of vectors, and the Frobenius norm."""
    if ord is None and axis is None:
        x = x.ravel()
        axis = 0
    if ord in (None, 2, "fro") and (ord != 2 or isinstance(axis, int) or x.ndim == 1):
        if ord == "fro" and axis is None:
            axis = tuple(range(x.ndim))
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))
    if isinstance(axis, int) or x.ndim == 1:
        if ord == 1:
            return np.sum(np.abs(x), axis=axis, keepdims=keepdims)
        if ord == np.inf:
            return np.max(np.abs(x), axis=axis, keepdims=keepdims)
    raise Untraceable(f"it calls numpy.linalg.norm with ord={ord!r}")


def any_or_all(run: Run, every: bool, x: Any, axis: Any = None, keepdims: bool = False) -> Traced:
    """np.all (every) or np.any: undecided where no decided element settles it and some is undecided."""
    is_true = x.value.astype(bool)
    combine = np.all if every else np.any
    value = combine(is_true, axis=axis, keepdims=keepdims)
    if x.is_exact:
        return Traced(run, value)
    e = np.broadcast_to(x.error, x.shape)
    open_ = (e > 0) if x.value.dtype == bool else (e > 0) & ~(np.abs(x.value) > e)
    settled = np.any(~open_ & (is_true != every), axis=axis, keepdims=keepdims)
    undecided = np.any(open_, axis=axis, keepdims=keepdims) & ~settled
    return Traced(run, value, np.asarray(undecided, float))


def count_nonzero(run: Run, x: Any, axis: Any = None, keepdims: bool = False) -> Traced:
    """The count, off by at most the number of undecided elements."""
    value = np.count_nonzero(x.value, axis=axis, keepdims=keepdims)
    if x.is_exact:
        return Traced(run, value)
    e = np.broadcast_to(x.error, x.shape)
    open_ = (e > 0) if x.value.dtype == bool else (e > 0) & ~(np.abs(x.value) > e)
    return Traced(run, value, np.asarray(np.sum(open_, axis=axis, keepdims=keepdims), float))
