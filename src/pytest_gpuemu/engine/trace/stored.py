"""What a forward kernel keeps for the backward one: an output in its storage dtype.

Here: the mark that a reference of a gradient puts on it. Elsewhere: the dtype's rounding (arithmetic.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_gpuemu.engine.trace.traced import Traced


def stored(x: Any) -> Any:
    """x itself; while traced, with what it loses when it is written in the storage dtype and read again.

    The exact y is what a gradient is judged by, but softmax's backward kernel gets the forward kernel's
    output, which in float16 is off by half an ulp. Beyond the dtype's range it is undetermined.
    """
    if not isinstance(x, Traced):
        return x
    form = x.run.arithmetic
    if not form.stored_unit:
        return x
    size = np.where(np.isfinite(x.value), np.abs(x.value), 0.0)
    error = np.asarray(x.error + size * form.stored_unit + form.stored_tiny * (size > 0))
    return Traced(x.run, x.value, np.where(size + error > form.stored_largest, np.inf, error))
