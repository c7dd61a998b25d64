"""From NumPy's protocols to the rules: which function is followed how.

Here: ufunc methods (reduce, accumulate, at), functions that no rule names.
Elsewhere: the tables of functions and methods (numpy_table.py), the rules themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine.trace import (
    assignment,
    contractions,
    orderings,
    products,
    reductions,
    structural,
    ufuncs,
)
from pytest_gpuemu.engine.trace.numpy_table import FUNCTIONS, JOINS, REARRANGEMENTS, Rule
from pytest_gpuemu.engine.trace.rounding import difference, finish
from pytest_gpuemu.engine.trace.run import Run, Untraceable, activated
from pytest_gpuemu.engine.trace.traced import Traced, is_real, value_of


def ufunc(run: Run, called: np.ufunc, how: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What __array_ufunc__ answers."""
    with activated(None):
        return _ufunc(run, called, how, inputs, dict(kwargs))


def _ufunc(run: Run, called: np.ufunc, how: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    name = called.__name__
    if how == "__call__":
        if name in ("matmul", "vecdot", "matvec", "vecmat"):
            out = kwargs.pop("out", (None,))[0]
            if kwargs or name in ("matvec", "vecmat"):
                raise Untraceable(f"it calls numpy.{name} with {next(iter(kwargs), 'two arrays')}")
            result = (contractions.matmul if name == "matmul" else contractions.vecdot)(run, *inputs)
            if out is not None:
                if not isinstance(out, Traced):
                    raise Untraceable("it writes a traced result into a plain NumPy array")
                out[...] = result
                return out
            return result
        if name == "clip":
            return structural.clip(run, *inputs, **kwargs)
        return ufuncs.call(run, called, inputs, kwargs)
    if how == "reduce":
        return _reduce(run, name, inputs, kwargs)
    if how == "accumulate":
        return _accumulate(run, called, inputs, kwargs)
    if how == "at":
        return assignment.scatter(run, called, *inputs)
    if how == "outer":
        a, b = inputs
        a = a[(...,) + (None,) * np.ndim(value_of(b))] if np.ndim(value_of(a)) else a
        return ufuncs.call(run, called, (a, b), kwargs)
    if how == "reduceat" and name == "add":
        return assignment.add_reduceat(run, *inputs, **kwargs)
    raise Untraceable(f"it calls numpy.{name}.{how}")


def _reduce(run: Run, name: str, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    kwargs.setdefault("axis", 0)
    out = kwargs.pop("out", None)
    if out is not None and (out[0] if isinstance(out, tuple) else out) is not None:
        kwargs["out"] = out[0] if isinstance(out, tuple) else out
    if name == "add":
        return reductions.add_reduce(run, *inputs, **kwargs)
    if name in ("maximum", "fmax", "minimum", "fmin"):
        kwargs.pop("dtype", None)
        return orderings.extremum(run, inputs[0], name in ("maximum", "fmax"), *inputs[1:], **kwargs)
    if name == "multiply":
        return products.product(run, *inputs, **kwargs)
    if name in ("logical_and", "logical_or", "bitwise_and", "bitwise_or"):
        kwargs.pop("dtype", None)
        return reductions.any_or_all(run, name.endswith("and"), *inputs, **kwargs)
    raise Untraceable(f"it calls numpy.{name}.reduce")


def _accumulate(run: Run, called: np.ufunc, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    kwargs.setdefault("axis", 0)
    out = kwargs.pop("out", None)
    name = called.__name__
    if (out[0] if isinstance(out, tuple) else out) is not None:
        raise Untraceable(f"it calls numpy.{name}.accumulate with out=")
    if name == "add":
        return products.cumsum(run, *inputs, **kwargs)
    if name == "multiply":
        return products.cumprod(run, *inputs, **kwargs)
    if name in ("maximum", "minimum", "fmax", "fmin"):
        axis = kwargs["axis"]
        return orderings.monotone(run, inputs[0], lambda t: called.accumulate(t, axis=axis))
    raise Untraceable(f"it calls numpy.{name}.accumulate")


def function(run: Run, called: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What __array_function__ answers."""
    run.check_time()
    with activated(None):
        rule = FUNCTIONS.get(called)
        if rule is not None:
            return rule(run, *args, **kwargs)
        if called in REARRANGEMENTS:
            return structural.rearrange(run, called, args, kwargs)
        if called in JOINS:
            return structural.join(run, called, args, kwargs)
        return _unknown(run, called, args, kwargs)


def method(x: Traced, rule: Rule, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """x.method(*args)."""
    x.run.check_time()
    with activated(None):
        return rule(x.run, x, *args, **kwargs)


# Sums of many terms, whose rounding moved arguments do not show.
_HIDDEN_SUMS = frozenset(["cov", "corrcoef", "nanvar", "nanstd", "nancumsum", "trapz", "trapezoid"])


def _unknown(run: Run, called: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A function of NumPy without a rule: f(x +- e) with both signs and four random ones.

    Every floating argument also moves by 1.2u|x|, and the result rounds by 4u of its row's largest
    magnitude, since fft and inv mix the elements of a row.
    """
    if getattr(called, "__name__", "") in _HIDDEN_SUMS or any(map(callable, args)):
        raise Untraceable(f"it calls numpy.{called.__name__}")
    floating = [x for x in (*args, *kwargs.values()) if isinstance(x, Traced)]
    if not floating:
        raise Untraceable(f"it calls numpy.{getattr(called, '__name__', called)} with lists of arrays")

    def at(signs: Callable[[tuple[int, ...]], Any]) -> Any:
        def moved(x: Any) -> Any:
            if not isinstance(x, Traced) or not is_real(x.value):
                return value_of(x)
            size = np.where(np.isfinite(x.value), np.abs(x.value), 0.0)
            return x.value + signs(x.shape) * (x.error + ufuncs.ARGUMENT_UNITS * run.arithmetic.unit * size)

        return called(*map(moved, args), **{key: moved(x) for key, x in kwargs.items()})

    for x in floating:
        if not is_real(x.value) and not x.is_exact:
            raise Untraceable(f"it calls numpy.{getattr(called, '__name__', called)} on undecided integers")
    value = called(*map(value_of, args), **{key: value_of(x) for key, x in kwargs.items()})
    if isinstance(value, tuple) or not isinstance(value, (np.ndarray, np.generic)) or np.iscomplexobj(value):
        raise Untraceable(f"it calls numpy.{getattr(called, '__name__', called)}")
    value = np.asarray(value)
    rng = np.random.default_rng(0)
    draws: list[Callable[[tuple[int, ...]], Any]] = [lambda shape: 1.0, lambda shape: -1.0]
    draws += [lambda shape: rng.choice([-1.0, 1.0], shape)] * 4
    error = np.zeros(value.shape)
    for draw in draws:
        error = np.maximum(error, difference(np.asarray(at(draw)), value))
    if not is_real(value):
        return Traced(run, value, np.where(error > 0, np.inf, 0.0))
    row = np.abs(value).max(axis=-1, keepdims=True) if value.ndim else np.abs(value)
    row = np.where(np.isfinite(row), row, 0.0)
    return finish(run, "unknown", value, error + 4 * run.arithmetic.unit * row, 1.0)
