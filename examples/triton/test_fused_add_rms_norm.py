"""An op of one's own: the marker holds its reference and its schema; the tolerance is derived.

The kernel writes into outputs that gpuemu hands out: poisoned, inside guard bands, in several layouts.
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", minversion="2.1")
pytest.importorskip("triton", minversion="3.0")

import numpy as np
from device import DEVICE, DTYPES, GPU
from fused_add_rms_norm import fused_add_rms_norm


def reference(x, residual, weight, eps):
    """Called with float64 arrays of the exact inputs; returns the outputs in the schema's order."""
    summed = x + residual
    return summed, summed / np.sqrt(np.mean(summed * summed, axis=-1, keepdims=True) + eps) * weight


@pytest.mark.gpuemu_op(
    "fused_add_rms_norm",
    reference=reference,
    schema="x[rows,cols], residual[rows,cols], weight[cols] -> summed[rows,cols], normed[rows,cols]",
    outputs={
        "summed": {"layouts": ["contiguous", "strided"]},
        "normed": {"layouts": ["contiguous", "transposed"]},
    },
    params={"eps": [1e-6, 1e-3]},
    library="torch",
    dtypes=DTYPES,
    dims=None if GPU else {"rows": (1, 8), "cols": (1, 300)},
)
def test_fused_add_rms_norm(fuzz_case):
    case = fuzz_case.to("torch", DEVICE)
    fused_add_rms_norm(**case.inputs, **case.outputs, **case.params)
    case.check()
