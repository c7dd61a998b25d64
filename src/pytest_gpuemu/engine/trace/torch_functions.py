"""torch's functions, written out in NumPy's on traced arrays.

Here: one rule a function, by torch's name for it; composite functions as stable two-pass formulas.
Elsewhere: how torch's calls get here (torch_trace.py). Every rule takes traced or plain NumPy arrays
where torch takes tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from pytest_gpuemu.engine.trace import composites
from pytest_gpuemu.engine.trace.run import Untraceable
from pytest_gpuemu.engine.trace.structural import cast
from pytest_gpuemu.engine.trace.traced import Traced, value_of

Rule = Callable[..., Any]


class ValuesAndIndices(NamedTuple):
    """What torch.max(x, dim) and torch.topk give."""

    values: Any
    indices: Any


def _axis(dim: Any) -> Any:
    if isinstance(dim, (list, tuple)):
        return tuple(dim) or None
    return dim


def _cast(x: Any, dtype: Any) -> Any:
    return x if dtype is None or x.dtype == dtype else cast(x, dtype)


def reduction(plain: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        return plain(_cast(x, dtype), axis=_axis(dim), keepdims=keepdim)

    return rule


def variance(plain: Rule) -> Rule:
    def rule(
        x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None
    ) -> Any:
        if isinstance(dim, bool):  # x.var(False): dim was left out
            dim, unbiased = None, dim
        ddof = int(bool(unbiased)) if correction is None else correction
        return plain(x, axis=_axis(dim), ddof=ddof, keepdims=keepdim)

    return rule


def var_mean(x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, **kwargs: Any) -> Any:
    return variance(np.var)(x, dim, unbiased, keepdim, **kwargs), np.mean(
        x, axis=_axis(dim), keepdims=keepdim
    )


def extremum(of_all: Rule, position: Rule, of_two: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if other is not None or isinstance(dim, Traced):
            return of_two(x, dim if other is None else other)
        if dim is None:
            return of_all(x)
        return ValuesAndIndices(
            of_all(x, axis=dim, keepdims=keepdim), position(x, axis=dim, keepdims=keepdim)
        )

    return rule


def position(plain: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        return plain(x, axis=dim, keepdims=keepdim)

    return rule


def scan(plain: Rule) -> Rule:
    def rule(x: Any, dim: int, *, dtype: Any = None) -> Any:
        return plain(_cast(x, dtype), axis=dim)

    return rule


def scaled(plain: Rule) -> Rule:
    def rule(x: Any, other: Any, *, alpha: Any = 1) -> Any:
        return plain(x, other if alpha == 1 else other * alpha)

    return rule


def div(x: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    quotient = np.true_divide(x, other)
    if rounding_mode is None:
        return quotient
    return np.floor(quotient) if rounding_mode == "floor" else np.trunc(quotient)


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


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def softmax(x: Any, dim: Any = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return composites.softmax(_cast(x, dtype), axis=dim)


def log_softmax(x: Any, dim: Any = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return composites.log_softmax(_cast(x, dtype), axis=dim)


def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    return composites.logsumexp(x, axis=_axis(dim), keepdims=keepdim)


def _normalized(x: Any, axes: Any, eps: float) -> Any:
    apart = x - np.mean(x, axis=axes, keepdims=True)
    return apart / np.sqrt(np.mean(apart * apart, axis=axes, keepdims=True) + eps)


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


def norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, p: Any = None
) -> Any:
    order = ord if p is None else p
    axis = _axis(dim)
    if order in (2, "fro", None):
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdim))
    if order == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdim)
    if order == float("inf"):
        return np.max(np.abs(x), axis=axis, keepdims=keepdim)
    raise Untraceable(f"it calls a torch norm of order {order!r}")


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    return x / np.maximum(norm(x, p, dim, True), eps)


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


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return np.where(mask, value, x)


def gather(x: Any, dim: int, index: Any, **_: Any) -> Any:
    return np.take_along_axis(*_trimmed(x, dim, index), axis=dim)


def _trimmed(x: Any, dim: int, index: Any) -> tuple[Any, Any]:
    """x cut to the index's shape in every other dim, as torch's gather and scatter read it."""
    dim = dim % x.ndim
    cut = tuple(slice(None) if i == dim else slice(0, n) for i, n in enumerate(index.shape))
    return x[cut], index


def _places(x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """The indices into x of every element of a torch scatter."""
    places = list(np.indices(index.shape, sparse=True))
    places[dim % x.ndim] = value_of(index)
    return tuple(places)


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Any:
    out = x.copy()
    src = src[tuple(slice(0, n) for n in index.shape)]
    np.add.at(out, _places(x, dim, index), src)
    return out


def scatter(x: Any, dim: int, index: Any, src: Any = None, value: Any = None, **kwargs: Any) -> Any:
    if kwargs:
        raise Untraceable("it calls scatter with reduce=")
    new = value if src is None else src
    new = new[tuple(slice(0, n) for n in index.shape)] if np.ndim(value_of(new)) else new
    out = x.copy()
    out[_places(x, dim, index)] = new
    return out


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    out = x.copy()
    place = (slice(None),) * (dim % x.ndim) + (value_of(index),)
    np.add.at(out, place, source if alpha == 1 else source * alpha)
    return out


def embedding(index: Any, weight: Any, padding_idx: int | None = None, *_: Any, **__: Any) -> Any:
    return np.take(weight, value_of(index), axis=0)


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
    return _nll(x, target, weight, ignore_index, reduction)


def mse_loss(
    x: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    squares = np.square(x - target)
    if reduction == "none":
        return squares
    return np.sum(squares) if reduction == "sum" else np.mean(squares)


def sizes(given: Sequence[Any]) -> Any:
    return given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else tuple(given)


def reshape(x: Any, *shape: Any, **kwargs: Any) -> Any:
    if shape and isinstance(shape[0], np.dtype):
        raise Untraceable("it reinterprets the bits of a tensor")
    return x.reshape(tuple(int(n) for n in sizes(shape or (kwargs["shape"],))))


def expand(x: Any, *shape: Any) -> Any:
    new = sizes(shape)
    old = (1,) * (len(new) - x.ndim) + tuple(x.shape)
    return np.broadcast_to(x, tuple(o if n == -1 else n for n, o in zip(new, old, strict=True)))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if x.ndim == 0:
        return x.reshape(1)
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape((*x.shape[:start], -1, *x.shape[end + 1 :]))


def split(x: Any, size: Any, dim: int = 0) -> Any:
    length = x.shape[dim]
    edges = list(range(size, length, size)) if isinstance(size, int) else list(np.cumsum(size)[:-1])
    return tuple(np.split(x, edges, axis=dim))


def chunk(x: Any, chunks: int, dim: int = 0) -> Any:
    return split(x, max(1, -(-x.shape[dim] // chunks)), dim)


def unbind(x: Any, dim: int = 0) -> Any:
    return tuple(np.moveaxis(x, dim, 0)[i] for i in range(x.shape[dim]))


def repeat_interleave(x: Any, repeats: Any, dim: Any = None, **_: Any) -> Any:
    return np.repeat(x, value_of(repeats), axis=dim)


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    order = np.argsort(-x if descending else x, axis=dim, kind="stable")
    return ValuesAndIndices(np.sort(x, axis=dim) if not descending else -np.sort(-x, axis=dim), order)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    values, indices = sort(x, dim, largest)
    first = (slice(None),) * (dim % x.ndim) + (slice(0, k),)
    return ValuesAndIndices(values[first], indices[first])


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, start + length),)]


def einsum(equation: str, *operands: Any) -> Any:
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return np.einsum(equation, *operands)


def where(condition: Any, *choices: Any) -> Any:
    if not choices:
        raise Untraceable("it lists the true places of a tensor")
    return np.where(condition, *choices)


def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    if mode != "constant":
        raise Untraceable(f"it pads with mode={mode!r}")
    widths = [(0, 0)] * x.ndim
    for i in range(len(pad) // 2):
        widths[-1 - i] = (pad[2 * i], pad[2 * i + 1])
    return np.pad(x, widths, constant_values=0.0 if value is None else value)


def pow(x: Any, exponent: Any) -> Any:
    return np.power(x, exponent)


def rsqrt(x: Any) -> Any:
    return 1.0 / np.sqrt(x)


def no_dropout(x: Any, p: float, training: bool) -> Any:
    if p and training:
        raise Untraceable("it calls dropout")
    return x
