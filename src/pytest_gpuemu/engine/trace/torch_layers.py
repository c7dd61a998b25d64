"""torch.nn.functional's layers and losses, written out as stable two-pass formulas.

Here: activations, softmax, normalization, linear layers, attention, losses.
Elsewhere: torch's other functions (torch_functions.py), the table of all (torch_table.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import numpy as np
from scipy import special

from pytest_gpuemu.engine.trace import composites
from pytest_gpuemu.engine.trace.run import Untraceable
from pytest_gpuemu.engine.trace.torch_functions import cast_to, vector_norm
from pytest_gpuemu.engine.trace.traced import value_of


def sigmoid(x: Any) -> Any:
    return special.expit(x)


def silu(x: Any, inplace: bool = False) -> Any:
    return x * sigmoid(x)


def relu(x: Any, inplace: bool = False) -> Any:
    return np.maximum(x, 0)


def gelu(x: Any, approximate: str = "none") -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(sqrt(2.0 / np.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1.0 + special.erf(x * sqrt(0.5)))


def leaky_relu(x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    return np.where(x > 0, x, x * negative_slope)


def elu(x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = x * beta
    smooth = (np.maximum(scaled, 0) + np.log1p(np.exp(-np.abs(scaled)))) / beta
    return np.where(scaled > threshold, x, smooth)


def mish(x: Any, inplace: bool = False) -> Any:
    return x * np.tanh(softplus(x))


def log_sigmoid(x: Any) -> Any:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


def glu(x: Any, dim: int = -1) -> Any:
    first, second = np.split(x, 2, axis=dim)
    return first * sigmoid(second)


def softmax(x: Any, dim: Any = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return composites.softmax(cast_to(x, dtype), axis=dim)


def log_softmax(x: Any, dim: Any = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return composites.log_softmax(cast_to(x, dtype), axis=dim)


def _normalized(x: Any, axes: Any, eps: float) -> Any:
    """(x - mean) / sqrt(var + eps), undetermined where x^2 overflows: kernels give 0 or NaN.

    0 * mean(x^2) is a step of Welford's update (ops/normalization.py).
    """
    apart = x - np.mean(x, axis=axes, keepdims=True)
    squares = np.mean(apart * apart, axis=axes, keepdims=True)
    return apart / np.sqrt(squares + 0.0 * np.mean(x * x, axis=axes, keepdims=True) + eps)


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def layer_norm(
    x: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    axes = tuple(range(-len(normalized_shape), 0)) if not isinstance(normalized_shape, int) else (-1,)
    return _affine(_normalized(x, axes if len(axes) > 1 else axes[0], eps), weight, bias)


def rms_norm(x: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    axes = tuple(range(-len(normalized_shape), 0))
    small = np.finfo(x.dtype).eps if eps is None else eps
    axis = axes if len(axes) > 1 else axes[0]
    return _affine(x / np.sqrt(np.mean(x * x, axis=axis, keepdims=True) + float(small)), weight, None)


def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, *_: Any
) -> Any:
    groups = x.reshape(x.shape[0], num_groups, -1)
    y = _normalized(groups, -1, eps).reshape(x.shape)
    channels = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    weight, bias = (p if p is None else p.reshape(channels) for p in (weight, bias))
    return _affine(y, weight, bias)


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    return x / np.maximum(vector_norm(x, p, dim, True), eps)


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    y = np.matmul(x, np.swapaxes(weight, -1, -2))
    return y if bias is None else y + bias


def addmm(x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    product = np.matmul(a, b)
    return (x if beta == 1 else x * beta) + (product if alpha == 1 else product * alpha)


def attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    if dropout_p:
        raise Untraceable("it calls scaled_dot_product_attention with dropout")
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (np.repeat(x, groups, axis=-3) for x in (key, value))
    scores = np.matmul(query, np.swapaxes(key, -1, -2))
    scores = scores * (1.0 / sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        visible = np.tril(np.ones(scores.shape[-2:], bool))
        scores = np.where(visible, scores, -np.inf)
    if attn_mask is not None:
        if attn_mask.dtype == bool:
            scores = np.where(attn_mask, scores, -np.inf)
        else:
            scores = scores + attn_mask
    return np.matmul(composites.softmax(scores, axis=-1), value)


def embedding(
    index: Any, weight: Any, padding_idx: int | None = None, max_norm: Any = None, *_: Any, **__: Any
) -> Any:
    _refuse("embedding", max_norm=max_norm)
    return np.take(weight, value_of(index), axis=0)


def _refuse(function: str, **arguments: Any) -> None:
    """Raise Untraceable where an argument is given that changes the values and that no rule reads."""
    for name, given in arguments.items():
        if given is not None:
            raise Untraceable(f"it calls {function} with {name}=")


def _nll(log_p: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    target = value_of(target)
    seen = target != ignore_index
    at = np.where(seen, target, 0)
    picked = np.take_along_axis(log_p, np.expand_dims(at, 1), axis=1)
    loss = -np.squeeze(picked, axis=1)
    share: Any = np.asarray(seen, float)
    if weight is not None:
        share = np.where(seen, np.take(weight, at), 0.0)
        loss = loss * share
    loss = np.where(seen, loss, 0.0)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return np.sum(loss)
    return np.sum(loss) / np.sum(share)


def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    _refuse("cross_entropy", size_average=size_average, reduce=reduce)
    if label_smoothing or value_of(target).dtype.kind != "i":
        raise Untraceable("it calls cross_entropy with label smoothing or class probabilities")
    if x.ndim == 1:
        x, target = x[None], value_of(target)[None]
        return _nll(composites.log_softmax(x, axis=1), target, weight, ignore_index, reduction)[0]
    return _nll(composites.log_softmax(x, axis=1), target, weight, ignore_index, reduction)


def nll_loss(
    x: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    _refuse("nll_loss", size_average=size_average, reduce=reduce)
    return _nll(x, target, weight, ignore_index, reduction)


def mse_loss(
    x: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    _refuse("mse_loss", size_average=size_average, reduce=reduce, weight=weight)
    squares = np.square(x - target)
    if reduction == "none":
        return squares
    return np.sum(squares) if reduction == "sum" else np.mean(squares)


def no_dropout(x: Any, p: float, training: bool) -> Any:
    if p and training:
        raise Untraceable("it calls dropout")
    return x
