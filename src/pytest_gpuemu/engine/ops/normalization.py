"""Normalization: layer_norm, rms_norm, group_norm and normalize (to a norm of 1).

Here: the references, all in two passes, and the records. Elsewhere: their backward ops (backward.py).
"""

from __future__ import annotations

from math import prod

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.ops.reductions import Dim, axes


def layer_norm(
    input: Float64Array,
    weight: Float64Array | None = None,
    bias: Float64Array | None = None,
    *,
    eps: float = 1e-5,
) -> Float64Array:
    """(x - mean) / sqrt(var + eps) * weight + bias over the dims of weight, the last ones.

    var is biased (divided by n) and taken from x - mean, in a second pass.
    """
    axis = tuple(range(-(1 if weight is None else weight.ndim), 0))
    n = prod(input.shape[a] for a in axis)
    centred = input - input.sum(axis=axis, keepdims=True) / n
    variance = np.square(centred).sum(axis=axis, keepdims=True) / n
    result = centred / np.sqrt(variance + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


LAYER_NORM = define_op(
    "layer_norm",
    reference=layer_norm,
    schema="input[rows,cols], weight[cols], bias[cols] -> [rows,cols]",
    params={"eps": 1e-5},
    aliases=["layernorm"],
    origin="built-in",
)


def rms_norm(input: Float64Array, weight: Float64Array | None = None, *, eps: float = 1e-6) -> Float64Array:
    """x / sqrt(mean(x^2) + eps) * weight over the dims of weight, the last ones.

    eps is always a number: torch's default, the dtype's epsilon, is not what models are built with.
    """
    axis = tuple(range(-(1 if weight is None else weight.ndim), 0))
    n = prod(input.shape[a] for a in axis)
    result = input / np.sqrt(np.square(input).sum(axis=axis, keepdims=True) / n + eps)
    return result if weight is None else result * weight


RMS_NORM = define_op(
    "rms_norm",
    reference=rms_norm,
    schema="input[rows,cols], weight[cols] -> [rows,cols]",
    params={"eps": 1e-6},
    aliases=["rmsnorm"],
    origin="built-in",
)


def group_norm(
    input: Float64Array,
    weight: Float64Array | None = None,
    bias: Float64Array | None = None,
    *,
    num_groups: int = 4,
    eps: float = 1e-5,
) -> Float64Array:
    """layer_norm over each of num_groups groups of channels; input is [N, C, ...], weight and bias [C].

    Raises ValueError where num_groups does not divide C.
    """
    batch, channels, *spatial = input.shape
    if channels % num_groups:
        raise ValueError(f"group_norm: num_groups = {num_groups} does not divide the {channels} channels")
    grouped = input.reshape(batch, num_groups, channels // num_groups * prod(spatial))
    result = layer_norm(grouped, eps=eps).reshape(input.shape)
    per_channel = (channels, *(1 for _ in spatial))
    result = result if weight is None else result * weight.reshape(per_channel)
    return result if bias is None else result + bias.reshape(per_channel)


GROUP_NORM = define_op(
    "group_norm",
    reference=group_norm,
    schema="input[N,4*C,L], weight[4*C], bias[4*C] -> [N,4*C,L]",
    dims={"N": [1, 2, 3], "C": (1, 16), "L": (1, 1100)},
    params={"num_groups": 4, "eps": 1e-5},
    aliases=["groupnorm"],
    origin="built-in",
)


def normalize(input: Float64Array, *, p: float = 2.0, dim: Dim = 1, eps: float = 1e-12) -> Float64Array:
    """x / max(norm, eps) along dim, with the p-norm; p may be inf."""
    axis = axes(dim)
    if p == 2:
        norm = np.sqrt(np.square(input).sum(axis=axis, keepdims=True))
    elif p == 1:
        norm = np.abs(input).sum(axis=axis, keepdims=True)
    elif p == np.inf:
        norm = np.abs(input).max(axis=axis, keepdims=True)
    else:
        norm = (np.abs(input) ** p).sum(axis=axis, keepdims=True) ** (1.0 / p)
    return input / np.maximum(norm, eps)


NORMALIZE = define_op(
    "normalize",
    reference=normalize,
    schema="input[rows,cols] -> [rows,cols]",
    params={"p": 2.0, "dim": 1, "eps": 1e-12},
    aliases=["l2norm", "l2_norm", "l2_normalize"],
    origin="built-in",
)

NORMALIZATION = (LAYER_NORM, RMS_NORM, GROUP_NORM, NORMALIZE)
