"""Matrix products and transposition.

Here: the references and the records. Elsewhere: attention (attention.py), convolution (convolution.py).
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array


def matmul(input: Float64Array, other: Float64Array) -> Float64Array:
    """input @ other, over the last two dims; leading dims broadcast."""
    return np.matmul(input, other)


MATMUL = define_op(
    "matmul",
    reference=matmul,
    schema="input[M,K], other[K,N] -> [M,N]",
    aliases=["mm", "gemm"],
    origin="built-in",
)


def bmm(input: Float64Array, mat2: Float64Array) -> Float64Array:
    """A matrix product for each batch, as torch.bmm."""
    return np.matmul(input, mat2)


BMM = define_op(
    "bmm",
    reference=bmm,
    schema="input[B,M,K], mat2[B,K,N] -> [B,M,N]",
    dims={"B": [1, 2, 3, 5]},
    aliases=["batched_matmul"],
    origin="built-in",
)


def linear(input: Float64Array, weight: Float64Array, bias: Float64Array | None = None) -> Float64Array:
    """input @ weight.T + bias."""
    product = np.matmul(input, np.swapaxes(weight, -1, -2))
    return product if bias is None else product + bias


LINEAR = define_op(
    "linear",
    reference=linear,
    schema="input[M,K], weight[N,K], bias[N] -> [M,N]",
    origin="built-in",
)


def mv(input: Float64Array, vec: Float64Array) -> Float64Array:
    """A matrix times a vector."""
    return np.matmul(input, vec[..., None])[..., 0]


MV = define_op(
    "mv", reference=mv, schema="input[M,K], vec[K] -> [M]", aliases=["gemv", "matvec"], origin="built-in"
)


def transpose(input: Float64Array, *, dim0: int = 0, dim1: int = 1) -> Float64Array:
    """The same elements with two dims exchanged."""
    return np.swapaxes(input, dim0, dim1)


TRANSPOSE = define_op(
    "transpose",
    reference=transpose,
    schema="input[rows,cols] -> output[...]",
    params={"dim0": 0, "dim1": 1},
    origin="built-in",
)

LINALG = (MATMUL, BMM, LINEAR, MV, TRANSPOSE)
