"""Running sums, products and running products.

Here: cumsum, prod, cumprod. Elsewhere: sums, and where their rule comes from (reductions.py).
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.reductions import axes_of
from pytest_gpuemu.engine.trace.rounding import finish, lost
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Error, Traced, has_error, is_real


def cumsum(run: Run, x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Every prefix is a sum of its own."""
    run.check_time()
    if axis is None:
        x = x.ravel()
        axis = 0
    t = x.value
    total = np.cumsum(t, axis=axis, dtype=dtype)
    error: Error = np.cumsum(x.error, axis=axis) if isinstance(x.error, np.ndarray) else 0.0
    if not is_real(total):
        result = Traced(run, total, error)
    else:
        t = np.where(np.isfinite(t), t, 0.0).astype(np.float64)
        sums = np.cumsum(t, axis=axis)
        norm = np.sqrt(np.cumsum(t * t, axis=axis))
        partial = np.maximum.accumulate(np.abs(sums), axis=axis)
        shape = [1] * t.ndim
        shape[axis] = t.shape[axis]
        terms = np.arange(t.shape[axis], dtype=float).reshape(shape)
        root = np.sqrt(terms)
        rounding = run.arithmetic.unit * (root * norm + (root + terms / 4) * partial)
        # The first prefix is its only term, exactly; adding exact zeros rounds nothing either.
        rounding += run.arithmetic.unit * np.abs(sums) * (terms > 0)
        sizes = np.cumsum(np.abs(t), axis=axis)
        over = ~(sizes + error <= run.arithmetic.largest) & (terms > 0)
        rounding = np.where(over, np.inf, rounding)
        error = error + np.where(np.isfinite(total) | over, rounding, 0.0)
        error = error + run.arithmetic.tiny * ((error > 0) & np.isfinite(error))
        result = lost(finish(run, "cumsum", total, error + _stored(run, total), 0.0), over)
    if out is not None:
        out[...] = result
        return out
    return result


def _stored(run: Run, value: Array) -> Any:
    """What "storage" loses on writing a result: nothing under the other compute types."""
    arithmetic = run.arithmetic
    if arithmetic.step_unit == 0.0:
        return 0.0
    size = np.where(np.isfinite(value), np.abs(value), 0.0)
    return arithmetic.step_unit * size + arithmetic.step_tiny * (size > 0)


def _product_error(run: Run, t: Array, e: Error, product: Any, count: Any) -> Any:
    """prod(|t| + e) (1 + u)^(n-1) - prod|t|, and the smallest normal number times the largest cofactor."""
    size = np.abs(t).astype(np.float64)
    upper = product(size + e)
    growth = np.expm1(count * np.log1p(run.arithmetic.unit))
    error = np.maximum(upper - product(size), 0.0) + upper * growth
    reach = product(np.maximum(size + e, 1.0))
    error = error + run.arithmetic.tiny * count * reach * (product((size + e > 0).astype(float)) > 0)
    return np.where(reach > run.arithmetic.largest, np.inf, error)


def product(
    run: Run,
    x: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    **kwargs: Any,
) -> Any:
    """np.prod: each of the n - 1 multiplications rounds once."""
    if kwargs or out is not None:
        raise Untraceable("it calls prod with where=, initial= or out=")
    value = np.asarray(np.prod(x.value, axis=axis, dtype=dtype, keepdims=keepdims))
    if not is_real(value):
        return Traced(run, value, 0.0 if x.is_exact else np.full(value.shape, np.inf))
    count = prod(x.shape[a] for a in axes_of(axis, x.ndim)) - 1
    if count < 1 and not has_error(x.error):
        return Traced(run, value)
    error = _product_error(
        run, x.value, x.error, lambda t: np.prod(t, axis=axis, keepdims=keepdims), max(count, 0)
    )
    error = np.where(np.isfinite(value), error, 0.0) + _stored(run, value)
    return finish(run, "prod", value, error, 0.0)


def cumprod(run: Run, x: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    """Every prefix is a product of its own."""
    if out is not None:
        raise Untraceable("it calls cumprod with out=")
    if axis is None:
        x, axis = x.ravel(), 0
    value = np.cumprod(x.value, axis=axis, dtype=dtype)
    if not is_real(value):
        return Traced(run, value, 0.0 if x.is_exact else np.full(value.shape, np.inf))
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    count = np.arange(x.shape[axis], dtype=float).reshape(shape)
    error = _product_error(run, x.value, x.error, lambda t: np.cumprod(t, axis=axis), count)
    error = np.where(np.isfinite(value), error, 0.0) + _stored(run, value)
    return finish(run, "cumprod", value, error, 0.0)
