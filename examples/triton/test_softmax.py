"""Triton's softmax against the built-in op."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", minversion="2.1")
pytest.importorskip("triton", minversion="3.0")

from device import DEVICE, DTYPES, GPU
from softmax import softmax


@pytest.mark.gpuemu_op(
    "softmax",
    library="torch",
    dtypes=DTYPES,
    dims=None if GPU else {"rows": (1, 12), "cols": (1, 600)},
)
def test_softmax(fuzz_case):
    case = fuzz_case.to("torch", DEVICE)
    case.check(softmax(case.inputs["input"]))
