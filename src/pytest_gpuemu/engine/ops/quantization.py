"""Quantization in groups along the last dim, to int8 and float8, and back.

Here: the references and the records. Elsewhere: rounding to float8, which the comparison knows (compare.py).
Inputs are finite: what a NaN or an infinity becomes in 8 bits is no part of the ops.
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.ops.attention import FINITE

INT8_MAX = 127.0
FLOAT8_MAX = 448.0  # of float8_e4m3fn
PARAMS = {"group_size": 128, "eps": 1e-10}
QUANTIZE = "input[rows,128*groups] -> output[rows,128*groups], scale[rows,groups]"
DEQUANTIZE = "input[rows,128*groups], scale[rows,groups] -> output[rows,128*groups]"


def grouped(input: Float64Array, group_size: int) -> Float64Array:
    """input [..., n*group_size] as [..., n, group_size]. Raises ValueError where it does not divide."""
    groups, rest = divmod(input.shape[-1], group_size)
    if rest:
        raise ValueError(f"group_size = {group_size} does not divide the last dim, {input.shape[-1]}")
    return input.reshape(*input.shape[:-1], groups, group_size)


def scaled(input: Float64Array, scale: Float64Array, largest: float) -> Float64Array:
    """input [..., n, group_size] over scale [..., n, 1], limited to ±largest, as [..., n*group_size]."""
    codes = np.minimum(np.maximum(input / scale, -largest), largest)
    return codes.reshape(*input.shape[:-2], input.shape[-2] * input.shape[-1])


def clamped_scale(input: Float64Array, eps: float, largest: float) -> Float64Array:
    """max(|x|, eps) / largest over each group: what vLLM and SGLang do."""
    return np.maximum(np.abs(input).max(axis=-1, keepdims=True), eps) / largest


def unit_scale(input: Float64Array, largest: float) -> Float64Array:
    """max(|x|) / largest over each group, and 1 for a group of zeros: what other kernels do."""
    most = np.abs(input).max(axis=-1, keepdims=True)
    return np.where(most == 0, 1.0, most / largest)


def quantize_int8(
    input: Float64Array, *, group_size: int = 128, eps: float = 1e-10
) -> tuple[Float64Array, Float64Array]:
    """rint(x / scale) with scale = max(|x|, eps) / 127 for each group."""
    groups = grouped(input, group_size)
    scale = clamped_scale(groups, eps, INT8_MAX)
    return np.rint(scaled(groups, scale, INT8_MAX)), scale[..., 0]


def quantize_int8_of_zeros(
    input: Float64Array, *, group_size: int = 128, eps: float = 1e-10
) -> tuple[Float64Array, Float64Array]:
    """quantize_int8 without eps: the scale of a group of zeros is 1."""
    groups = grouped(input, group_size)
    scale = unit_scale(groups, INT8_MAX)
    return np.rint(scaled(groups, scale, INT8_MAX)), scale[..., 0]


QUANTIZE_INT8 = define_op(
    "quantize_int8",
    reference=[quantize_int8, quantize_int8_of_zeros],
    schema=QUANTIZE,
    inputs={"input": FINITE},
    outputs={"output": {"dtype": "int8"}, "scale": {"dtype": "float32"}},
    dims={"groups": (1, 16)},
    params=PARAMS,
    aliases=["quantize", "per_token_group_quant_int8"],
    origin="built-in",
)


def quantize_fp8(
    input: Float64Array, *, group_size: int = 128, eps: float = 1e-10
) -> tuple[Float64Array, Float64Array]:
    """x / scale with scale = max(|x|, eps) / 448 for each group; the output's dtype does the rounding."""
    groups = grouped(input, group_size)
    scale = clamped_scale(groups, eps, FLOAT8_MAX)
    return scaled(groups, scale, FLOAT8_MAX), scale[..., 0]


def quantize_fp8_of_zeros(
    input: Float64Array, *, group_size: int = 128, eps: float = 1e-10
) -> tuple[Float64Array, Float64Array]:
    """quantize_fp8 without eps: the scale of a group of zeros is 1."""
    groups = grouped(input, group_size)
    scale = unit_scale(groups, FLOAT8_MAX)
    return scaled(groups, scale, FLOAT8_MAX), scale[..., 0]


QUANTIZE_FP8 = define_op(
    "quantize_fp8",
    reference=[quantize_fp8, quantize_fp8_of_zeros],
    schema=QUANTIZE,
    inputs={"input": FINITE},
    outputs={"output": {"dtype": "float8_e4m3fn"}, "scale": {"dtype": "float32"}},
    dims={"groups": (1, 16)},
    params=PARAMS,
    aliases=["per_token_group_quant_fp8"],
    origin="built-in",
)


def dequantize(input: Array, scale: Float64Array) -> Float64Array:
    """input times its group's scale; a group is as long as the shapes say."""
    size = input.shape[-1] // scale.shape[-1]
    return (grouped(input, size) * scale[..., None]).reshape(input.shape)


DEQUANTIZE_INT8 = define_op(
    "dequantize_int8",
    reference=dequantize,
    schema=DEQUANTIZE,
    inputs={"input": {"dtype": "int8"}},
    dims={"groups": (1, 16)},
    aliases=["dequantize"],
    origin="built-in",
)

DEQUANTIZE_FP8 = define_op(
    "dequantize_fp8",
    reference=dequantize,
    schema="scale[rows,groups], input[rows,128*groups] -> output[rows,128*groups]",
    inputs={"input": {"dtype": "float8_e4m3fn", **FINITE}},
    dims={"groups": (1, 16)},
    origin="built-in",
)

QUANTIZATION = (QUANTIZE_INT8, QUANTIZE_FP8, DEQUANTIZE_INT8, DEQUANTIZE_FP8)
