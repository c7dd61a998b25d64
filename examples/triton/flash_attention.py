"""Flash attention: one program a block of queries of one head, keys in blocks, online softmax.

Grouped heads: several query heads share a key head. `is_causal` lets query i see the keys 0 … i,
whatever the two lengths are, as torch's scaled_dot_product_attention does.
"""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl


@triton.jit
def flash_attention_kernel(
    q_ptr,
    k_ptr,
    v_ptr,
    out_ptr,
    scale,
    n_heads,
    heads_per_key_head,
    n_queries,
    n_keys,
    q_batch_stride,
    q_head_stride,
    q_row_stride,
    q_col_stride,
    k_batch_stride,
    k_head_stride,
    k_row_stride,
    k_col_stride,
    v_batch_stride,
    v_head_stride,
    v_row_stride,
    v_col_stride,
    out_batch_stride,
    out_head_stride,
    out_row_stride,
    out_col_stride,
    HEAD_DIM: tl.constexpr,
    IS_CAUSAL: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    batch = (tl.program_id(1) // n_heads).to(tl.int64)
    head = (tl.program_id(1) % n_heads).to(tl.int64)
    key_head = head // heads_per_key_head
    q_ptr += batch * q_batch_stride + head * q_head_stride
    k_ptr += batch * k_batch_stride + key_head * k_head_stride
    v_ptr += batch * v_batch_stride + key_head * v_head_stride
    out_ptr += batch * out_batch_stride + head * out_head_stride

    queries = (tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)).to(tl.int64)
    dims = tl.arange(0, BLOCK_D).to(tl.int64)
    q = tl.load(
        q_ptr + queries[:, None] * q_row_stride + dims[None, :] * q_col_stride,
        mask=(queries[:, None] < n_queries) & (dims[None, :] < HEAD_DIM),
        other=0.0,
    )

    row_max = tl.full([BLOCK_M], -float("inf"), dtype=tl.float32)
    row_sum = tl.zeros([BLOCK_M], dtype=tl.float32)
    acc = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    for start in range(0, n_keys, BLOCK_N):
        keys = (start + tl.arange(0, BLOCK_N)).to(tl.int64)
        k = tl.load(
            k_ptr + keys[None, :] * k_row_stride + dims[:, None] * k_col_stride,
            mask=(keys[None, :] < n_keys) & (dims[:, None] < HEAD_DIM),
            other=0.0,
        )
        v = tl.load(
            v_ptr + keys[:, None] * v_row_stride + dims[None, :] * v_col_stride,
            mask=(keys[:, None] < n_keys) & (dims[None, :] < HEAD_DIM),
            other=0.0,
        )
        scores = tl.dot(q, k, input_precision="ieee") * scale
        visible = keys[None, :] < n_keys
        if IS_CAUSAL:
            visible = visible & (keys[None, :] <= queries[:, None])
        scores = tl.where(visible, scores, -float("inf"))

        new_max = tl.maximum(row_max, tl.max(scores, axis=1))
        # A row without a visible key so far has the maximum -inf, and -inf - (-inf) would be NaN.
        shift = tl.where(new_max == -float("inf"), 0.0, new_max)
        rescale = tl.exp(row_max - shift)
        p = tl.exp(scores - shift[:, None])
        row_sum = row_sum * rescale + tl.sum(p, axis=1)
        acc = acc * rescale[:, None]
        # Tensor cores take p in the type of v; the sum above keeps it in float32.
        acc += tl.dot(p.to(v.dtype), v, input_precision="ieee")
        row_max = new_max

    out = acc / row_sum[:, None]
    tl.store(
        out_ptr + queries[:, None] * out_row_stride + dims[None, :] * out_col_stride,
        out.to(out_ptr.dtype.element_ty),
        mask=(queries[:, None] < n_queries) & (dims[None, :] < HEAD_DIM),
    )


def flash_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, is_causal: bool = False
) -> torch.Tensor:
    """query [B, H, S, D], key and value [B, H_kv, T, D] with H a multiple of H_kv, in any strides."""
    B, H, S, D = query.shape
    H_kv, T = key.shape[1:3]
    out = torch.empty((B, H, S, D), dtype=query.dtype, device=query.device)
    BLOCK_M, BLOCK_N = 32, 32
    flash_attention_kernel[(triton.cdiv(S, BLOCK_M), B * H)](
        query,
        key,
        value,
        out,
        1.0 / math.sqrt(D),
        H,
        H // H_kv,
        S,
        T,
        *query.stride(),
        *key.stride(),
        *value.stride(),
        *out.stride(),
        HEAD_DIM=D,
        IS_CAUSAL=is_causal,
        BLOCK_M=BLOCK_M,
        BLOCK_N=BLOCK_N,
        # tl.dot takes no side shorter than 16.
        BLOCK_D=max(16, triton.next_power_of_2(D)),
    )
    return out
