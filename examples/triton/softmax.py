"""Softmax over the last dim of a matrix: one program a row, the row held in one block."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(
    x_ptr, out_ptr, n_cols, x_row_stride, x_col_stride, out_row_stride, out_col_stride, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    cols = tl.arange(0, BLOCK).to(tl.int64)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * x_row_stride + cols * x_col_stride, mask=mask, other=-float("inf"))
    x = x.to(tl.float32)
    numerator = tl.exp(x - tl.max(x, axis=0))
    out = numerator / tl.sum(numerator, axis=0)
    tl.store(
        out_ptr + row * out_row_stride + cols * out_col_stride, out.to(out_ptr.dtype.element_ty), mask=mask
    )


def softmax(input: torch.Tensor) -> torch.Tensor:
    """input [rows, cols], in any strides."""
    rows, cols = input.shape
    out = torch.empty((rows, cols), dtype=input.dtype, device=input.device)
    softmax_kernel[(rows,)](
        input, out, cols, *input.stride(), *out.stride(), BLOCK=triton.next_power_of_2(cols)
    )
    return out
