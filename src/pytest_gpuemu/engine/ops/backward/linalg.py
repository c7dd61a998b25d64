"""The gradients of matmul, linear and embedding."""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array


def matmul_backward(
    grad_output: Float64Array, input: Float64Array, other: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The gradients of input @ other: grad_output @ other.T and input.T @ grad_output.

    One other [K, N] for a batch of inputs is read by all their rows.
    """
    rows, grad_rows = input, grad_output
    if other.ndim == 2 and input.ndim > 2:
        rows, grad_rows = input.reshape(-1, input.shape[-1]), grad_output.reshape(-1, grad_output.shape[-1])
    return np.matmul(grad_output, np.swapaxes(other, -1, -2)), np.matmul(np.swapaxes(rows, -1, -2), grad_rows)


MATMUL_BACKWARD = define_op(
    "matmul_backward",
    reference=matmul_backward,
    schema="grad_output[M,N], input[M,K], other[K,N] -> grad_input[M,K], grad_other[K,N]",
    origin="built-in",
)


def linear_backward(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The gradients of input [..., K], weight [N, K] and bias [N] of linear."""
    rows, grad_rows = input, grad_output
    if input.ndim != 2:
        rows, grad_rows = input.reshape(-1, input.shape[-1]), grad_output.reshape(-1, grad_output.shape[-1])
    return np.matmul(grad_output, weight), np.matmul(grad_rows.T, rows), grad_rows.sum(axis=0)


LINEAR_BACKWARD = define_op(
    "linear_backward",
    reference=linear_backward,
    schema="grad_output[M,N], input[M,K], weight[N,K] -> grad_input[M,K], grad_weight[N,K], grad_bias[N]",
    origin="built-in",
)


def embedding_backward(grad_output: Float64Array, indices: Array, weight: Float64Array) -> Float64Array:
    """The gradient of weight: the rows of grad_output added up by index. Of weight only the shape counts."""
    gradient = np.zeros_like(weight)
    np.add.at(gradient, indices, grad_output)
    return gradient


EMBEDDING_BACKWARD = define_op(
    "embedding_backward",
    reference=embedding_backward,
    schema="grad_output[N,D], indices[N], weight[V,D] -> grad_weight[V,D]",
    inputs={"indices": {"kind": "index", "of": "V"}},
    checks={"deterministic": False},  # atomic additions, as in scatter_add
    origin="built-in",
)

LINALG = (MATMUL_BACKWARD, LINEAR_BACKWARD, EMBEDDING_BACKWARD)
