"""Functions that rearrange, choose or round elements, and compute nothing.

Here: reshape, concatenate, take, tril …; where, clip, casting.
Elsewhere: indexing and item assignment (assignment.py), orderings (orderings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.rounding import by_evaluation, finish
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Error, Traced, error_of, has_error, in_range, is_real, value_of

# One array in, the same elements out: applied to the value and to the error alike.
_REARRANGING = """
    reshape transpose permute_dims matrix_transpose swapaxes moveaxis rollaxis expand_dims squeeze
    broadcast_to ravel repeat tile roll flip fliplr flipud rot90 diag diagonal tril triu diagflat resize
    atleast_1d atleast_2d atleast_3d delete compress extract trim_zeros copy array_split split hsplit
    vsplit dsplit sliding_window_view unstack
"""
REARRANGEMENTS = tuple(_REARRANGING.split())
# A list of arrays in.
JOINS = ("concatenate", "concat", "stack", "hstack", "vstack", "dstack", "column_stack", "row_stack")


def rearrange(run: Run, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """function applied to the value and to the error; several results (split) become a list."""
    x, *rest = args
    if not isinstance(x, Traced):
        rest = [value_of(r) for r in rest]
        return function(value_of(x), *rest, **kwargs)
    rest = [_decided(r) for r in rest]
    kwargs = {key: _decided(item) for key, item in kwargs.items()}
    values = function(x.value, *rest, **kwargs)
    errors = function(x.error, *rest, **kwargs) if isinstance(x.error, np.ndarray) else 0.0
    if isinstance(values, (list, tuple)):
        each = errors if isinstance(errors, (list, tuple)) else [0.0] * len(values)

        def part(i: int) -> Callable[[Array], Array]:
            return lambda error: np.asarray(function(error, *rest, **kwargs)[i])

        return [
            Traced(run, v, e, x.leaf, _parent(x, v, part(i)))
            for i, (v, e) in enumerate(zip(values, each, strict=True))
        ]
    parent = _parent(x, values, lambda error: np.asarray(function(error, *rest, **kwargs)))
    result = Traced(run, values, errors, x.leaf, parent)
    result.nonnegative, result.terms, result.shrunk = x.nonnegative, x.terms, x.shrunk
    return result


def _parent(x: Traced, value: Array, view_of: Callable[[Array], Array]) -> Any:
    """What a view of an exact array needs, so that what is written through it reaches the array's error."""
    is_view = not isinstance(x.error, np.ndarray) and np.may_share_memory(value, x.value)
    return (x, view_of) if is_view else None


def _decided(x: Any) -> Any:
    if isinstance(x, Traced):
        if not x.is_exact:
            raise Untraceable("it rearranges elements by computed indices that rounding may change")
        return x.value
    return x


def full(run: Run, x: Any) -> Array:
    """The error of x as an array of x's own shape."""
    return np.broadcast_to(error_of(run, x), np.shape(value_of(x)))


def join(run: Run, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Traced:
    """concatenate, stack and their like. dtype= and casting= act on the values alone."""
    arrays, *rest = args
    arrays = list(arrays)
    values = function([value_of(x) for x in arrays], *rest, **kwargs)
    errors: Error = 0.0
    if any(has_error(error_of(run, x)) for x in arrays):
        plain = {key: item for key, item in kwargs.items() if key not in ("dtype", "casting")}
        errors = function([full(run, x) for x in arrays], *rest, **plain)
    return Traced(run, values, errors, all(getattr(x, "leaf", True) for x in arrays))


def select(run: Run, condition: Any, x: Any, y: Any) -> Traced:
    """where(condition, x, y). Where the condition is undecided the other value, with its error, may come."""
    x, y = in_range(run, x), in_range(run, y)
    chosen, a, b = value_of(condition), value_of(x), value_of(y)
    value = np.where(chosen, a, b)
    ea, eb = error_of(run, x), error_of(run, y)
    ec = error_of(run, condition)
    leaf = all(item.leaf for item in (x, y) if isinstance(item, Traced))
    shrunk = max(item.shrunk if isinstance(item, Traced) else 1.0 for item in (x, y))
    if not (has_error(ea) or has_error(eb) or has_error(ec)):
        plain = Traced(run, value, 0.0, leaf)
        plain.shrunk = shrunk
        return plain
    error = np.broadcast_to(np.where(chosen, ea, eb), value.shape)
    if has_error(ec):
        other, here = np.broadcast_to(np.where(chosen, b, a), value.shape), value
        other_error = np.broadcast_to(np.where(chosen, eb, ea), value.shape)
        gap = np.where(here == other, 0.0, np.abs(here - other)) + other_error
        gap = np.where(np.isnan(gap) & ~(np.isnan(here) & np.isnan(other)), np.inf, gap)
        gap = np.where(np.isnan(gap), 0.0, gap)
        error = np.where(np.broadcast_to(ec, value.shape) > 0, np.maximum(error, gap), error)
    result = Traced(run, value, error, leaf)
    result.shrunk = shrunk
    return result


def clip(run: Run, x: Any, low: Any = None, high: Any = None, **kwargs: Any) -> Any:
    """min(max(x, low), high)."""
    low = kwargs.pop("a_min", kwargs.pop("min", low))
    high = kwargs.pop("a_max", kwargs.pop("max", high))
    out = kwargs.pop("out", None)
    result = x if low is None else np.maximum(x, low)
    result = result if high is None else np.minimum(result, high)
    return _into(result, out)


def _into(result: Any, out: Any) -> Any:
    if out is None:
        return result
    if not isinstance(out, Traced):
        raise Untraceable("it writes a traced result into a plain NumPy array")
    out[...] = result
    return out


def cast(x: Traced, dtype: Any) -> Traced:
    """x.astype(dtype): exact upwards; downwards a step function, so that a stated rounding is judged.

    The error becomes the furthest that rounding may take x - e or x + e from the rounded value, which
    is what is left of x's error after it: 0 where x and both ends round alike.
    """
    dtype = np.dtype(dtype)
    if dtype == x.value.dtype:
        return Traced(x.run, x.value.copy(), +x.error, x.leaf)
    value = x.value.astype(dtype)
    if not has_error(x.error):
        return Traced(x.run, value, 0.0, x.leaf)
    if x.value.dtype == bool:
        return Traced(x.run, value, +x.error)
    if dtype.kind == "b":
        open_ = (np.asarray(x.error) > 0) & ~(np.abs(x.value) > x.error)
        return Traced(x.run, value, open_.astype(float))
    if not is_real(x.value) or (is_real(value) and dtype.itemsize >= x.value.dtype.itemsize):
        return Traced(x.run, value, +x.error, x.leaf)

    def step(near: Array) -> Array:
        return near.astype(dtype).astype(float)

    error = by_evaluation(step, [x.value], [x.error], np.asarray(value, float), x.run.arithmetic.largest)
    return finish(x.run, "cast", value, error, 0.0)


def nan_to_num(run: Run, x: Traced, copy: bool = True, **kwargs: Any) -> Traced:
    """Non-finite values become numbers: exact where they are certain."""
    return Traced(run, np.nan_to_num(x.value, **kwargs), +x.error)


def round_to(run: Run, x: Traced, decimals: int = 0, out: Any = None) -> Any:
    """np.round: rint for whole numbers, else a step function of 10**-decimals."""
    if decimals == 0:
        return _into(np.rint(x), out)
    value = np.round(x.value, decimals)
    error: Error = 0.0
    if has_error(x.error):
        error = by_evaluation(
            lambda near: np.round(near, decimals), [x.value], [x.error], value, run.arithmetic.largest
        )
    return finish(run, "round", value, error, 1.0)


def pad(run: Run, x: Traced, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Traced:
    """np.pad; a constant border is exact, any other mode copies elements."""
    value = np.pad(x.value, pad_width, mode, **kwargs)
    error: Error = 0.0
    if isinstance(x.error, np.ndarray):
        if mode in ("mean", "median", "linear_ramp") or callable(mode):
            raise Untraceable(f"it pads with mode={mode!r}")
        error = np.pad(x.error, pad_width, mode, **({} if mode == "constant" else kwargs))
    return Traced(run, value, error, x.leaf)
