"""Layer norm over the last dim of a matrix: one program a row, the row read three times in blocks."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def layer_norm_kernel(
    x_ptr,
    weight_ptr,
    bias_ptr,
    out_ptr,
    n_cols,
    eps,
    x_row_stride,
    x_col_stride,
    weight_stride,
    bias_stride,
    out_row_stride,
    out_col_stride,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    x_ptr += row * x_row_stride
    out_ptr += row * out_row_stride

    total = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, n_cols, BLOCK):
        cols = (start + tl.arange(0, BLOCK)).to(tl.int64)
        x = tl.load(x_ptr + cols * x_col_stride, mask=cols < n_cols, other=0.0).to(tl.float32)
        total += x
    mean = tl.sum(total, axis=0) / n_cols

    # The variance takes a pass of its own: E[x^2] - E[x]^2 cancels where the mean is large.
    squares = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, n_cols, BLOCK):
        cols = (start + tl.arange(0, BLOCK)).to(tl.int64)
        x = tl.load(x_ptr + cols * x_col_stride, mask=cols < n_cols, other=0.0).to(tl.float32)
        centered = tl.where(cols < n_cols, x - mean, 0.0)
        squares += centered * centered
    variance = tl.sum(squares, axis=0) / n_cols
    inverse_std = 1.0 / tl.sqrt(variance + eps)

    for start in range(0, n_cols, BLOCK):
        cols = (start + tl.arange(0, BLOCK)).to(tl.int64)
        mask = cols < n_cols
        x = tl.load(x_ptr + cols * x_col_stride, mask=mask, other=0.0).to(tl.float32)
        weight = tl.load(weight_ptr + cols * weight_stride, mask=mask, other=0.0).to(tl.float32)
        bias = tl.load(bias_ptr + cols * bias_stride, mask=mask, other=0.0).to(tl.float32)
        out = (x - mean) * inverse_std * weight + bias
        tl.store(out_ptr + cols * out_col_stride, out.to(out_ptr.dtype.element_ty), mask=mask)


def layer_norm(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float = 1e-5
) -> torch.Tensor:
    """input [rows, cols], weight [cols] and bias [cols], in any strides."""
    rows, cols = input.shape
    out = torch.empty((rows, cols), dtype=input.dtype, device=input.device)
    layer_norm_kernel[(rows,)](
        input,
        weight,
        bias,
        out,
        cols,
        eps,
        *input.stride(),
        *weight.stride(),
        *bias.stride(),
        *out.stride(),
        BLOCK=min(triton.next_power_of_2(cols), 128),
    )
    return out
