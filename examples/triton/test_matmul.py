"""Triton's matrix product against the built-in op."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", minversion="2.1")
pytest.importorskip("triton", minversion="3.0")

from device import DEVICE, DTYPES, GPU
from matmul import matmul


@pytest.mark.gpuemu_op(
    "matmul",
    library="torch",
    dtypes=DTYPES,
    dims=None
    if GPU
    else {"M": [1, 5, 31, 32, 33, 48], "N": [1, 7, 32, 33, 40], "K": [1, 3, 31, 32, 33, 64, 80]},
)
def test_matmul(fuzz_case):
    case = fuzz_case.to("torch", DEVICE)
    case.check(matmul(case.inputs["input"], case.inputs["other"]))
