"""Matrix product by tiles in shared memory: one thread an element of the output, float32 inside."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32

TILE = 4


@cuda.jit
def matmul_kernel(a, b, c):
    a_tile = cuda.shared.array((TILE, TILE), float32)
    b_tile = cuda.shared.array((TILE, TILE), float32)
    row, col = cuda.grid(2)
    i, j = cuda.threadIdx.x, cuda.threadIdx.y
    M, K = a.shape
    N = b.shape[1]
    acc = float32(0.0)
    for tile in range((K + TILE - 1) // TILE):
        a_col = tile * TILE + j
        b_row = tile * TILE + i
        a_tile[i, j] = a[row, a_col] if row < M and a_col < K else float32(0.0)
        b_tile[i, j] = b[b_row, col] if b_row < K and col < N else float32(0.0)
        cuda.syncthreads()
        for k in range(TILE):
            acc += a_tile[i, k] * b_tile[k, j]
        cuda.syncthreads()
    if row < M and col < N:
        c[row, col] = acc


def matmul(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """Write a [M, K] times b [K, N] into c, all float32, in C or Fortran order."""
    grid = ((c.shape[0] + TILE - 1) // TILE, (c.shape[1] + TILE - 1) // TILE)
    matmul_kernel[grid, (TILE, TILE)](a, b, c)
