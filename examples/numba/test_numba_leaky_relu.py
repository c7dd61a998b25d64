"""Numba's leaky ReLU against the built-in op, with a slope that the seed chooses."""

from __future__ import annotations

import pytest

pytest.importorskip("numba", minversion="0.59")

from numba_leaky_relu import leaky_relu


@pytest.mark.gpuemu_op(
    "leaky_relu",
    dtypes=["float32"],
    params={"negative_slope": [0.01, 0.2]},
    # Numba copies whole arrays to a device, so it takes no array with gaps.
    layouts=["contiguous", "transposed"],
    # The simulator runs each thread as a Python thread, so the sizes are small.
    dims={"rows": (1, 5), "cols": (1, 9)},
)
def test_leaky_relu(fuzz_case):
    leaky_relu(fuzz_case.inputs["input"], fuzz_case.outputs["output"], fuzz_case.params["negative_slope"])
    fuzz_case.check()
