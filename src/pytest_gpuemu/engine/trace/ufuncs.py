"""NumPy's and SciPy's elementwise functions on traced arrays.

Here: how much each function rounds, comparisons, logic, and calling a ufunc with its keywords.
Elsewhere: how an error passes through it (closed_forms.py), ufunc methods such as reduce (dispatch.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp, sqrt
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.closed_forms import CLOSED_FORMS, nonnegative_root
from pytest_gpuemu.engine.trace.rounding import by_evaluation, finish
from pytest_gpuemu.engine.trace.run import Run, Untraceable
from pytest_gpuemu.engine.trace.traced import Error, Traced, error_of, has_error, in_range, is_real, value_of

_NO_ROUNDING = """
    negative absolute fabs positive conjugate maximum minimum fmax fmin sign floor ceil trunc rint
    copysign heaviside fmod isnan isfinite isinf signbit nextafter spacing
"""
EXACT = frozenset(_NO_ROUNDING.split())
# Correctly rounded: u|v|. Two ulp on GPUs: 4u|v|. Any other: 4u|v| and an argument moved by 1.2u|x|,
# which contains CUDA's expf, tanhf and erff, and __expf with its 2 + floor(1.173|x|) ulp.
ONE = frozenset(["add", "subtract", "multiply", "square"])
TWO = frozenset(["divide", "sqrt", "reciprocal"])
ARGUMENT_UNITS = 1.2
# GPU languages without tanh write it by exp: 2u absolute. torch's CPU code and kernels in languages without
# erf have Abramowitz and Stegun's polynomial 7.1.26, off by up to 1.5e-7, which is 2.52u.
ABSOLUTE_UNITS = {"tanh": 2.0, "erf": 2.52}
COMPARISONS = frozenset(["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"])
LOGIC = frozenset(["logical_and", "logical_or", "logical_not", "logical_xor"])
BITWISE_LOGIC = {
    "bitwise_and": "logical_and",
    "bitwise_or": "logical_or",
    "bitwise_xor": "logical_xor",
    "invert": "logical_not",
    "bitwise_not": "logical_not",
}
# Where a constant stands for infinity: in an additive mask, or as the start of a maximum.
_MASKING = frozenset(["add", "subtract", "maximum", "minimum"])
POLE = {"divide": 1, "reciprocal": 0, "log": 0, "log2": 0, "log10": 0}


def call(run: Run, ufunc: np.ufunc, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """ufunc(*inputs, **kwargs) for operands of which at least one, or `out`, is traced."""
    run.check_time()
    out = kwargs.pop("out", None)
    where = kwargs.pop("where", True)
    result = _apply(run, ufunc, inputs, kwargs)
    if out is None and where is True:
        return result
    results = result if isinstance(result, tuple) else (result,)
    outs = out if out is not None else (None,) * len(results)
    stored = tuple(_store(run, r, o, where) for r, o in zip(results, outs, strict=True))
    return stored if isinstance(result, tuple) else stored[0]


def _store(run: Run, result: Traced, out: Any, where: Any) -> Traced:
    """Write a result into `out`, only where `where` is true; what stays is what was there."""
    if out is None:
        raise Untraceable("it gives a ufunc where= without out=")
    if not isinstance(out, Traced):
        raise Untraceable("it writes a traced result into a plain NumPy array")
    if where is not True:
        from pytest_gpuemu.engine.trace.structural import select

        result = select(run, where, result, out)
    out[...] = result
    return out


def _apply(run: Run, ufunc: np.ufunc, inputs: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    name = ufunc.__name__
    if name in _MASKING:
        inputs = [in_range(run, x) for x in inputs]
    values = [value_of(x) for x in inputs]
    raw = ufunc(*values, **kwargs)
    errors = [error_of(run, x) for x in inputs]
    if name in COMPARISONS:
        if not any(
            isinstance(x, Traced) and (x.dtype.kind not in "iu" or has_error(x.error)) for x in inputs
        ):
            return raw  # a mask of ranges is as plain as one of integer inputs
        return Traced(run, raw, _undecided_comparison(values, errors))
    if name in LOGIC or (name in BITWISE_LOGIC and np.asarray(raw).dtype == bool):
        return Traced(run, raw, _undecided_logic(BITWISE_LOGIC.get(name, name), values, errors))
    if name in ("isnan", "isfinite", "isinf"):
        free = np.isinf(errors[0]).astype(float) if has_error(errors[0]) else 0.0
        return Traced(run, raw, free)
    if isinstance(raw, tuple):
        return tuple(
            _step(run, name, lambda *xs, i=i: ufunc(*xs, **kwargs)[i], part, values, errors)
            for i, part in enumerate(raw)
        )
    if name in ("power", "float_power"):
        special = _power(run, inputs, raw)
        if special is not None:
            return special
    if name in ("add", "subtract") and is_real(np.asarray(raw)):
        errors = _accumulated(run, inputs, values, errors)
    if name == "multiply" and any(np.asarray(x).dtype == bool for x in values):
        # A mask: 0 or 1 times x is exact.
        error = CLOSED_FORMS[name](raw, values, errors)
        return finish(run, name, raw, error, 0.0, irregular=_irregular(run, name, ufunc, raw, values, errors))
    if name == "sqrt" and getattr(inputs[0], "nonnegative", False):
        root = nonnegative_root(np.asarray(raw), values[0], errors[0])
        at = _irregular(run, name, ufunc, raw, values, errors)
        result = finish(run, name, raw, root, 4.0, operands=values, irregular=_finite_or(at, raw, root))
    else:
        result = _step(run, name, lambda *xs: ufunc(*xs, **kwargs), raw, values, errors)
    result.nonnegative = _stays_nonnegative(name, inputs)
    result.shrunk = _shrunk(name, inputs)
    return result


def _shrunk(name: str, inputs: Sequence[Any]) -> float:
    """By how much the result is smaller for the scalar factors in it (see Traced)."""
    before = max((x.shrunk for x in inputs if isinstance(x, Traced)), default=1.0)
    if name in ("add", "subtract", "negative"):
        return before
    if name not in ("multiply", "divide"):
        return 1.0
    for i, x in enumerate(inputs):
        if not isinstance(x, Traced) and np.ndim(x) == 0 and (i == 1 or name == "multiply"):
            factor = abs(float(x))
            grown = factor if name == "divide" else 1.0 / factor if factor else 1.0
            return max(1.0, before * grown) if np.isfinite(grown) else 1.0
    return 1.0


def _accumulated(run: Run, inputs: Sequence[Any], values: Sequence[Any], errors: list[Error]) -> list[Error]:
    """The errors of a + b where one is a sum of n terms t and the other may be where its accumulator begins.

    Then b is one more term, and every partial sum may be larger by |b|: by the rule of sums (reductions.py)
    u [2 sqrt(n) + n/4] |b| more. So a bias is added, and C in alpha A B + beta C.
    """
    for i, x in enumerate(inputs):
        if isinstance(x, Traced) and x.terms > 1:
            size = np.abs(np.asarray(values[1 - i], float))
            share = run.arithmetic.unit * (2.0 * sqrt(x.terms) + x.terms / 4.0)
            errors[i] = errors[i] + np.where(np.isfinite(size), size * share, 0.0)
    return errors


def _finite_or(at: Any, raw: Any, root: Error) -> Any:
    """The closed form where the value is finite, evaluation where it is not."""

    def repaired(mask: Array) -> Array:
        picked = np.broadcast_to(root, np.shape(raw))[mask]
        return np.where(np.isfinite(np.asarray(raw)[mask]), picked, at(mask))

    return repaired


def _stays_nonnegative(name: str, inputs: Sequence[Any]) -> bool:
    """Whether no rounding of the operands can make the result negative."""
    if name in ("square", "absolute", "fabs", "exp", "exp2", "sqrt", "expit"):
        return True
    if name == "multiply" and inputs[0] is inputs[1]:
        return True
    if name == "maximum":
        return any(_is_nonnegative(x) for x in inputs)
    return name in ("add", "multiply", "divide", "minimum", "power") and all(map(_is_nonnegative, inputs))


def _is_nonnegative(x: Any) -> bool:
    if isinstance(x, Traced):
        return x.nonnegative
    return np.ndim(x) == 0 and bool(x >= 0)


def _step(run: Run, name: str, f: Any, raw: Any, values: list[Any], errors: list[Error]) -> Traced:
    """One rounded step: the closed form where there is one, else evaluation at x +- e."""
    units = _units(name, values)
    if units and name not in ONE and name not in TWO and is_real(np.asarray(raw)):
        errors = [_moved(run, x, e) for x, e in zip(values, errors, strict=True)]
    form = CLOSED_FORMS.get(name)
    raw = np.asarray(raw)
    if not any(has_error(e) for e in errors):
        propagated: Error = 0.0
    elif form is not None and is_real(raw):
        propagated = form(raw, values, errors)
    else:
        propagated = by_evaluation(f, values, errors, raw, run.arithmetic.largest, POLE.get(name))
    if units == 0.0 and name in ("multiply", "divide") and is_real(raw):
        propagated = _flushed(run, raw, propagated)
    return finish(
        run,
        name,
        raw,
        propagated,
        units,
        absolute=ABSOLUTE_UNITS.get(name, 0.0),
        operands=values,
        irregular=_irregular(run, name, f, raw, values, errors),
    )


def _flushed(run: Run, value: Array, error: Error) -> Error:
    """The error of a product with a power of two: exact, but for a subnormal result."""
    small = np.abs(value) < run.arithmetic.tiny
    if small.any():
        error = error + run.arithmetic.tiny * (small & ((value != 0) | (np.asarray(error) > 0)))
    if run.arithmetic.step_tiny:
        error = error + run.arithmetic.step_tiny * (value != 0)
    return error


def _units(name: str, values: Sequence[Any]) -> float:
    if name in EXACT:
        return 0.0
    if name == "multiply" and any(_is_power_of_two(x) for x in values):
        return 0.0
    if name == "divide" and np.ndim(values[1]) == 0 and values[1] == 1:
        return 0.0  # the mean of one element; x / 4 may still be x * rcp(4) within 2 ulp
    return 1.0 if name in ONE else 4.0


def _is_power_of_two(x: Any) -> bool:
    """Whether a scalar factor only moves the exponent: halving and doubling round nothing."""
    if not isinstance(x, (int, float)) or x == 0 or not np.isfinite(x):
        return False
    return abs(frexp(x)[0]) == 0.5 and 2.0**-16 <= abs(x) <= 2.0**16


def _moved(run: Run, x: Any, e: Error) -> Error:
    """The argument's error, and 1.2u|x| for functions that reduce their argument in float32."""
    x = np.asarray(x)
    if not is_real(x):
        return e
    size = np.abs(x) * (ARGUMENT_UNITS * run.arithmetic.unit)
    if not np.isfinite(size).all():
        size = np.where(np.isfinite(size), size, 0.0)
    return e + size


def _irregular(run: Run, name: str, f: Any, raw: Any, values: Sequence[Any], errors: Sequence[Error]) -> Any:
    """The propagated error at the elements of a mask, by evaluation."""
    raw = np.asarray(raw)

    def at(mask: Array) -> Array:
        def pick(x: Any) -> Any:
            return np.broadcast_to(np.asarray(x), raw.shape)[mask]

        picked_errors = [pick(e) if has_error(e) else 0.0 for e in errors]
        return by_evaluation(
            f, [pick(x) for x in values], picked_errors, raw[mask], run.arithmetic.largest, POLE.get(name)
        )

    return at


def _power(run: Run, inputs: Sequence[Any], raw: Any) -> Traced | None:
    """x**p for the exponents that kernels write otherwise: products, roots and reciprocals."""
    base, exponent = inputs
    if not isinstance(exponent, (int, float)):
        return None
    if exponent == 2:
        return _with_value(_apply(run, np.square, [base], {}), raw)
    if exponent == 1:
        return _with_value(_apply(run, np.positive, [base], {}), raw)
    if exponent == 0.5:
        return _with_value(_apply(run, np.sqrt, [base], {}), raw)
    if exponent == 3:
        return _with_value(_apply(run, np.multiply, [_apply(run, np.square, [base], {}), base], {}), raw)
    if exponent == -1 and is_real(np.asarray(value_of(base))):
        return _with_value(_apply(run, np.reciprocal, [base], {}), raw)
    if exponent == -0.5:
        root = _apply(run, np.sqrt, [base], {})
        return _with_value(_apply(run, np.reciprocal, [root], {}), raw)
    return None


def _with_value(result: Traced, raw: Any) -> Traced:
    """The result with the value that the reference itself would have got, its last bit included."""
    same = Traced(result.run, raw, result.error)
    same.nonnegative = result.nonnegative
    return same


def _undecided_comparison(values: Sequence[Any], errors: Sequence[Error]) -> Error:
    """1.0 where the operands are within their errors of each other; integers and exact values: 0."""
    if not any(has_error(e) for e in errors):
        return 0.0
    near = errors[0] + errors[1]
    apart = np.abs(np.subtract(np.asarray(values[0], float), np.asarray(values[1], float))) > near
    undecided = ~apart & (near > 0)
    return undecided.astype(float) if np.any(undecided) else 0.0


def _undecided_logic(name: str, values: Sequence[Any], errors: Sequence[Error]) -> Error:
    """1.0 where the answer depends on an undecided operand."""
    if not any(has_error(e) for e in errors):
        return 0.0
    open_ = [
        (np.asarray(e) > 0) if np.asarray(x).dtype == bool else (np.asarray(e) > 0) & ~(np.abs(x) > e)
        for x, e in zip(values, errors, strict=True)
    ]
    is_true = [np.asarray(x).astype(bool) for x in values]
    if name == "logical_not":
        undecided = open_[0]
    elif name == "logical_xor":
        undecided = open_[0] | open_[1]
    else:
        # `and` is settled by a decided False, `or` by a decided True.
        settles = [~o & (t == (name == "logical_or")) for t, o in zip(is_true, open_, strict=True)]
        undecided = (open_[0] | open_[1]) & ~settles[0] & ~settles[1]
    return undecided.astype(float) if np.any(undecided) else 0.0
