"""Softmax over the last dim in Pallas: a block of whole rows a program.

The last block of rows may stick out of the matrix; Pallas pads what it reads and drops what it
writes there.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

BLOCK_ROWS = 8
INTERPRET = jax.default_backend() == "cpu"


def softmax_kernel(x_ref, out_ref):
    x = x_ref[...].astype(jnp.float32)
    numerator = jnp.exp(x - jnp.max(x, axis=1, keepdims=True))
    out_ref[...] = (numerator / jnp.sum(numerator, axis=1, keepdims=True)).astype(out_ref.dtype)


@jax.jit
def softmax(input: jax.Array) -> jax.Array:
    """input [rows, cols]."""
    rows, cols = input.shape
    return pl.pallas_call(
        softmax_kernel,
        out_shape=jax.ShapeDtypeStruct((rows, cols), input.dtype),
        grid=(pl.cdiv(rows, BLOCK_ROWS),),
        in_specs=[pl.BlockSpec((BLOCK_ROWS, cols), lambda i: (i, 0))],
        out_specs=pl.BlockSpec((BLOCK_ROWS, cols), lambda i: (i, 0)),
        interpret=INTERPRET,
    )(input)
