"""A Triton kernel with tl.dot, whose PTX differs most between architectures."""

import triton
import triton.language as tl


@triton.jit
def matmul(
    a, b, c, depth, a_row, b_row, c_row, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, P: tl.constexpr
):
    rows = tl.program_id(0) * M + tl.arange(0, M)
    columns = tl.program_id(1) * N + tl.arange(0, N)
    at = tl.arange(0, K)
    total = tl.zeros((M, N), tl.float32)
    for start in range(0, depth, K):
        left = tl.load(a + rows[:, None] * a_row + (start + at)[None, :])
        right = tl.load(b + (start + at)[:, None] * b_row + columns[None, :])
        total = tl.dot(left, right, total, input_precision=P)
    tl.store(c + rows[:, None] * c_row + columns[None, :], total)
