"""SwiGLU, silu(gate) * up, fused: flat blocks over the elements of the output."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def swiglu_kernel(
    gate_ptr,
    up_ptr,
    out_ptr,
    n_elements,
    n_cols,
    gate_row_stride,
    gate_col_stride,
    up_row_stride,
    up_col_stride,
    out_row_stride,
    out_col_stride,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n_elements
    row, col = at // n_cols, at % n_cols
    gate = tl.load(gate_ptr + row * gate_row_stride + col * gate_col_stride, mask=mask).to(tl.float32)
    up = tl.load(up_ptr + row * up_row_stride + col * up_col_stride, mask=mask).to(tl.float32)
    out = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(
        out_ptr + row * out_row_stride + col * out_col_stride, out.to(out_ptr.dtype.element_ty), mask=mask
    )


def swiglu(gate: torch.Tensor, up: torch.Tensor, out: torch.Tensor) -> None:
    """Write silu(gate) * up into out; all three [rows, cols], in any strides."""
    BLOCK = 256
    swiglu_kernel[(triton.cdiv(out.numel(), BLOCK),)](
        gate,
        up,
        out,
        out.numel(),
        out.shape[1],
        *gate.stride(),
        *up.stride(),
        *out.stride(),
        BLOCK=BLOCK,
    )
