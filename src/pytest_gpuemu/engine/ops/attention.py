"""Scaled dot product attention, plain, causal and with grouped heads, and rotary embedding.

Here: the references and the records. Elsewhere: attention's backward op (backward/).
A query row that sees no key is 0 to some kernels and NaN to others, as in torch's own backends, so
attention has two references, and the better one counts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import FINITE_VALUES, Array, Float64Array

ALIGNMENTS = ("top_left", "bottom_right")
# Whether a NaN or an infinity at a masked key reaches the output is left open: 0 * NaN is NaN where
# the whole row is multiplied, and nothing where a kernel skips the block. An infinite query has no meaning:
# its scores are infinities of both signs, and torch's own backends disagree on what follows.
FINITE = {"values": FINITE_VALUES}
SIZES: dict[str, Any] = {
    "B": [1, 2],
    "H": [1, 2, 3],
    "G": [1],
    "S": (1, 300),
    "T": (1, 300),
    "D": [16, 32, 64, 128],
}
PARAMS = {"is_causal": False, "scale": None, "enable_gqa": False, "causal_align": "top_left"}
GROUPED = {"H": [1, 2], "G": [1, 2, 3, 4, 8]}
GROUPED_WHERE_ASKED = {"enable_gqa": {True: GROUPED}}
SCHEMA = "query[B,H*G,S,D], key[B,H,T,D], value[B,H,T,D] -> [B,H*G,S,D]"


def causal_mask(queries: int, keys: int, causal_align: str) -> Array:
    """[queries, keys], true where a query sees a key.

    top_left lets query i see keys 0..i, as torch's is_causal; bottom_right lets the last query see
    all keys, as flash-attention and decoding with a cache do. Raises ValueError for another name.
    """
    if causal_align not in ALIGNMENTS:
        raise ValueError(f"causal_align = {causal_align!r} is none of {', '.join(ALIGNMENTS)}")
    offset = keys - queries if causal_align == "bottom_right" else 0
    return np.arange(keys)[None, :] <= np.arange(queries)[:, None] + offset


def per_query_head(x: Float64Array, query: Float64Array) -> Float64Array:
    """Keys or values repeated so that query heads h*G .. h*G + G-1 get head h; x where G is 1.

    Raises ValueError where the query heads are no multiple of those of x.
    """
    if query.ndim < 3 or x.ndim < 3 or query.shape[-3] == x.shape[-3]:
        return x
    groups, rest = divmod(query.shape[-3], x.shape[-3])
    if rest:
        raise ValueError(
            f"{query.shape[-3]} query heads are no multiple of {x.shape[-3]} key and value heads"
        )
    return np.repeat(x, groups, axis=-3)


def attention_scores(
    query: Float64Array, key: Float64Array, *, is_causal: bool, scale: float | None, causal_align: str
) -> Float64Array:
    """query @ key.T * scale, -inf where causally masked; scale None is 1/sqrt of the head dim."""
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = np.matmul(query, np.swapaxes(key, -1, -2)) * factor
    if not is_causal:
        return scores
    return np.where(causal_mask(query.shape[-2], key.shape[-2], causal_align), scores, -np.inf)


def attention_weights(scores: Float64Array) -> Float64Array:
    """softmax over the keys, 0 throughout a row that sees no key."""
    if scores.shape[-1] == 0:
        return scores
    largest = scores.max(axis=-1, keepdims=True)
    exponentials = np.exp(scores - np.where(largest == -np.inf, 0.0, largest))
    total = exponentials.sum(axis=-1, keepdims=True)
    return exponentials / np.where(total == 0, 1.0, total)


def scaled_dot_product_attention(
    query: Float64Array,
    key: Float64Array,
    value: Float64Array,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_align: str = "top_left",
) -> Float64Array:
    """softmax(query @ key.T * scale) @ value; 0 in a row that sees no key.

    Fewer key and value heads than query heads are shared by groups of these, whatever enable_gqa says.
    """
    key, value = per_query_head(key, query), per_query_head(value, query)
    scores = attention_scores(query, key, is_causal=is_causal, scale=scale, causal_align=causal_align)
    return np.matmul(attention_weights(scores), value)


def attention_with_nan_rows(
    query: Float64Array,
    key: Float64Array,
    value: Float64Array,
    *,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    causal_align: str = "top_left",
) -> Float64Array:
    """scaled_dot_product_attention, with NaN in a row that sees no key: the softmax of -inf alone."""
    key, value = per_query_head(key, query), per_query_head(value, query)
    scores = attention_scores(query, key, is_causal=is_causal, scale=scale, causal_align=causal_align)
    if scores.shape[-1] == 0:
        return np.matmul(scores, value)
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.matmul(exponentials / exponentials.sum(axis=-1, keepdims=True), value)


REFERENCES = [scaled_dot_product_attention, attention_with_nan_rows]

SCALED_DOT_PRODUCT_ATTENTION = define_op(
    "scaled_dot_product_attention",
    reference=REFERENCES,
    schema=SCHEMA,
    inputs=dict.fromkeys(("query", "key", "value"), FINITE),
    dims=SIZES,
    params=PARAMS,
    param_dims=GROUPED_WHERE_ASKED,
    aliases=["attention", "sdpa", "flash_attention"],
    origin="built-in",
)

GROUPED_QUERY_ATTENTION = define_op(
    "grouped_query_attention",
    reference=REFERENCES,
    schema=SCHEMA,
    inputs=dict.fromkeys(("query", "key", "value"), FINITE),
    dims={**SIZES, **GROUPED},
    params={**PARAMS, "enable_gqa": True},
    aliases=["gqa"],
    origin="built-in",
)


def rope(
    input: Float64Array, cos: Float64Array, sin: Float64Array, *, interleaved: bool = False
) -> Float64Array:
    """Rotate pairs of the last dim by the angle of their position.

    input [B, H, S, 2*D], cos and sin [S, D]. A pair is (d, d + D), as GPT-NeoX and Llama have it, or
    (2d, 2d + 1) where interleaved, as GPT-J. Su et al., RoFormer, arXiv 2104.09864, eq. 34.
    """
    half = input.shape[-1] // 2
    if interleaved:
        one, two = input[..., 0::2], input[..., 1::2]
    else:
        one, two = input[..., :half], input[..., half:]
    rotated = one * cos - two * sin, two * cos + one * sin
    if interleaved:
        return np.stack(rotated, axis=-1).reshape(input.shape)
    return np.concatenate(rotated, axis=-1)


ROPE = define_op(
    "rope",
    reference=rope,
    schema="input[B,H,S,2*D], cos[S,D], sin[S,D] -> [B,H,S,2*D]",
    inputs={"cos": {"low": -1.0, "high": 1.0}, "sin": {"low": -1.0, "high": 1.0}},
    dims={"B": [1, 2], "H": [1, 2, 3], "S": (1, 300), "D": [4, 8, 16, 32, 64]},
    params={"interleaved": False},
    aliases=["rotary_embedding", "apply_rotary_pos_emb"],
    origin="built-in",
)

ATTENTION = (SCALED_DOT_PRODUCT_ATTENTION, GROUPED_QUERY_ATTENTION, ROPE)
