"""Backward ops: the gradients of an op's inputs, from that of its output.

Here: the references and the records, as ordinary ops; inputs are named as in torch's aten, outputs
`grad_` and the name of what they are the gradient of. Elsewhere: the forward ops.
Statistics of the forward pass (mean, rstd, log-sum-exp) are no inputs: drawn at random they would
contradict the input, and kernels differ in which of them they save. Where sums of several terms may be
grouped in several ways, inputs are finite: infinity less infinity depends on the grouping.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf, expit

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.ops.attention import (
    FINITE,
    GROUPED_WHERE_ASKED,
    PARAMS,
    SIZES,
    attention_scores,
    attention_weights,
    per_query_head,
)
from pytest_gpuemu.engine.ops.losses import IGNORED, TARGET, class_axis
from pytest_gpuemu.engine.ops.normalization import biased_variance
from pytest_gpuemu.engine.ops.softmax import softmax

OF_INPUT = "grad_output[rows,cols], input[rows,cols] -> grad_input[rows,cols]"
OF_OUTPUT = "grad_output[rows,cols], output[rows,cols] -> grad_input[rows,cols]"


def relu_backward(grad_output: Float64Array, input: Float64Array) -> Float64Array:
    """grad_output where input is above 0 or NaN, else 0, as aten's threshold_backward."""
    return np.where(input <= 0, 0.0, grad_output)


RELU_BACKWARD = define_op("relu_backward", reference=relu_backward, schema=OF_INPUT, origin="built-in")


def sigmoid_backward(grad_output: Float64Array, output: Float64Array) -> Float64Array:
    """grad_output * (1 - y) * y, for the output y of sigmoid."""
    return grad_output * (1.0 - output) * output


SIGMOID_BACKWARD = define_op(
    "sigmoid_backward",
    reference=sigmoid_backward,
    schema=OF_OUTPUT,
    inputs={"output": {"low": 0.0, "high": 1.0}},
    origin="built-in",
)


def tanh_backward(grad_output: Float64Array, output: Float64Array) -> Float64Array:
    """grad_output * (1 - y^2), for the output y of tanh."""
    return grad_output * (1.0 - output * output)


TANH_BACKWARD = define_op(
    "tanh_backward",
    reference=tanh_backward,
    schema=OF_OUTPUT,
    inputs={"output": {"low": -1.0, "high": 1.0}},
    origin="built-in",
)


def gelu_backward(
    grad_output: Float64Array, input: Float64Array, *, approximate: str = "none"
) -> Float64Array:
    """grad_output * d gelu(x) / dx, with gelu's two forms. Raises ValueError for another."""
    if approximate == "none":
        density = np.exp(-0.5 * input * input) * (1.0 / math.sqrt(2.0 * math.pi))
        return grad_output * (0.5 * (1.0 + erf(input * math.sqrt(0.5))) + input * density)
    if approximate == "tanh":
        beta, square = math.sqrt(2.0 / math.pi), input * input
        t = np.tanh(beta * (input + 0.044715 * square * input))
        slope = beta * (1.0 + 3.0 * 0.044715 * square)
        return grad_output * (0.5 * (1.0 + t) + 0.5 * input * (1.0 - t * t) * slope)
    raise ValueError(f'gelu_backward: approximate = {approximate!r} is neither "none" nor "tanh"')


GELU_BACKWARD = define_op(
    "gelu_backward",
    reference=gelu_backward,
    schema=OF_INPUT,
    params={"approximate": "none"},
    origin="built-in",
)


def silu_backward(grad_output: Float64Array, input: Float64Array) -> Float64Array:
    """grad_output * s * (1 + x * (1 - s)), with s = sigmoid(x)."""
    s = expit(input)
    return grad_output * (s * (1.0 + input * (1.0 - s)))


SILU_BACKWARD = define_op("silu_backward", reference=silu_backward, schema=OF_INPUT, origin="built-in")


def swiglu_backward(
    grad_output: Float64Array, gate: Float64Array, up: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The gradients of silu(gate) * up."""
    return silu_backward(grad_output * up, gate), grad_output * (gate * expit(gate))


SWIGLU_BACKWARD = define_op(
    "swiglu_backward",
    reference=swiglu_backward,
    schema="grad_output[rows,cols], gate[rows,cols], up[rows,cols]"
    " -> grad_gate[rows,cols], grad_up[rows,cols]",
    origin="built-in",
)


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


def _leading(input: Float64Array) -> tuple[int, ...]:
    return tuple(range(input.ndim - 1))


def layer_norm_backward(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array, *, eps: float = 1e-5
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The gradients of input, weight and bias of layer_norm over the last dim.

    With d = sqrt(var + eps), n = (x - mean) / d and h = g * weight: (h - mean(h) - n * mean(h * n)) / d,
    and the sums of g * n and of g over all rows. Ba et al., Layer Normalization, arXiv 1607.06450.
    """
    n = input.shape[-1]
    mean = input.sum(axis=-1, keepdims=True) / n
    variance = biased_variance(input, mean, -1) + eps
    normed = (input - mean) / np.sqrt(variance)
    h, rows = grad_output * weight, _leading(input)
    inner = h - h.sum(axis=-1, keepdims=True) / n - normed * ((h * normed).sum(axis=-1, keepdims=True) / n)
    return (
        inner / np.sqrt(variance),
        (grad_output * normed).sum(axis=rows),
        grad_output.sum(axis=rows),
    )


def layer_norm_backward_as_line(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array, *, eps: float = 1e-5
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """layer_norm_backward as h * a + x * b + c with an a, b and c for each row, as torch computes it.

    a = 1/d, b = (mean * sum(h) - sum(h * x)) * a^3 / cols and c = -b * mean - sum(h) * a / cols: less exact
    where the mean is large, and beyond float32's range sooner.
    """
    n = input.shape[-1]
    mean = input.sum(axis=-1, keepdims=True) / n
    variance = biased_variance(input, mean, -1) + eps
    a = 1.0 / np.sqrt(variance)
    h, rows = grad_output * weight, _leading(input)
    total, along = h.sum(axis=-1, keepdims=True), (h * input).sum(axis=-1, keepdims=True)
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
    grad_output: Float64Array, input: Float64Array, weight: Float64Array, *, eps: float = 1e-6
) -> tuple[Float64Array, Float64Array]:
    """The gradients of input and weight of rms_norm over the last dim.

    With r = sqrt(mean(x^2) + eps) and h = g * weight: (h - x * mean(h * x) / r^2) / r, and the sum of
    g * x / r over all rows.
    """
    n = input.shape[-1]
    square = np.square(input).sum(axis=-1, keepdims=True) / n + eps
    normed, h = input / np.sqrt(square), grad_output * weight
    inner = h - input * ((h * input).sum(axis=-1, keepdims=True) / n) / square
    return inner / np.sqrt(square), (grad_output * normed).sum(axis=_leading(input))


def rms_norm_backward_by_cube(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array, *, eps: float = 1e-6
) -> tuple[Float64Array, Float64Array]:
    """rms_norm_backward with the cube of 1/r, as autograd has it of x * rsqrt(mean(x^2) + eps).

    The derivative of rsqrt is its cube, which leaves float32's range where r is above 2**42.
    """
    n = input.shape[-1]
    square = np.square(input).sum(axis=-1, keepdims=True) / n + eps
    a, h = 1.0 / np.sqrt(square), grad_output * weight
    along = (h * input).sum(axis=-1, keepdims=True) * (a * a * a)
    return h * a - along * input / n, (grad_output * (input * a)).sum(axis=_leading(input))


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


def cross_entropy_backward(
    grad_output: Float64Array,
    input: Float64Array,
    target: Array,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float64Array:
    """(softmax(input) - target's distribution) * grad_output, over the number of targets for a mean.

    grad_output is that of the loss: one number, or one a target where reduction is "none". The rows of
    ignored targets are 0, whatever is in them. Raises ValueError for another reduction.
    """
    gradient = cross_entropy_backward_of_all(
        grad_output,
        input,
        target,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    return np.where(np.expand_dims(target != ignore_index, class_axis(input)), gradient, 0.0)


def cross_entropy_backward_of_all(
    grad_output: Float64Array,
    input: Float64Array,
    target: Array,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float64Array:
    """cross_entropy_backward with ignored rows multiplied by 0, as torch does it: NaN logits stay NaN."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction = {reduction!r} is none of mean, sum, none")
    axis = class_axis(input)
    classes = input.shape[axis]
    valid = np.expand_dims(target != ignore_index, axis)
    places = np.arange(classes).reshape([classes if a == axis else 1 for a in range(input.ndim)])
    wanted = np.where(places == np.expand_dims(target, axis), 1.0 - label_smoothing, 0.0)
    weight = np.expand_dims(grad_output, axis) if reduction == "none" else grad_output
    if reduction == "mean":
        weight = weight / np.count_nonzero(valid)
    return (softmax(input, dim=axis) - (wanted + label_smoothing / classes)) * np.where(valid, weight, 0.0)


CROSS_ENTROPY_BACKWARD = define_op(
    "cross_entropy_backward",
    reference=[cross_entropy_backward, cross_entropy_backward_of_all],
    schema="grad_output[], input[N,C], target[N] -> grad_input[N,C]",
    inputs={"grad_output": FINITE, "target": TARGET},
    params={"ignore_index": IGNORED, "reduction": "mean", "label_smoothing": 0.0},
    origin="built-in",
)


def matmul_backward(
    grad_output: Float64Array, input: Float64Array, other: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The gradients of input @ other: grad_output @ other.T and input.T @ grad_output."""
    return np.matmul(grad_output, np.swapaxes(other, -1, -2)), np.matmul(
        np.swapaxes(input, -1, -2), grad_output
    )


MATMUL_BACKWARD = define_op(
    "matmul_backward",
    reference=matmul_backward,
    schema="grad_output[M,N], input[M,K], other[K,N] -> grad_input[M,K], grad_other[K,N]",
    origin="built-in",
)


def linear_backward(
    grad_output: Float64Array, input: Float64Array, weight: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The gradients of input [M, K], weight [N, K] and bias [N] of linear."""
    return np.matmul(grad_output, weight), np.matmul(grad_output.T, input), grad_output.sum(axis=0)


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


def _per_shared_head(gradient: Float64Array, like: Float64Array) -> Float64Array:
    """The gradients of the query heads of a group added up to that of the head they share."""
    if gradient.ndim < 3 or gradient.shape[-3] == like.shape[-3]:
        return gradient
    shared, *rest = like.shape[-3:]
    return gradient.reshape(*like.shape[:-3], shared, gradient.shape[-3] // shared, *rest).sum(axis=-3)


def scaled_dot_product_attention_backward(
    grad_output: Float64Array,
    query: Float64Array,
    key: Float64Array,
    value: Float64Array,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_align: str = "top_left",
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """The gradients of query, key and value; a query that sees no key adds nothing.

    With weights P and output O = P V: dV = P.T g, dS = P * (g V.T - g.O), dQ = scale dS K, dK = scale dS.T Q.
    g.O is a product with the output, which kernels keep in the storage dtype. Dao, FlashAttention-2,
    arXiv 2307.08691, algorithm 2.
    """
    keys, values = per_query_head(key, query), per_query_head(value, query)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    weights = attention_weights(
        attention_scores(query, keys, is_causal=is_causal, scale=scale, causal_align=causal_align)
    )
    output = np.matmul(weights, values)
    delta = np.matmul(grad_output[..., None, :], output[..., :, None])[..., 0]
    inner = weights * (np.matmul(grad_output, np.swapaxes(values, -1, -2)) - delta)
    grad_query = np.matmul(inner, keys) * factor
    grad_key = np.matmul(np.swapaxes(inner, -1, -2), query) * factor
    grad_value = np.matmul(np.swapaxes(weights, -1, -2), grad_output)
    return grad_query, _per_shared_head(grad_key, key), _per_shared_head(grad_value, value)


_FINITE_INPUTS: dict[str, Any] = dict.fromkeys(("grad_output", "query", "key", "value"), FINITE)

SCALED_DOT_PRODUCT_ATTENTION_BACKWARD = define_op(
    "scaled_dot_product_attention_backward",
    reference=scaled_dot_product_attention_backward,
    schema="grad_output[B,H*G,S,D], query[B,H*G,S,D], key[B,H,T,D], value[B,H,T,D]"
    " -> grad_query[B,H*G,S,D], grad_key[B,H,T,D], grad_value[B,H,T,D]",
    inputs=_FINITE_INPUTS,
    dims=SIZES,
    params=PARAMS,
    param_dims=GROUPED_WHERE_ASKED,
    checks={"deterministic": False},  # dQ is added up by atomics in flash attention
    aliases=["attention_backward", "sdpa_backward"],
    origin="built-in",
)

BACKWARD = (
    RELU_BACKWARD,
    SIGMOID_BACKWARD,
    TANH_BACKWARD,
    GELU_BACKWARD,
    SILU_BACKWARD,
    SWIGLU_BACKWARD,
    SOFTMAX_BACKWARD,
    LOG_SOFTMAX_BACKWARD,
    LAYER_NORM_BACKWARD,
    RMS_NORM_BACKWARD,
    CROSS_ENTROPY_BACKWARD,
    MATMUL_BACKWARD,
    LINEAR_BACKWARD,
    EMBEDDING_BACKWARD,
    SCALED_DOT_PRODUCT_ATTENTION_BACKWARD,
)
