"""Convolution and pooling: conv1d, conv2d, max_pool2d, avg_pool2d.

Here: the references, for any number of spatial dims, and the records.
Windows are gathered by index and then reduced: one matrix product, maximum or sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import FINITE_VALUES, Float64Array

PerDim: TypeAlias = int | Sequence[int]


def per_dim(given: PerDim, count: int) -> tuple[int, ...]:
    """One number for each spatial dim."""
    return (given,) * count if isinstance(given, int) else tuple(given)


def windows(
    input: Float64Array,
    kernel: Sequence[int],
    stride: PerDim,
    padding: PerDim,
    dilation: PerDim,
    fill: float = 0.0,
) -> Float64Array:
    """Every window over the last dims: [..., out_1, .., out_n, kernel_1, .., kernel_n].

    Raises ValueError where the padded input is shorter than one window.
    """
    n = len(kernel)
    strides, paddings, dilations = (per_dim(given, n) for given in (stride, padding, dilation))
    lead = input.ndim - n
    if any(paddings):
        border = [(0, 0)] * lead + [(p, p) for p in paddings]
        input = np.pad(input, border, constant_values=fill)
    index: list[Any] = [slice(None)] * lead
    for d, (size, step, width) in enumerate(zip(kernel, strides, dilations, strict=True)):
        length, reach = input.shape[lead + d], width * (size - 1) + 1
        if length < reach:
            raise ValueError(f"a window of {reach} does not fit the padded length {length}")
        starts = np.arange(0, length - reach + 1, step)
        shape = [1] * (2 * n)
        shape[d], shape[n + d] = starts.size, size
        index.append((starts[:, None] + width * np.arange(size)).reshape(shape))
    return input[tuple(index)]


def convolution(
    input: Float64Array,
    weight: Float64Array,
    bias: Float64Array | None,
    *,
    stride: PerDim,
    padding: PerDim,
    dilation: PerDim,
    groups: int,
) -> Float64Array:
    """Cross-correlation of input [N, groups*C, ...] with weight [groups*O, C, ...], as torch.conv1d, 2d, 3d.

    Raises ValueError where the channels do not fit groups.
    """
    batch, channels = input.shape[:2]
    outputs, per_group, *kernel = weight.shape
    if channels != groups * per_group or outputs % groups:
        raise ValueError(
            f"groups = {groups} does not fit {channels} input channels and a weight of shape {weight.shape}"
        )
    n = len(kernel)
    found = windows(input, kernel, stride, padding, dilation)
    out = found.shape[2 : 2 + n]
    found = found.reshape(batch, groups, per_group, prod(out), prod(kernel))
    filters = weight.reshape(groups, outputs // groups, per_group, prod(kernel))
    # Two axes, since kernels sum over channels and taps in either order.
    result = np.einsum("bgcpk,gock->bgop", found, filters, optimize=True).reshape(batch, outputs, *out)
    return result if bias is None else result + bias.reshape(outputs, *(1,) * n)


def conv1d(
    input: Float64Array,
    weight: Float64Array,
    bias: Float64Array | None = None,
    *,
    stride: PerDim = 1,
    padding: PerDim = 0,
    dilation: PerDim = 1,
    groups: int = 1,
) -> Float64Array:
    """Cross-correlation over one spatial dim, as torch.conv1d."""
    return convolution(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


# The shortest input holds the longest window at a dilation of 3.
# The padding times an infinite weight is NaN where it is multiplied, and nothing where a kernel skips it.
FINITE = {"values": FINITE_VALUES}
PARAMS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
CHANNELS: dict[str, Any] = {"N": [1, 2], "G": [1], "C": [1, 2, 3, 4, 8, 17], "O": [1, 2, 3, 4, 8, 17]}
GROUPED = {"groups": {groups: {"G": [groups]} for groups in range(1, 65)}}

CONV1D = define_op(
    "conv1d",
    reference=conv1d,
    schema="input[N,G*C,L], weight[G*O,C,K], bias[G*O] -> output[...]",
    inputs={"weight": FINITE},
    dims={**CHANNELS, "L": (13, 300), "K": [1, 2, 3, 4, 5]},
    params=PARAMS,
    param_dims=GROUPED,
    origin="built-in",
)


def conv2d(
    input: Float64Array,
    weight: Float64Array,
    bias: Float64Array | None = None,
    *,
    stride: PerDim = 1,
    padding: PerDim = 0,
    dilation: PerDim = 1,
    groups: int = 1,
) -> Float64Array:
    """Cross-correlation over two spatial dims, as torch.conv2d."""
    return convolution(input, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


CONV2D = define_op(
    "conv2d",
    reference=conv2d,
    schema="input[N,G*C,H,W], weight[G*O,C,R,S], bias[G*O] -> output[...]",
    inputs={"weight": FINITE},
    dims={**CHANNELS, "H": (13, 65), "W": (13, 65), "R": [1, 2, 3, 5], "S": [1, 2, 3, 5]},
    params=PARAMS,
    param_dims=GROUPED,
    origin="built-in",
)


def max_pool2d(
    input: Float64Array,
    *,
    kernel_size: PerDim = 2,
    stride: PerDim | None = None,
    padding: PerDim = 0,
    dilation: PerDim = 1,
) -> Float64Array:
    """The largest value of each window over the last two dims, NaN where any is NaN.

    stride None is kernel_size.
    """
    kernel = per_dim(kernel_size, 2)
    found = windows(input, kernel, kernel if stride is None else stride, padding, dilation, fill=-np.inf)
    return found.max(axis=(-2, -1))


POOLED: dict[str, Any] = {"N": [1, 2], "C": [1, 2, 3, 8], "H": (8, 65), "W": (8, 65)}

MAX_POOL2D = define_op(
    "max_pool2d",
    reference=max_pool2d,
    schema="input[N,C,H,W] -> output[...]",
    dims=POOLED,
    params={"kernel_size": 2, "stride": None, "padding": 0, "dilation": 1},
    origin="built-in",
)


def avg_pool2d(
    input: Float64Array,
    *,
    kernel_size: PerDim = 2,
    stride: PerDim | None = None,
    padding: PerDim = 0,
    count_include_pad: bool = True,
) -> Float64Array:
    """The mean of each window over the last two dims; stride None is kernel_size.

    count_include_pad: whether padding counts as elements that are 0, or not at all.
    """
    kernel = per_dim(kernel_size, 2)
    step = kernel if stride is None else stride
    total = windows(input, kernel, step, padding, 1).sum(axis=(-2, -1))
    if count_include_pad:
        return total / prod(kernel)
    elements = windows(np.ones(input.shape[-2:]), kernel, step, padding, 1).sum(axis=(-2, -1))
    return total / elements


AVG_POOL2D = define_op(
    "avg_pool2d",
    reference=avg_pool2d,
    schema="input[N,C,H,W] -> output[...]",
    dims=POOLED,
    params={"kernel_size": 2, "stride": None, "padding": 0, "count_include_pad": True},
    origin="built-in",
)

CONVOLUTION = (CONV1D, CONV2D, MAX_POOL2D, AVG_POOL2D)
