"""Normalization: layer_norm, rms_norm, group_norm and normalize (to a norm of 1).

Here: the references, all in two passes, and the records. Elsewhere: their backward ops (backward/).
"""

from __future__ import annotations

from math import prod

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.ops.reductions import Dim, axes


def biased_variance(input: Float64Array, mean: Float64Array, axis: int | tuple[int, ...]) -> Float64Array:
    """mean((x - mean)^2) along axis, in two passes.

    The second term is 0. It stands for Chan's update M2 + delta^2 n_a n_b / n with an empty part, as
    kernels in Welford's manner have it, where x^2 beyond float32's range times 0 is NaN: the tracer sees
    that too, and leaves the row undetermined. Chan et al., The American Statistician 37 (1983), eq. 1.5.
    """
    n = input.size // mean.size if mean.size else 0
    squares = np.square(input - mean).sum(axis=axis, keepdims=True)
    return (squares + 0.0 * np.square(input).sum(axis=axis, keepdims=True)) / n


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
    mean = input.sum(axis=axis, keepdims=True) / n
    result = (input - mean) / np.sqrt(biased_variance(input, mean, axis) + eps)
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def layer_norm_as_line(
    input: Float64Array,
    weight: Float64Array | None = None,
    bias: Float64Array | None = None,
    *,
    eps: float = 1e-5,
) -> Float64Array:
    """layer_norm where x and the mean are multiplied before they are subtracted, x*r - mean*r, as torch does.

    The products round; that of a single column, whose mean is exact, is then not 0. The factor 3 stands for
    r: it rounds alike, and unlike r it has no error of its own, which the tracer would count twice.
    """
    axis = tuple(range(-(1 if weight is None else weight.ndim), 0))
    mean = input.sum(axis=axis, keepdims=True) / prod(input.shape[a] for a in axis)
    variance = biased_variance(input, mean, axis) + eps
    result = (3.0 * input - 3.0 * mean) / np.sqrt(variance) / 3.0
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


LAYER_NORM = define_op(
    "layer_norm",
    reference=[layer_norm, layer_norm_as_line],
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
    result = layer_norm(_in_groups(input, num_groups), eps=eps).reshape(input.shape)
    result = result if weight is None else result * _per_channel(weight, input)
    return result if bias is None else result + _per_channel(bias, input)


def group_norm_as_line(
    input: Float64Array,
    weight: Float64Array | None = None,
    bias: Float64Array | None = None,
    *,
    num_groups: int = 4,
    eps: float = 1e-5,
) -> Float64Array:
    """group_norm as x * a + b with an a and a b for each channel, which is how torch computes it.

    Less exact than group_norm where the mean is large beside the deviation: x * a, mean * a and b round.
    As in layer_norm_as_line, a factor 3 stands for 1 / deviation there, and the deviation divides at the end.
    The last term is 0, or NaN where a real x * a overflows.
    """
    grouped = _in_groups(input, num_groups)
    mean = grouped.sum(axis=-1, keepdims=True) / grouped.shape[-1]
    deviation = np.sqrt(biased_variance(grouped, mean, -1) + eps)
    mean, deviation = (_repeated(x, input) for x in (mean, deviation))
    a = 3.0 if weight is None else 3.0 * _per_channel(weight, input)
    b = -mean * a if bias is None else 3.0 * _per_channel(bias, input) * deviation - mean * a
    overflows = input * (np.where(np.isfinite(a), a, 0.0) / deviation)
    return (input * a + b) / deviation / 3.0 + 0.0 * overflows


def _in_groups(input: Float64Array, num_groups: int) -> Float64Array:
    batch, channels, *spatial = input.shape
    if channels % num_groups:
        raise ValueError(f"group_norm: num_groups = {num_groups} does not divide the {channels} channels")
    return input.reshape(batch, num_groups, channels // num_groups * prod(spatial))


def _repeated(x: Float64Array, input: Float64Array) -> Float64Array:
    """[N, num_groups, 1], one number for each group, as one for each channel of input."""
    batch, channels, *spatial = input.shape
    return np.repeat(x, channels // x.shape[1], axis=1).reshape(batch, channels, *(1 for _ in spatial))


def _per_channel(x: Float64Array, input: Float64Array) -> Float64Array:
    return x.reshape(-1, *(1 for _ in input.shape[2:]))


GROUP_NORM = define_op(
    "group_norm",
    reference=[group_norm, group_norm_as_line],
    schema="input[N,4*C,L], weight[4*C], bias[4*C] -> [N,4*C,L]",
    dims={"N": [1, 2, 3], "C": (1, 16), "L": (1, 1100)},
    where=["2 <= N*C*L"],  # torch refuses a single value for each group in all
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
