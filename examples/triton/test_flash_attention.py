"""Flash attention against the built-in op: causal or not, unequal lengths, grouped heads."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", minversion="2.1")
pytest.importorskip("triton", minversion="3.0")

from device import DEVICE, DTYPES, GPU
from flash_attention import flash_attention

SMALL = {"B": [1, 2], "H": [1, 2], "S": [1, 2, 31, 33, 40], "T": [1, 7, 32, 33, 70], "D": [8, 16, 20]}


@pytest.mark.gpuemu_op(
    "scaled_dot_product_attention",
    library="torch",
    dtypes=DTYPES,
    params={"is_causal": [False, True]},
    dims={**({} if GPU else SMALL), "G": [1, 2]},
)
def test_flash_attention(fuzz_case):
    case = fuzz_case.to("torch", DEVICE)
    case.check(flash_attention(**case.inputs, is_causal=case.params["is_causal"]))
