"""Kernels with two bugs: minimizing a case that shows the first ends in a case that shows the first."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from broken_kernels import double, double_op, failing_seed, failure_of, minimized, row_sum, row_sum_op

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.minimize.attempts import elements


def row_max(x, *, fills_with_zero=False, ignores_nan=False):
    """Blocks of 32 columns; padding holds -inf, and a NaN wins."""
    best = np.full(x.shape[0], -np.inf)
    for start in range(0, x.shape[1], 32):
        tile = np.full((x.shape[0], 32), 0.0 if fills_with_zero else -np.inf)
        block = x[:, start : start + 32]
        tile[:, : block.shape[1]] = block
        if ignores_nan:
            tile = np.where(np.isnan(tile), 0.0, tile)
        best = np.maximum(best, tile.max(axis=1))
    return best.astype(x.dtype)


def product(a, b, *, is_transposed=False, drops_last=False):
    """Columns of a, eight at a time."""
    k = a.shape[1] // 8 * 8 if drops_last and a.shape[1] < 8 else a.shape[1]
    c = a[:, :k].astype(np.float64) @ b[:k].astype(np.float64)
    return (c.T.reshape(c.shape) if is_transposed else c).astype(a.dtype)


def doubled(x, *, assumes_contiguous=False, skips_first=False):
    """skips_first: the first element of one row alone."""
    y = double(x)
    if assumes_contiguous and not x.flags.c_contiguous:
        y = y + x.dtype.type(1)
    if skips_first and x.shape[0] == 1:
        y[0, 0] = 0
    return y


def summed(x, *, in_float16=False, drops_block=False):
    """drops_block: the last block of 32, where it is not full."""
    if drops_block:
        x = x[:, : x.shape[1] // 32 * 32]
    return x.astype(np.float16).sum(axis=1, dtype=np.float16).astype(x.dtype) if in_float16 else row_sum(x)


def scaled(x, *, in_wide_types=False, adds_one=False):
    """in_wide_types: the input's dtype counts; adds_one only to few columns."""
    y = double(x)
    if in_wide_types and x.dtype == np.float16:
        y = y * np.float16(0.99)
    return y + x.dtype.type(1) if adds_one and x.shape[1] < 6 and x.dtype == np.float32 else y


ROW_MAX = partial(
    define_op,
    "row_max",
    reference=lambda x: x.max(axis=-1),
    schema="x[rows,cols] -> [rows]",
    dtypes=["float32"],
)
PRODUCT = define_op(
    "product",
    reference=lambda a, b: a @ b,
    schema="a[M,K], b[K,N] -> [M,N]",
    dtypes=["float32"],
    max_bytes=2**14,
)

PAIRS = {
    "a padding of zeros, not a NaN that is ignored": (
        ROW_MAX(values=["one_signed", "nonfinite"]),
        row_max,
        "fills_with_zero",
        "ignores_nan",
    ),
    "a NaN that is ignored, not a padding of zeros": (
        ROW_MAX(values=["uniform", "nonfinite"]),
        row_max,
        "ignores_nan",
        "fills_with_zero",
    ),
    "a transposed output, not columns that are dropped": (PRODUCT, product, "is_transposed", "drops_last"),
    "strides that are ignored, not an element that is skipped": (
        double_op(layouts=["contiguous", "strided", "transposed"], dtypes=["float32"], values=["normal"]),
        doubled,
        "assumes_contiguous",
        "skips_first",
    ),
    "a sum in float16, not a block that is dropped": (
        row_sum_op(dtypes=["float32"], values=["normal"]),
        summed,
        "in_float16",
        "drops_block",
    ),
    "a factor of one dtype, not a wrong offset of another": (
        double_op(values=["uniform"]),
        scaled,
        "in_wide_types",
        "adds_one",
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_it_is_still_the_first_bug_that_fails(pair):
    op, kernel, first, second = PAIRS[pair]
    both = partial(kernel, **{first: True, second: True})
    only_first, only_second = partial(kernel, **{first: True}), partial(kernel, **{second: True})

    def shows_the_first(plan):
        return elements(plan) > 64 and not failure_of(op, only_second, plan.case_id)

    seed = failing_seed(op, both, shows_the_first)

    found = minimized(op, both, seed, max_cases=200)

    assert failure_of(op, only_first, found.case_id) is not None
    assert elements(found.plan) < elements(found.original) / 2
