"""The gradients of softmax, log_softmax, layer_norm and rms_norm."""

from __future__ import annotations

from math import prod

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.ops.attention import FINITE
from pytest_gpuemu.engine.ops.backward.activations import OF_OUTPUT
from pytest_gpuemu.engine.ops.normalization import biased_variance


def softmax_backward(grad_output: Float64Array, output: Float64Array, *, dim: int = -1) -> Float64Array:
    """y * (g - sum(g * y)) along dim, for the output y of softmax."""
    return output * (grad_output - (grad_output * output).sum(axis=dim, keepdims=True))


SOFTMAX_BACKWARD = define_op(
    "softmax_backward",
    reference=softmax_backward,
    schema=OF_OUTPUT,
    inputs={"output": {"low": 0.0, "high": 1.0}},
    params={"dim": -1},
    origin="built-in",
)


def log_softmax_backward(grad_output: Float64Array, output: Float64Array, *, dim: int = -1) -> Float64Array:
    """g - exp(y) * sum(g) along dim, for the output y of log_softmax."""
    return grad_output - np.exp(output) * grad_output.sum(axis=dim, keepdims=True)


LOG_SOFTMAX_BACKWARD = define_op(
    "log_softmax_backward",
    reference=log_softmax_backward,
    schema=OF_OUTPUT,
    inputs={"output": {"high": 0.0}},
    params={"dim": -1},
    origin="built-in",
)


def _axes(input: Float64Array, weight: Float64Array | None) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The axes that are normalized, those of weight; all others; and how many elements each mean is of."""
    normed = 1 if weight is None else weight.ndim
    return (
        tuple(range(-normed, 0)),
        tuple(range(input.ndim - normed)),
        prod(input.shape[input.ndim - normed :]),
    )


def _weighted(grad_output: Float64Array, weight: Float64Array | None) -> Float64Array:
    return grad_output if weight is None else grad_output * weight


def layer_norm_backward(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array | None, *, eps: float = 1e-5
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The gradients of input, weight and bias of layer_norm over the dims of weight.

    With d = sqrt(var + eps), n = (x - mean) / d and h = g * weight: (h - mean(h) - n * mean(h * n)) / d,
    and the sums of g * n and of g over all rows. Ba et al., Layer Normalization, arXiv 1607.06450.
    """
    axis, rows, n = _axes(input, weight)
    mean = input.sum(axis=axis, keepdims=True) / n
    variance = biased_variance(input, mean, axis) + eps
    normed = (input - mean) / np.sqrt(variance)
    h = _weighted(grad_output, weight)
    inner = (
        h - h.sum(axis=axis, keepdims=True) / n - normed * ((h * normed).sum(axis=axis, keepdims=True) / n)
    )
    return (
        inner / np.sqrt(variance),
        (grad_output * normed).sum(axis=rows),
        grad_output.sum(axis=rows),
    )


def layer_norm_backward_as_line(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array | None, *, eps: float = 1e-5
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """layer_norm_backward as h * a + x * b + c with an a, b and c for each row, as torch computes it.

    a = 1/d, b = (mean * sum(h) - sum(h * x)) * a^3 / cols and c = -b * mean - sum(h) * a / cols: less exact
    where the mean is large, and beyond float32's range sooner.
    """
    axis, rows, n = _axes(input, weight)
    mean = input.sum(axis=axis, keepdims=True) / n
    variance = biased_variance(input, mean, axis) + eps
    a = 1.0 / np.sqrt(variance)
    h = _weighted(grad_output, weight)
    total, along = h.sum(axis=axis, keepdims=True), (h * input).sum(axis=axis, keepdims=True)
    b = (total * mean - along) * a * a * a / n
    c = -b * mean - total * a / n
    normed = input * a - mean * a
    return h * a + input * b + c, (grad_output * normed).sum(axis=rows), grad_output.sum(axis=rows)


LAYER_NORM_BACKWARD = define_op(
    "layer_norm_backward",
    reference=[layer_norm_backward, layer_norm_backward_as_line],
    schema="grad_output[rows,cols], input[rows,cols], weight[cols]"
    " -> grad_input[rows,cols], grad_weight[cols], grad_bias[cols]",
    inputs=dict.fromkeys(("grad_output", "input", "weight"), FINITE),
    params={"eps": 1e-5},
    aliases=["layernorm_backward"],
    origin="built-in",
)


def rms_norm_backward(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array | None, *, eps: float = 1e-6
) -> tuple[Float64Array, Float64Array]:
    """The gradients of input and weight of rms_norm over the dims of weight.

    With r = sqrt(mean(x^2) + eps) and h = g * weight: (h - x * mean(h * x) / r^2) / r, and the sum of
    g * x / r over all rows.
    """
    axis, rows, n = _axes(input, weight)
    square = np.square(input).sum(axis=axis, keepdims=True) / n + eps
    normed, h = input / np.sqrt(square), _weighted(grad_output, weight)
    inner = h - input * ((h * input).sum(axis=axis, keepdims=True) / n) / square
    return inner / np.sqrt(square), (grad_output * normed).sum(axis=rows)


def rms_norm_backward_by_cube(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array | None, *, eps: float = 1e-6
) -> tuple[Float64Array, Float64Array]:
    """rms_norm_backward with the cube of 1/r, as autograd has it of x * rsqrt(mean(x^2) + eps).

    The derivative of rsqrt is its cube, which leaves float32's range where r is above 2**42.
    """
    axis, rows, n = _axes(input, weight)
    square = np.square(input).sum(axis=axis, keepdims=True) / n + eps
    a, h = 1.0 / np.sqrt(square), _weighted(grad_output, weight)
    along = (h * input).sum(axis=axis, keepdims=True) * (a * a * a)
    return h * a - along * input / n, (grad_output * (input * a)).sum(axis=rows)


RMS_NORM_BACKWARD = define_op(
    "rms_norm_backward",
    reference=[rms_norm_backward, rms_norm_backward_by_cube],
    schema="grad_output[rows,cols], input[rows,cols], weight[cols]"
    " -> grad_input[rows,cols], grad_weight[cols]",
    inputs=dict.fromkeys(("grad_output", "input", "weight"), FINITE),
    params={"eps": 1e-6},
    aliases=["rmsnorm_backward"],
    origin="built-in",
)

NORMALIZATION = (SOFTMAX_BACKWARD, LOG_SOFTMAX_BACKWARD, LAYER_NORM_BACKWARD, RMS_NORM_BACKWARD)
