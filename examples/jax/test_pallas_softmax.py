"""Pallas' softmax against the built-in op. JAX arrays have no strides, so none are drawn."""

from __future__ import annotations

import pytest

pytest.importorskip("jax", minversion="0.4.30")

from pallas_softmax import softmax


@pytest.mark.gpuemu_op(
    "softmax",
    library="jax",
    # Each new shape is compiled, in a third of a second; so there are few of them.
    dims={"rows": [1, 11], "cols": [1, 16, 33]},
)
def test_softmax(fuzz_case):
    fuzz_case.check(softmax(fuzz_case.inputs["input"]))
