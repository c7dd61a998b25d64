"""Leaky ReLU: one thread an element, in as many blocks as that takes."""

from __future__ import annotations

import numpy as np
from numba import cuda

THREADS = 8


@cuda.jit
def leaky_relu_kernel(x, out, negative_slope):
    at = cuda.grid(1)
    if at < x.size:
        row, col = at // x.shape[1], at % x.shape[1]
        value = x[row, col]
        out[row, col] = value if value > 0 else value * negative_slope


def leaky_relu(x: np.ndarray, out: np.ndarray, negative_slope: float) -> None:
    """Write into out, which has the shape of x [rows, cols]; both float32, in C or Fortran order."""
    blocks = (x.size + THREADS - 1) // THREADS
    leaky_relu_kernel[blocks, THREADS](x, out, np.float32(negative_slope))
