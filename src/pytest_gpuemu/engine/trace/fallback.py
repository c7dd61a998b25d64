"""The bound where a reference hides its arithmetic from the trace.

Here: an estimate from plain runs. Elsewhere: those runs with moved inputs (engine/spread.py).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from pytest_gpuemu.engine.arrays import from_numpy
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.dtypes import is_floating
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Array, Float64Array, Reference
from pytest_gpuemu.engine.references import call_by_name, evaluate, optional_params, wants_torch
from pytest_gpuemu.engine.spread import spread
from pytest_gpuemu.engine.trace.rounding import difference
from pytest_gpuemu.engine.user_code import call

# Measured on 31 000 correct runs: 100 leaves 0.29 % false alarms, on ordinary values.
FACTOR = 100.0
# Fewer than the spread's own, since a reference that is too slow to trace comes here.
DRAWS = 4


def bound(
    reference: Reference, case: Case, *, compute: str, unit: float, wide: float = 0.0
) -> tuple[dict[str, Array], dict[str, Float64Array]]:
    """100 (S + u max|out|), with S the larger of spread and a float32 run's error, each row's largest.

    A row is the last axis. wide is the unit roundoff w of what the compute type allows besides, TF32's or the
    storage dtype's: S' + w max|out| more, with S' the larger of the spread by w and, under "storage", of the
    error of a run in that dtype. It has no factor: of products of TF32 operands, and of eight kernels that
    round every step to float16 or bfloat16, none but a gelu in rows where 1 + erf cancels went beyond it.
    An integer or bool element that no run changes is exact, one that some run changes undetermined, and so
    is one whose row has an undetermined spread of its own.
    Raises ReferenceFailed where the reference does not run.
    """
    values = evaluate(case.op, reference, case)
    moved = spread(reference, case, compute=compute, draws=DRAWS)
    single = _run_in(np.float32, reference, case) if unit > 2.0**-50 else {}
    further = spread(reference, case, compute=compute, draws=DRAWS, unit=wide) if wide else {}
    stored = _run_in(None, reference, case) if wide and compute == "storage" else {}
    errors: dict[str, Float64Array] = {}
    with np.errstate(all="ignore"):
        for name, value in values.items():
            seen = moved[name]
            if name in single and single[name].shape == value.shape:
                seen = np.maximum(seen, difference(single[name], value))
            if value.dtype.kind in "iub":
                errors[name] = np.where(seen > 0, np.inf, 0.0)
                continue
            errors[name] = _row_bound(value, seen, unit, FACTOR)
            if wide:
                beyond = further[name]
                if name in stored and stored[name].shape == value.shape:
                    lost = difference(stored[name], value)
                    # An overflow of the storage dtype is the kernel's own.
                    beyond = np.maximum(beyond, np.where(np.isfinite(lost), lost, 0.0))
                errors[name] = errors[name] + _row_bound(value, beyond, wide, 1.0)
    return values, errors


def _row_bound(value: Array, seen: Float64Array, unit: float, factor: float) -> Float64Array:
    if value.size == 0:
        return np.zeros(value.shape)
    certain = np.isfinite(seen)
    size = np.where(np.isfinite(value), np.abs(value), 0.0)
    usable = np.where(certain, seen, 0.0)
    if value.ndim:
        usable = usable.max(axis=-1, keepdims=True)
        size = size.max(axis=-1, keepdims=True)
    error = np.broadcast_to(factor * (usable + unit * size), value.shape)
    error = np.where(np.isfinite(value), error, 0.0)
    return np.where(certain, error, np.inf)


def _run_in(dtype: Any, reference: Reference, case: Case) -> dict[str, Array]:
    """The outputs of the reference on floating inputs of dtype, or of their own; {} where it does not run."""
    library = "torch" if wants_torch(case.op, reference) and "torch" in sys.modules else "numpy"
    narrowed = {
        name: from_numpy(np.array(x, dtype if is_floating(str(x.dtype)) else None), library)
        for name, x in case.originals.items()
    }
    with np.errstate(all="ignore"):
        called = call(call_by_name, reference, narrowed, case.params, optional=optional_params(case.op))
    if called.error is not None:
        return {}
    try:
        return evaluate(case.op, lambda **_: called.value, case)
    except ReferenceFailed:
        return {}
