"""Pallas' matrix product against the built-in op. JAX arrays have no strides, so none are drawn."""

from __future__ import annotations

import pytest

pytest.importorskip("jax", minversion="0.4.30")

from pallas_matmul import matmul


@pytest.mark.gpuemu_op(
    "matmul",
    library="jax",
    # Each new shape is compiled, in a third of a second; so there are few of them.
    dims={"M": [1, 17], "N": [19], "K": [1, 16, 37]},
)
def test_matmul(fuzz_case):
    fuzz_case.check(matmul(fuzz_case.inputs["input"], fuzz_case.inputs["other"]))
