"""Triton's layer norm against the built-in op, with an eps that the seed chooses."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", minversion="2.1")
pytest.importorskip("triton", minversion="3.0")

from device import DEVICE, DTYPES, GPU
from layer_norm import layer_norm


@pytest.mark.gpuemu_op(
    "layer_norm",
    library="torch",
    dtypes=DTYPES,
    params={"eps": [1e-5, 1e-3]},
    dims=None if GPU else {"rows": (1, 6), "cols": [1, 2, 17, 100, 127, 128, 129, 300]},
)
def test_layer_norm(fuzz_case):
    case = fuzz_case.to("torch", DEVICE)
    case.check(layer_norm(**case.inputs, eps=case.params["eps"]))
