"""CuPy's RMS norm against the built-in op; skipped where there is no GPU."""

from __future__ import annotations

import pytest

cupy = pytest.importorskip("cupy", minversion="12.0")
if not cupy.is_available():
    pytest.skip("CuPy finds no GPU", allow_module_level=True)

from cupy_rms_norm import rms_norm  # noqa: E402


@pytest.mark.gpu
@pytest.mark.gpuemu_op("rms_norm", library="cupy", dtypes=["float32"], params={"eps": [1e-6, 1e-3]})
def test_rms_norm(fuzz_case):
    rms_norm(**fuzz_case.inputs, out=fuzz_case.outputs["output"], eps=fuzz_case.params["eps"])
    fuzz_case.check()
