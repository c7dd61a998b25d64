"""logsumexp over the last dim of a matrix, as a GPU would: lanes over the columns, then a tree.

Plain NumPy, so that it runs everywhere: each lane keeps a running maximum and a sum for its own
columns, and the lanes are joined pairwise, like a block reduction in shared memory.
"""

from __future__ import annotations

import numpy as np

LANES = 32


def join(max_a, sum_a, max_b, sum_b):
    """The maximum and the sum of exponentials, relative to it, of two lanes together."""
    top = np.maximum(max_a, max_b)
    # A lane without a finite value has the maximum -inf, and -inf - (-inf) would be NaN.
    shift = np.where(np.isinf(top), np.float32(0), top)
    return top, sum_a * np.exp(max_a - shift) + sum_b * np.exp(max_b - shift)


def logsumexp(input: np.ndarray) -> np.ndarray:
    """input [rows, cols], in any strides; gives [rows]."""
    rows, cols = input.shape
    row_max = np.full((rows, LANES), -np.inf, dtype=np.float32)
    row_sum = np.zeros((rows, LANES), dtype=np.float32)
    for start in range(0, cols, LANES):
        x = input[:, start : start + LANES].astype(np.float32)
        n = x.shape[1]
        row_max[:, :n], row_sum[:, :n] = join(row_max[:, :n], row_sum[:, :n], x, np.float32(1))
    width = LANES
    while width > 1:
        width //= 2
        row_max[:, :width], row_sum[:, :width] = join(
            row_max[:, :width],
            row_sum[:, :width],
            row_max[:, width : 2 * width],
            row_sum[:, width : 2 * width],
        )
    return (np.log(row_sum[:, 0]) + row_max[:, 0]).astype(input.dtype)
