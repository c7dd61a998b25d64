"""The statistics of errors do not depend on how they are taken apart."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.measure import BLOCK, blocks, error_stats

NONE = np.zeros(0, dtype=np.intp)


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1])
def test_blocks_cover_every_element_once(size):
    elements = np.zeros(size, dtype=int)
    for block in blocks(size):
        elements[block] += 1
    assert elements.tolist() == [1] * size


def test_more_than_a_block_is_measured_as_one():
    """The extremes lie in different blocks, and a half of the errors are 1, a tenth 3."""
    size = 2 * BLOCK
    error = np.ones(size)
    error[: size // 10] = 3.0
    error[size // 10 : size // 2] = 0.0
    error[-1] = 64.0
    reference = np.full(size, 4.0)
    reference[0] = 0.0

    stats = error_stats(error, reference, "float16", exceeding=5, undetermined=NONE)

    total = 3.0 * (size // 10) + (size - size // 2 - 1) + 64.0
    assert (stats.count, stats.num_exceeding) == (size, 5)
    assert (stats.max_abs, stats.mean_abs) == (64.0, total / size)
    assert (stats.p50_abs, stats.p90_abs, stats.p99_abs) == (1.0, 3.0, 3.0)
    assert (stats.max_rel, stats.mean_rel) == (16.0, (total - 3.0) / 4 / (size - 1))
    assert stats.max_ulp == 3.0 * 2.0**24  # of the element whose reference is 0


def test_no_error_at_all_is_all_zeros():
    stats = error_stats(np.zeros(3), np.ones(3), "float32", exceeding=0, undetermined=NONE)
    assert (stats.count, stats.max_abs, stats.max_ulp) == (3, 0.0, 0.0)


def test_errors_whose_sum_is_beyond_float64_have_an_infinite_mean():
    """Guards: math.fsum raised OverflowError out of the verdict on a kernel that gives garbage."""
    with np.errstate(all="ignore"):
        stats = error_stats(
            np.full(2 * BLOCK, 4e303), np.full(2 * BLOCK, 1e-4), "float32", exceeding=1, undetermined=NONE
        )
    assert stats.max_abs == 4e303
    assert stats.mean_abs == np.inf
