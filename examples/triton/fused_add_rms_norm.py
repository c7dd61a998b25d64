"""The residual sum and the RMS norm of it in one pass, as a transformer block needs them.

Two outputs: the sum, which the next block adds to, and its norm times a weight. Both come from the
float32 sum; a kernel that rounds the sum to the storage type first computes something else.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def fused_add_rms_norm_kernel(
    x_ptr,
    residual_ptr,
    weight_ptr,
    summed_ptr,
    normed_ptr,
    n_cols,
    eps,
    x_row_stride,
    x_col_stride,
    residual_row_stride,
    residual_col_stride,
    weight_stride,
    summed_row_stride,
    summed_col_stride,
    normed_row_stride,
    normed_col_stride,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK).to(tl.int64)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row_stride + cols * x_col_stride, mask=mask, other=0.0).to(tl.float32)
    residual = tl.load(
        residual_ptr + row * residual_row_stride + cols * residual_col_stride, mask=mask, other=0.0
    ).to(tl.float32)
    weight = tl.load(weight_ptr + cols * weight_stride, mask=mask, other=0.0).to(tl.float32)
    summed = x + residual
    inverse_rms = 1.0 / tl.sqrt(tl.sum(summed * summed, axis=0) / n_cols + eps)
    normed = summed * inverse_rms * weight
    tl.store(
        summed_ptr + row * summed_row_stride + cols * summed_col_stride,
        summed.to(summed_ptr.dtype.element_ty),
        mask=mask,
    )
    tl.store(
        normed_ptr + row * normed_row_stride + cols * normed_col_stride,
        normed.to(normed_ptr.dtype.element_ty),
        mask=mask,
    )


def fused_add_rms_norm(
    x: torch.Tensor,
    residual: torch.Tensor,
    weight: torch.Tensor,
    summed: torch.Tensor,
    normed: torch.Tensor,
    eps: float,
) -> None:
    """Write the sum and its norm into summed and normed; weight [cols], all others [rows, cols]."""
    rows, cols = x.shape
    fused_add_rms_norm_kernel[(rows,)](
        x,
        residual,
        weight,
        summed,
        normed,
        cols,
        eps,
        *x.stride(),
        *residual.stride(),
        *weight.stride(),
        *summed.stride(),
        *normed.stride(),
        BLOCK=triton.next_power_of_2(cols),
    )
