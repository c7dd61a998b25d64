"""Which rule stands for which of NumPy's functions and ndarray's methods.

Here: the tables, and the functions that are a line or two of others.
Elsewhere: the rules that are more (reductions.py, orderings.py, …), NumPy's protocols (dispatch.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace import assignment, contractions, orderings, products, reductions, structural
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Traced, error_of, has_error, value_of

Rule = Callable[..., Any]


def _array_equal(run: Run, a: Any, b: Any, equal_nan: bool = False) -> Any:
    if np.shape(value_of(a)) != np.shape(value_of(b)):
        return False
    return np.all(np.equal(a, b))


def _like(run: Run, fill: Any, x: Any, dtype: Any = None, shape: Any = None) -> Traced:
    shape = np.shape(value_of(x)) if shape is None else shape
    dtype = np.asarray(value_of(x)).dtype if dtype is None else dtype
    return new_array(run, shape, fill, dtype)


def new_array(run: Run, shape: Any, fill: Any, dtype: Any = float) -> Traced:
    """An array that takes item assignment of traced values."""
    value = np.full(shape, value_of(fill), dtype)
    errors = np.zeros(value.shape) + error_of(run, fill)
    return Traced(run, value, errors, leaf=getattr(fill, "leaf", True))


def _average(run: Run, x: Any, axis: Any = None, weights: Any = None, **kwargs: Any) -> Any:
    if kwargs:
        raise Untraceable("it calls average with returned= or keepdims=")
    if weights is None:
        return np.mean(x, axis=axis)
    return np.sum(x * weights, axis=axis) / np.sum(weights, axis=axis)


def _ptp(run: Run, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.max(x, axis=axis, keepdims=keepdims) - np.min(x, axis=axis, keepdims=keepdims)


def _where(run: Run, condition: Any, *choices: Any) -> Any:
    if choices:
        return structural.select(run, condition, *choices)
    return _nonzero(run, condition)


def _nonzero(run: Run, x: Any) -> Any:
    if isinstance(x, Traced) and not x.is_exact:
        raise Untraceable("it lists the nonzero places of an array in which rounding may change them")
    return np.nonzero(value_of(x))


def _diff(run: Run, x: Any, n: int = 1, axis: int = -1, **kwargs: Any) -> Any:
    if kwargs:
        raise Untraceable("it calls diff with prepend= or append=")
    for _ in range(n):
        x = np.swapaxes(x, axis, -1)
        x = np.swapaxes(x[..., 1:] - x[..., :-1], axis, -1)
    return x


def _put(run: Run, x: Any, mask: Any, new: Any) -> None:
    if not isinstance(x, Traced):
        raise Untraceable("it writes a traced result into a plain NumPy array")
    x[mask] = new


def _copyto(run: Run, out: Any, new: Any, casting: str = "same_kind", where: Any = True) -> None:
    if not isinstance(out, Traced):
        raise Untraceable("it writes a traced result into a plain NumPy array")
    out[...] = new if where is True else structural.select(run, where, new, out)


def _select_all(run: Run, conditions: Any, choices: Any, default: Any = 0) -> Any:
    result = default
    for condition, choice in reversed(list(zip(conditions, choices, strict=True))):
        result = structural.select(run, condition, choice, result)
    return result


def _trace(run: Run, x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, **kwargs: Any) -> Any:
    return np.sum(np.diagonal(x, offset, axis1, axis2), axis=-1)


def _append(run: Run, x: Any, new: Any, axis: Any = None) -> Any:
    pair = (np.ravel(x), np.ravel(new)) if axis is None else (x, new)
    return structural.join(run, np.concatenate, (pair,), {"axis": 0 if axis is None else axis})


def _nan_mean(run: Run, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    known = np.logical_not(np.isnan(x))
    total = np.sum(np.where(known, x, 0.0), axis=axis, keepdims=keepdims)
    return total / np.sum(known, axis=axis, keepdims=keepdims)


def _convolve(run: Run, a: Any, v: Any, mode: str = "full") -> Any:
    """np.convolve: each element a dot product of a window with v reversed."""
    if np.shape(v)[0] > np.shape(a)[0]:
        a, v = v, a
    long, short = np.shape(a)[0], np.shape(v)[0]
    before = {"full": short - 1, "same": (short - 1) // 2 + (short - 1) % 2, "valid": 0}[mode]
    length = {"full": long + short - 1, "same": long, "valid": long - short + 1}[mode]
    after = length + short - 1 - long - before
    a = a if isinstance(a, Traced) else Traced(run, a, error_of(run, a), True)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(a, (before, after)), short)
    return np.matmul(windows, v[::-1])


def _correlate(run: Run, a: Any, v: Any, mode: str = "valid") -> Any:
    if np.shape(v)[0] > np.shape(a)[0]:
        raise Untraceable("it calls numpy.correlate with a filter longer than the signal")
    return _convolve(run, a, v[::-1], mode)


def _extremum(largest: bool) -> Rule:
    return lambda run, x, axis=None, out=None, keepdims=False, **kw: orderings.extremum(
        run, x, largest, axis, out, keepdims, **kw
    )


def _nan_free(plain: Callable[..., Any], fill: float | None) -> Rule:
    """nansum, nanmax …: the plain function with NaN replaced."""

    def rule(run: Run, x: Any, *args: Any, **kwargs: Any) -> Any:
        return plain(np.where(np.isnan(x), fill, x), *args, **kwargs)

    return rule


def _named(names: Sequence[str]) -> set[Callable[..., Any]]:
    found = {getattr(np, name) for name in names if hasattr(np, name)}
    if "sliding_window_view" in names:
        found.add(np.lib.stride_tricks.sliding_window_view)
    return found


REARRANGEMENTS = _named(structural.REARRANGEMENTS)
JOINS = _named(structural.JOINS)


def _table() -> dict[Callable[..., Any], Rule]:
    table: dict[str, Rule] = {
        "sum": reductions.add_reduce,
        "mean": reductions.mean,
        "var": reductions.var,
        "std": reductions.std,
        "average": _average,
        "cumsum": products.cumsum,
        "prod": products.product,
        "cumprod": products.cumprod,
        "any": lambda run, x, axis=None, out=None, keepdims=False: reductions.any_or_all(
            run, False, x, axis, keepdims
        ),
        "all": lambda run, x, axis=None, out=None, keepdims=False: reductions.any_or_all(
            run, True, x, axis, keepdims
        ),
        "count_nonzero": lambda run, x, axis=None, keepdims=False: reductions.count_nonzero(
            run, x, axis, keepdims
        ),
        "max": _extremum(True),
        "amax": _extremum(True),
        "min": _extremum(False),
        "amin": _extremum(False),
        "ptp": _ptp,
        "argmax": lambda run, x, axis=None, out=None, keepdims=False: orderings.arg_extremum(
            run, x, True, axis, out, keepdims
        ),
        "argmin": lambda run, x, axis=None, out=None, keepdims=False: orderings.arg_extremum(
            run, x, False, axis, out, keepdims
        ),
        "sort": orderings.sort,
        "argsort": orderings.argsort,
        "partition": orderings.partition,
        "searchsorted": orderings.searchsorted,
        "dot": lambda run, a, b, out=None: contractions.dot(run, a, b),
        "vdot": lambda run, a, b: contractions.dot(run, np.ravel(a), np.ravel(b)),
        "inner": contractions.inner,
        "outer": contractions.outer,
        "tensordot": contractions.tensordot,
        "einsum": contractions.einsum,
        "where": _where,
        "nonzero": _nonzero,
        "flatnonzero": lambda run, x: _nonzero(run, np.ravel(x))[0],
        "argwhere": lambda run, x: np.transpose(_nonzero(run, x)),
        "clip": structural.clip,
        "round": structural.round_to,
        "around": structural.round_to,
        "nan_to_num": structural.nan_to_num,
        "pad": structural.pad,
        "take": assignment.take,
        "take_along_axis": assignment.take_along_axis,
        "put_along_axis": assignment.put_along_axis,
        "bincount": assignment.bincount,
        "putmask": _put,
        "place": _put,
        "copyto": _copyto,
        "select": _select_all,
        "diff": _diff,
        "trace": _trace,
        "append": _append,
        "array_equal": _array_equal,
        "zeros_like": lambda run, x, dtype=None, order="K", subok=True, shape=None: _like(
            run, 0, x, dtype, shape
        ),
        "empty_like": lambda run, x, dtype=None, order="K", subok=True, shape=None: _like(
            run, 0, x, dtype, shape
        ),
        "ones_like": lambda run, x, dtype=None, order="K", subok=True, shape=None: _like(
            run, 1, x, dtype, shape
        ),
        "full_like": lambda run, x, fill_value, dtype=None, order="K", subok=True, shape=None: _like(
            run, fill_value, x, dtype, shape
        ),
        "shape": lambda run, x: np.shape(value_of(x)),
        "ndim": lambda run, x: np.ndim(value_of(x)),
        "size": lambda run, x, axis=None: np.size(value_of(x), axis),
        "result_type": lambda run, *xs: np.result_type(*map(value_of, xs)),
        "broadcast_arrays": lambda run, *xs, **kw: [
            np.broadcast_to(x, np.broadcast_shapes(*[np.shape(value_of(y)) for y in xs])) for x in xs
        ],
        "isrealobj": lambda run, x: True,
        "iscomplexobj": lambda run, x: False,
        "real": lambda run, x: x,
        "may_share_memory": lambda run, a, b, **kw: np.may_share_memory(value_of(a), value_of(b)),
        "convolve": _convolve,
        "correlate": _correlate,
        "nanmean": _nan_mean,
        "nansum": _nan_free(np.sum, 0.0),
        "nanmax": _nan_free(np.max, -np.inf),
        "nanmin": _nan_free(np.min, np.inf),
    }
    for name in ("median", "quantile", "percentile"):
        table[name] = _statistic(name)
    found = {getattr(np, name): rule for name, rule in table.items() if hasattr(np, name)}
    found[np.linalg.norm] = reductions.norm
    for name, rule in (
        ("matmul", contractions.matmul),
        ("outer", contractions.outer),
        ("vecdot", contractions.vecdot),
    ):
        if hasattr(np.linalg, name):
            found[getattr(np.linalg, name)] = rule
    return found


def _statistic(name: str) -> Rule:
    plain = getattr(np, name)
    return lambda run, x, *args, **kwargs: orderings.statistic(run, plain, x, args, kwargs)


def _reshape(run: Run, x: Traced, *shape: Any, order: str = "C") -> Any:
    new = shape[0] if len(shape) == 1 else shape
    return structural.rearrange(run, _plain_reshape, (x, new, order), {})


def _plain_reshape(t: Array, shape: Any, order: Any) -> Array:
    return np.asarray(t.reshape(shape, order=order))


def _transpose(run: Run, x: Traced, *axes: Any) -> Any:
    new = axes[0] if len(axes) == 1 else (axes or None)
    return structural.rearrange(run, np.transpose, (x, new), {})


def _rearranged(name: str) -> Rule:
    plain = getattr(np, name)
    return lambda run, x, *args, **kwargs: structural.rearrange(run, plain, (x, *args), kwargs)


def _copied(run: Run, x: Traced, *args: Any, **kwargs: Any) -> Traced:
    copy = Traced(run, x.value.copy(), x.error, x.leaf)
    copy.error = copy.full_error().copy()
    return copy


def _astype(run: Run, x: Traced, dtype: Any, *args: Any, **kwargs: Any) -> Traced:
    return structural.cast(x, dtype)


def _item(run: Run, x: Traced, *index: Any) -> Traced:
    if not index:
        return Traced(run, x.value.reshape(()), np.reshape(x.error, ()) if has_error(x.error) else 0.0)
    return x.reshape(-1)[index[0]] if len(index) == 1 else x[tuple(index)]


def _fill(run: Run, x: Traced, new: Any) -> None:
    x[...] = new


def _sort_in_place(run: Run, x: Traced, axis: int = -1, **kwargs: Any) -> None:
    x[...] = orderings.sort(run, x, axis)


FUNCTIONS: dict[Callable[..., Any], Rule] = _table()
METHODS: dict[str, Rule] = {
    **{
        name: FUNCTIONS[getattr(np, name)]
        for name in [
            "sum",
            "mean",
            "var",
            "std",
            "cumsum",
            "prod",
            "cumprod",
            "any",
            "all",
            "max",
            "min",
            "argmax",
            "argmin",
            "argsort",
            "dot",
            "clip",
            "round",
            "take",
            "searchsorted",
            "nonzero",
            "trace",
        ]
    },
    **{
        name: _rearranged(name) for name in ["swapaxes", "squeeze", "ravel", "repeat", "diagonal", "compress"]
    },
    "reshape": _reshape,
    "transpose": _transpose,
    "flatten": lambda run, x, order="C": _copied(run, x.ravel(order)),
    "copy": _copied,
    "__copy__": _copied,
    "__deepcopy__": _copied,
    "astype": _astype,
    "item": _item,
    "fill": _fill,
    "sort": _sort_in_place,
    "conj": lambda run, x: x,
    "conjugate": lambda run, x: x,
}
if hasattr(np.ndarray, "ptp"):
    METHODS["ptp"] = _ptp
