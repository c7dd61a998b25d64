"""Matrix product in Pallas: a tile of the output a program, K in blocks, a float32 accumulator.

What a block reads beyond the matrix is undefined, so the tail of K is masked in both operands.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl

BLOCK_M, BLOCK_N, BLOCK_K = 16, 16, 16
INTERPRET = jax.default_backend() == "cpu"


def matmul_kernel(a_ref, b_ref, c_ref, acc_ref, *, K):
    step = pl.program_id(2)

    @pl.when(step == 0)
    def _():
        acc_ref[...] = jnp.zeros_like(acc_ref)

    inner = step * BLOCK_K + jnp.arange(BLOCK_K)
    a = jnp.where(inner[None, :] < K, a_ref[...], 0)
    b = jnp.where(inner[:, None] < K, b_ref[...], 0)
    acc_ref[...] += jnp.dot(a, b, preferred_element_type=jnp.float32, precision=jax.lax.Precision.HIGHEST)

    @pl.when(step == pl.num_programs(2) - 1)
    def _():
        c_ref[...] = acc_ref[...].astype(c_ref.dtype)


@jax.jit
def matmul(a: jax.Array, b: jax.Array) -> jax.Array:
    """a [M, K] times b [K, N]."""
    (M, K), N = a.shape, b.shape[1]
    c, _ = pl.pallas_call(
        functools.partial(matmul_kernel, K=K),
        out_shape=[
            jax.ShapeDtypeStruct((M, N), a.dtype),
            jax.ShapeDtypeStruct((pl.cdiv(M, BLOCK_M) * BLOCK_M, pl.cdiv(N, BLOCK_N) * BLOCK_N), jnp.float32),
        ],
        grid=(pl.cdiv(M, BLOCK_M), pl.cdiv(N, BLOCK_N), pl.cdiv(K, BLOCK_K)),
        in_specs=[
            pl.BlockSpec((BLOCK_M, BLOCK_K), lambda i, j, k: (i, k)),
            pl.BlockSpec((BLOCK_K, BLOCK_N), lambda i, j, k: (k, j)),
        ],
        out_specs=[
            pl.BlockSpec((BLOCK_M, BLOCK_N), lambda i, j, k: (i, j)),
            pl.BlockSpec((BLOCK_M, BLOCK_N), lambda i, j, k: (i, j)),
        ],
        interpret=INTERPRET,
    )(a, b)
    return c
