"""Functions that are written out of others, as stable two-pass formulas.

Here: softmax, log_softmax, logsumexp of SciPy. Elsewhere: torch's functions (torch_trace.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_gpuemu.engine.trace.traced import Traced


def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x - max x), divided by its sum."""
    numerator = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return numerator / np.sum(numerator, axis=axis, keepdims=True)


def _finite_shift(x: Any, axis: Any) -> Any:
    """max x, or 0 where that is infinite: a wholly masked row has log 0 = -inf and no NaN."""
    shift = np.max(x, axis=axis, keepdims=True)
    return np.where(np.isfinite(shift), shift, 0.0)


def logsumexp(
    x: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """max x + log sum b exp(x - max x)."""
    if return_sign:
        raise TypeError("logsumexp with return_sign is not traced")
    shift = _finite_shift(x, axis)
    terms = np.exp(x - shift)
    if b is not None:
        terms = b * terms
    total = np.log(np.sum(terms, axis=axis, keepdims=True)) + shift
    if keepdims:
        return total
    axes = tuple(range(x.ndim)) if axis is None else axis
    return np.squeeze(total, axis=axes)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """x - logsumexp(x): the loosest form in common use."""
    return x - logsumexp(x, axis=axis, keepdims=True)


SCIPY_SPECIAL = {"softmax": softmax, "log_softmax": log_softmax, "logsumexp": logsumexp}


def holds_traced(x: Any) -> bool:
    """Whether x is traced, or a nested list with a traced array in it."""
    if isinstance(x, Traced):
        return True
    return isinstance(x, (list, tuple)) and any(holds_traced(item) for item in x)
