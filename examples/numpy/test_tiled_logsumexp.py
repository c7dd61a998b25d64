"""A kernel in plain NumPy against the built-in op: the shortest example, which needs no library."""

from __future__ import annotations

import numpy as np
import pytest
from tiled_logsumexp import logsumexp


@pytest.mark.gpuemu_op("logsumexp")
def test_logsumexp(fuzz_case):
    with np.errstate(all="ignore"):  # infinities are among the values
        fuzz_case.check(logsumexp(fuzz_case.inputs["input"]))
