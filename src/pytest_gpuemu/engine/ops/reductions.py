"""Reductions over a dim and running sums.

Here: the references and the records. Elsewhere: sorting and top-k (ordering.py), softmax (softmax.py).
The default is `dim=-1`, since kernels reduce rows; torch's default of all elements is `dim=None`.
`dim` may also be a tuple where torch allows one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array

Dim: TypeAlias = int | Sequence[int] | None

SCHEMA = "input[rows,cols] -> output[...]"
ALONG = {"dim": -1, "keepdim": False}


def axes(dim: Dim) -> int | tuple[int, ...] | None:
    """torch's dim as NumPy's axis: a list, as TOML has it, becomes a tuple."""
    return dim if dim is None or isinstance(dim, int) else tuple(dim)


def count(input: Float64Array, dim: Dim) -> int:
    """How many elements each result is made of."""
    if dim is None:
        return int(input.size)
    return prod(input.shape[axis] for axis in ([dim] if isinstance(dim, int) else dim))


def sum(input: Float64Array, *, dim: Dim = -1, keepdim: bool = False) -> Float64Array:
    """The sum along dim; 0 for no elements."""
    return input.sum(axis=axes(dim), keepdims=keepdim)


SUM = define_op("sum", reference=sum, schema=SCHEMA, params=ALONG, origin="built-in")


def mean(input: Float64Array, *, dim: Dim = -1, keepdim: bool = False) -> Float64Array:
    """The mean along dim; NaN for no elements."""
    return input.sum(axis=axes(dim), keepdims=keepdim) / count(input, dim)


MEAN = define_op("mean", reference=mean, schema=SCHEMA, params=ALONG, origin="built-in")


def max(input: Float64Array, *, dim: Dim = -1, keepdim: bool = False) -> Float64Array:
    """The largest value along dim, as torch.amax: NaN where any is NaN.

    torch.max(input, dim) gives values and indices: that is `max_with_indices`.
    """
    return input.max(axis=axes(dim), keepdims=keepdim)


MAX = define_op("max", reference=max, schema=SCHEMA, params=ALONG, aliases=["amax"], origin="built-in")


def min(input: Float64Array, *, dim: Dim = -1, keepdim: bool = False) -> Float64Array:
    """The smallest value along dim, as torch.amin: NaN where any is NaN."""
    return input.min(axis=axes(dim), keepdims=keepdim)


MIN = define_op("min", reference=min, schema=SCHEMA, params=ALONG, aliases=["amin"], origin="built-in")


def cumsum(input: Float64Array, *, dim: int = -1) -> Float64Array:
    """The running sum along dim."""
    return input.cumsum(axis=dim)


CUMSUM = define_op(
    "cumsum",
    reference=cumsum,
    schema="input[rows,cols] -> [rows,cols]",
    params={"dim": -1},
    origin="built-in",
)


def logsumexp(input: Float64Array, *, dim: Dim = -1, keepdim: bool = False) -> Float64Array:
    """log(sum(exp(input))) along dim, shifted by the maximum so that exp cannot overflow.

    An infinite maximum shifts by 0, so that rows of -inf give -inf and rows with +inf give +inf.
    """
    if count(input, dim) == 0:
        return np.log(input.sum(axis=axes(dim), keepdims=keepdim))
    largest = input.max(axis=axes(dim), keepdims=True)
    shift = np.where(np.isinf(largest), 0.0, largest)
    total = np.exp(input - shift).sum(axis=axes(dim), keepdims=True)
    result = np.log(total) + shift
    return result if keepdim else np.squeeze(result, axis=axes(dim))


LOGSUMEXP = define_op("logsumexp", reference=logsumexp, schema=SCHEMA, params=ALONG, origin="built-in")


def var(input: Float64Array, *, dim: Dim = -1, correction: int = 1, keepdim: bool = False) -> Float64Array:
    """sum((x - mean)^2) / (n - correction) along dim, in two passes.

    NaN where n - correction is not above 0. The one-pass form E[x^2] - E[x]^2 cancels and is not
    what this asks for.
    """
    n = count(input, dim)
    centred = input - input.sum(axis=axes(dim), keepdims=True) / n
    squares = np.square(centred).sum(axis=axes(dim), keepdims=keepdim)
    return squares / (n - correction if n > correction else 0)


VAR = define_op(
    "var",
    reference=var,
    schema=SCHEMA,
    params={"dim": -1, "correction": 1, "keepdim": False},
    origin="built-in",
)


def std(input: Float64Array, *, dim: Dim = -1, correction: int = 1, keepdim: bool = False) -> Float64Array:
    """The square root of var."""
    return np.sqrt(var(input, dim=dim, correction=correction, keepdim=keepdim))


STD = define_op(
    "std",
    reference=std,
    schema=SCHEMA,
    params={"dim": -1, "correction": 1, "keepdim": False},
    origin="built-in",
)

REDUCTIONS = (SUM, MEAN, MAX, MIN, CUMSUM, LOGSUMEXP, VAR, STD)
