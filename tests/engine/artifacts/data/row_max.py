import triton
import triton.language as tl


@triton.jit
def row_max(x, y, n, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    at = tl.arange(0, BLOCK)
    value = tl.load(x + row * n + at, mask=at < n, other=-float("inf"))
    tl.store(y + row, tl.max(value, 0))
