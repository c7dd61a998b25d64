"""Triton's SwiGLU against the built-in op, written into memory that gpuemu hands out and guards."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", minversion="2.1")
pytest.importorskip("triton", minversion="3.0")

from device import DEVICE, DTYPES, GPU
from swiglu import swiglu


@pytest.mark.gpuemu_op(
    "swiglu",
    library="torch",
    dtypes=DTYPES,
    dims=None if GPU else {"rows": (1, 30), "cols": (1, 100)},
)
def test_swiglu(fuzz_case):
    case = fuzz_case.to("torch", DEVICE)
    swiglu(**case.inputs, out=case.outputs["output"])
    case.check()
