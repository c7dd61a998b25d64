"""How an error passes through a function, in closed form: |f(x +- e) - f(x)| without evaluating f twice.

Here: one bound a ufunc, each rigorous for finite arguments (a NaN or inf where it is not is put right
by rounding.py). Elsewhere: which functions round how much (ufuncs.py).
Every form returns a fresh array, or 0.0 where no operand has an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.traced import Error, has_error

Form = Callable[[Array, Sequence[Any], Sequence[Error]], Error]
LN2 = 0.6931471805599453


def linear(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """a + b, a - b: ea + eb."""
    return es[0] + es[1]


def multiply(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """ab: |a| eb + (|b| + eb) ea. The bound is exact."""
    (a, b), (ea, eb) = xs, es
    if not has_error(ea):
        return np.abs(a) * eb if has_error(eb) else 0.0
    if not has_error(eb):
        return np.abs(b) * ea
    total = np.abs(b) + eb
    total = total * ea
    total += np.abs(a) * eb
    return total


def divide(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """a/b: (ea + |a/b| eb) / (|b| - eb); inf where eb >= |b|, since the divisor may be zero."""
    (_, b), (ea, eb) = xs, es
    if not has_error(eb):
        return ea / np.abs(b) if has_error(ea) else 0.0
    room = np.asarray(np.abs(b) - eb)
    error = np.asarray((ea + np.abs(value) * eb) / room)
    if not room.size or room.min() > 0:
        return error
    # Only a plain zero divisor without error (0/0, x/0) is left to evaluation, as NaN.
    return np.where(room > 0, error, np.where(np.asarray(eb) > 0, np.inf, np.nan))


def reciprocal(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return divide(value, (1.0, xs[0]), (0.0, es[0]))


def square(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """x^2: (2|x| + e) e."""
    e = es[0]
    return (2.0 * np.abs(xs[0]) + e) * e if has_error(e) else 0.0


def square_root(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """sqrt x: e / (sqrt x + sqrt(x - e)), the distance downwards; inf where x - e < 0."""
    e = es[0]
    if not has_error(e):
        return 0.0
    below = np.asarray(xs[0] - e)
    error = np.asarray(e / (value + np.sqrt(np.maximum(below, 0.0))))
    if below.size and not below.min() > 0:
        error = np.where(below < 0, np.inf, np.where(e == 0, 0.0, error))
    return error


def nonnegative_root(value: Array, x: Any, e: Error) -> Error:
    """sqrt x where no kernel's x is negative (a sum of squares): from max(x - e, 0) to x + e."""
    if not has_error(e):
        return 0.0
    return np.asarray(e / (value + np.sqrt(np.maximum(x - e, 0.0))) if np.all(x > e) else _root_reach(x, e))


def _root_reach(x: Any, e: Error) -> Array:
    below = np.sqrt(x) - np.sqrt(np.maximum(x - e, 0.0))
    return np.asarray(np.where(np.asarray(e) > 0, np.maximum(np.sqrt(x + e) - np.sqrt(x), below), 0.0))


def unchanged(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """-x, |x|, conjugate: e."""
    return +es[0]


def bounded_slope(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """sin, cos: |f'| <= 1 and |f| <= 1, so min(e, 2)."""
    return np.minimum(es[0], 2.0)


def exponential(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """e^x: e^x (e^e - 1), the distance upwards."""
    return value * np.expm1(es[0])


def exponential_2(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return value * np.expm1(LN2 * es[0])


def exponential_minus_1(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return (value + 1.0) * np.expm1(es[0])


def _log_of(x: Any, e: Error, scale: float) -> Error:
    """-log(1 - e/x), the distance downwards; inf where e >= x: log 0 is near."""
    ratio = np.asarray(e / x)
    error = -np.log1p(-np.minimum(ratio, 1.0)) * scale
    if ratio.size and not ratio.max() < 1.0:
        error = np.where(ratio < 1.0, error, np.where(np.asarray(e) > 0, np.inf, np.nan))
    return error


def logarithm(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return _log_of(xs[0], es[0], 1.0)


def logarithm_2(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return _log_of(xs[0], es[0], 1.0 / LN2)


def logarithm_10(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return _log_of(xs[0], es[0], 0.4342944819032518)


def logarithm_1p(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    return _log_of(1.0 + xs[0], es[0], 1.0)


def hyperbolic_tangent(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """tanh x: its slope 1 - tanh^2 changes by at most the factor e^(2e) within e."""
    e = es[0]
    return np.minimum((1.0 - value * value) * np.exp(np.minimum(2.0 * e, 700.0)) * e, np.minimum(e, 2.0))


def logistic(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """1/(1 + e^-x): its slope s(1 - s) changes by at most the factor e^e within e."""
    e = es[0]
    return np.minimum(value * (1.0 - value) * np.exp(np.minimum(e, 700.0)) * e, np.minimum(0.25 * e, 1.0))


def error_function(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """erf x: the slope 2/sqrt(pi) e^(-x^2) at the nearest point to 0 within e."""
    e = es[0]
    nearest = np.maximum(np.abs(xs[0]) - e, 0.0)
    return np.minimum(1.1283791670955126 * np.exp(-nearest * nearest) * e, 2.0)


def extremum(value: Array, xs: Sequence[Any], es: Sequence[Error]) -> Error:
    """max(a, b), min(a, b): the error of the one that is chosen, of either where both may be."""
    (a, b), (ea, eb) = xs, es
    if not has_error(ea) and not has_error(eb):
        return 0.0
    ea, eb = np.asarray(ea), np.asarray(eb)
    either = np.maximum(ea, eb)
    apart = np.abs(np.subtract(a, b)) > ea + eb
    return np.where(apart, np.where(value == a, ea, eb), either)


CLOSED_FORMS: dict[str, Form] = {
    "add": linear,
    "subtract": linear,
    "multiply": multiply,
    "divide": divide,
    "reciprocal": reciprocal,
    "square": square,
    "sqrt": square_root,
    "negative": unchanged,
    "positive": unchanged,
    "absolute": unchanged,
    "fabs": unchanged,
    "conjugate": unchanged,
    "sin": bounded_slope,
    "cos": bounded_slope,
    "exp": exponential,
    "exp2": exponential_2,
    "expm1": exponential_minus_1,
    "log": logarithm,
    "log2": logarithm_2,
    "log10": logarithm_10,
    "log1p": logarithm_1p,
    "tanh": hyperbolic_tangent,
    "expit": logistic,
    "erf": error_function,
    "maximum": extremum,
    "minimum": extremum,
    "fmax": extremum,
    "fmin": extremum,
}
