"""Numba's matrix product against the built-in op."""

from __future__ import annotations

import pytest

pytest.importorskip("numba", minversion="0.59")

from numba_matmul import matmul


@pytest.mark.gpuemu_op(
    "matmul",
    dtypes=["float32"],
    # Numba copies whole arrays to a device, so it takes no array with gaps.
    layouts=["contiguous", "transposed"],
    # The simulator runs each thread as a Python thread, so the sizes are small.
    dims={"M": (1, 6), "N": (1, 6), "K": (1, 9)},
)
def test_matmul(fuzz_case):
    matmul(fuzz_case.inputs["input"], fuzz_case.inputs["other"], fuzz_case.outputs["output"])
    fuzz_case.check()
