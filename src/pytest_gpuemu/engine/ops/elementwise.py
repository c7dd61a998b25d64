"""Elementwise arithmetic: add, mul, exp and their like, comparisons of two inputs, where, clamp.

Here: the references and the records. Elsewhere: activation functions (activations.py).
Two inputs have one shape: what a kernel broadcasts reaches it as a layout with stride 0.
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array

UNARY = "input[rows,cols] -> [rows,cols]"
BINARY = "input[rows,cols], other[rows,cols] -> [rows,cols]"


def add(input: Float64Array, other: Float64Array, *, alpha: float = 1) -> Float64Array:
    """input + alpha * other, as torch.add; alpha = 1 adds no rounding of its own."""
    return input + (other if alpha == 1 else alpha * other)


ADD = define_op("add", reference=add, schema=BINARY, params={"alpha": 1}, origin="built-in")


def sub(input: Float64Array, other: Float64Array, *, alpha: float = 1) -> Float64Array:
    """input - alpha * other, as torch.sub."""
    return input - (other if alpha == 1 else alpha * other)


SUB = define_op(
    "sub", reference=sub, schema=BINARY, params={"alpha": 1}, aliases=["subtract"], origin="built-in"
)


def mul(input: Float64Array, other: Float64Array) -> Float64Array:
    """input * other, as torch.mul."""
    return input * other


MUL = define_op("mul", reference=mul, schema=BINARY, aliases=["multiply"], origin="built-in")


def div(input: Float64Array, other: Float64Array) -> Float64Array:
    """input / other, as torch.div: x/0 is an infinity and 0/0 is NaN."""
    return input / other


DIV = define_op("div", reference=div, schema=BINARY, aliases=["divide", "true_divide"], origin="built-in")


def floor_divide(input: Array, other: Array) -> Array:
    """The quotient rounded down, as torch.floor_divide: -7 over 2 is -4."""
    return np.floor_divide(input, other)


FLOOR_DIVIDE = define_op(
    "floor_divide",
    reference=floor_divide,
    schema=BINARY,
    # The least int32 over -1 has no int32, and traps on a CPU.
    inputs={"input": {"low": -(2**31) + 1}, "other": {"nonzero": True}},
    dtypes=["int32", "int64"],
    origin="built-in",
)


def exp(input: Float64Array) -> Float64Array:
    """e to the power of input."""
    return np.exp(input)


EXP = define_op("exp", reference=exp, schema=UNARY, origin="built-in")


def log(input: Float64Array) -> Float64Array:
    """The natural logarithm: -inf at 0, NaN below."""
    return np.log(input)


LOG = define_op("log", reference=log, schema=UNARY, origin="built-in")


def sqrt(input: Float64Array) -> Float64Array:
    """The square root: NaN below 0."""
    return np.sqrt(input)


SQRT = define_op("sqrt", reference=sqrt, schema=UNARY, origin="built-in")


def rsqrt(input: Float64Array) -> Float64Array:
    """1 / sqrt(input): inf at 0, NaN below."""
    return 1.0 / np.sqrt(input)


RSQRT = define_op("rsqrt", reference=rsqrt, schema=UNARY, origin="built-in")


def neg(input: Float64Array) -> Float64Array:
    """-input."""
    return -input


NEG = define_op("neg", reference=neg, schema=UNARY, aliases=["negative"], origin="built-in")


def absolute(input: Float64Array) -> Float64Array:
    """|input|."""
    return np.abs(input)


ABS = define_op("abs", reference=absolute, schema=UNARY, aliases=["absolute"], origin="built-in")


def clamp(input: Float64Array, *, min: float | None = -1.0, max: float | None = 1.0) -> Float64Array:
    """input limited to [min, max]; None is no limit. NaN stays NaN. min > max gives max, as torch does."""
    low = input if min is None else np.maximum(input, min)
    return low if max is None else np.minimum(low, max)


CLAMP = define_op(
    "clamp",
    reference=clamp,
    schema=UNARY,
    params={"min": -1.0, "max": 1.0},
    aliases=["clip"],
    origin="built-in",
)


def maximum(input: Float64Array, other: Float64Array) -> Float64Array:
    """The larger of two; NaN where either is NaN, as torch.maximum."""
    return np.maximum(input, other)


MAXIMUM = define_op("maximum", reference=maximum, schema=BINARY, origin="built-in")


def minimum(input: Float64Array, other: Float64Array) -> Float64Array:
    """The smaller of two; NaN where either is NaN, as torch.minimum."""
    return np.minimum(input, other)


MINIMUM = define_op("minimum", reference=minimum, schema=BINARY, origin="built-in")


def fmax(input: Float64Array, other: Float64Array) -> Float64Array:
    """The larger of two; NaN only where both are NaN, as torch.fmax."""
    return np.fmax(input, other)


FMAX = define_op("fmax", reference=fmax, schema=BINARY, origin="built-in")


def fmin(input: Float64Array, other: Float64Array) -> Float64Array:
    """The smaller of two; NaN only where both are NaN, as torch.fmin."""
    return np.fmin(input, other)


FMIN = define_op("fmin", reference=fmin, schema=BINARY, origin="built-in")


def where(condition: Array, input: Float64Array, other: Float64Array) -> Float64Array:
    """input where condition is true, else other."""
    return np.where(condition, input, other)


WHERE = define_op(
    "where",
    reference=where,
    schema="condition[rows,cols], input[rows,cols], other[rows,cols] -> [rows,cols]",
    inputs={"condition": {"kind": "mask", "dtype": "bool"}},
    origin="built-in",
)

ELEMENTWISE = (
    ADD,
    SUB,
    MUL,
    DIV,
    FLOOR_DIVIDE,
    EXP,
    LOG,
    SQRT,
    RSQRT,
    NEG,
    ABS,
    CLAMP,
    MAXIMUM,
    MINIMUM,
    FMAX,
    FMIN,
    WHERE,
)
