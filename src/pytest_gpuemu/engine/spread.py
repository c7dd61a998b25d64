"""The spread D: how far the outputs move when the inputs move by a rounding.

Here: plain float64 runs of the reference on moved inputs. It keeps correlations (x - max x) that the
trace loses, and is asked for only where the trace alone fails a kernel.
Elsewhere: the trace (trace/), which of the two counts (tolerance.py).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.dtypes import is_floating
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Float64Array, Reference
from pytest_gpuemu.engine.references import evaluate

DRAWS = 8
# In units of u: an input is moved by up to one rounding to nearest of the arithmetic, twice over.
MOVED_BY = 2.0
_SEED = 0


def spread(
    reference: Reference, case: Case, *, compute: str, draws: int = DRAWS, unit: float | None = None
) -> dict[str, Float64Array]:
    """max |ref(x (1 + 2u U(-1, 1))) - ref(x)| over the runs, elementwise, by output name.

    u is the unit roundoff of float32, or of float64 where that is the compute type, or unit where given.
    inf where only one of both is NaN, or an infinity became finite or changed sign; 0 where they are
    the same. Deterministic. A moved run that raises counts as inf everywhere; ReferenceFailed where
    the reference does not run on the inputs themselves.
    """
    if unit is None:
        unit = 2.0**-53 if compute == "float64" else 2.0**-24
    rng = np.random.default_rng(_SEED)
    values = evaluate(case.op, reference, case)
    furthest = {name: np.zeros(np.shape(value)) for name, value in values.items()}
    for _ in range(draws):
        moved = {
            name: _moved(x.astype(np.float64), unit, rng) if is_floating(str(x.dtype)) else x
            for name, x in case.originals.items()
        }
        try:
            outputs = evaluate(case.op, reference, dataclasses.replace(case, originals=moved))
        except ReferenceFailed:
            return {name: np.full(np.shape(value), np.inf) for name, value in values.items()}
        with np.errstate(all="ignore"):
            for name, value in values.items():
                away = _distance(outputs[name], value)
                furthest[name] = np.maximum(furthest[name], away)
    return furthest


def _moved(x: Float64Array, unit: float, rng: np.random.Generator) -> Float64Array:
    return np.asarray(x * (1.0 + MOVED_BY * unit * rng.uniform(-1.0, 1.0, x.shape)))


def _distance(moved: Float64Array, value: Float64Array) -> Float64Array:
    if moved.shape != value.shape:
        return np.full(value.shape, np.inf)
    same = (moved == value) | ((moved != moved) & (value != value))
    away = np.abs(np.asarray(moved, np.float64) - np.asarray(value, np.float64))
    return np.where(same, 0.0, np.where(np.isnan(away), np.inf, away))
