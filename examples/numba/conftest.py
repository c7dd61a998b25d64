"""Where there is no GPU, Numba's simulator runs these kernels: each thread is a Python thread.

Numba reads the variable when it is imported.
"""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")


@pytest.fixture(autouse=True)
def without_floating_point_warnings():
    """Infinities and NaN are among the values; NumPy, which interprets the kernel, warns of them."""
    with np.errstate(all="ignore"):
        yield
