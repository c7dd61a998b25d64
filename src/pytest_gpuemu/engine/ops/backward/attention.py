"""The gradients of scaled dot product attention, causal and with grouped heads."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.ops.attention import (
    FINITE,
    GROUPED_WHERE_ASKED,
    PARAMS,
    SIZES,
    attention_scores,
    attention_weights,
    per_query_head,
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
