"""Where there is no GPU, Triton's interpreter runs these kernels on CPU tensors.

Triton reads the variable when a kernel is defined, so it is set here, before any kernel is imported.
"""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest

if importlib.util.find_spec("torch") is not None:
    import torch

    if not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture(autouse=True)
def without_floating_point_warnings():
    """Infinities and NaN are among the values; NumPy, which interprets the kernel, warns of them."""
    with np.errstate(all="ignore"):
        yield
