"""Rounding: to a narrower dtype, or on the way.

Here: what the errors of floats tell by their size. Elsewhere: integers (integers.py), a step that is rounded
(precision.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.program import record
from pytest_gpuemu.engine.diagnose.relations.clue import agreed, clue_of
from pytest_gpuemu.engine.diagnose.steps import reduced_axis
from pytest_gpuemu.engine.op import Float64Array

_LOWER = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
# Errors below this share of the largest reference value of the output are what rounding on the way makes.
_SLIGHT = 2.0**-6
_SLIGHT_OF_MOST = 2.0**-3
# Neighbouring errors, by the value of an input, are this alike where the error is a smooth function of it.
_SMOOTH, _FEWEST_OF_A_CURVE = 0.8, 32
# Another formula crosses the right one a few times; rounding does so at each step of its grid.
_MOST_CROSSINGS = 8


def narrower(wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """The reference, rounded to a narrower dtype."""
    if not dtypes.is_floating(wrong.dtype):
        return
    own = dtypes.properties(wrong.dtype).unit_roundoff
    for dtype in _LOWER:
        if dtypes.properties(dtype).unit_roundoff <= own:
            continue
        rounded = reference.astype(dtypes.numpy_dtype(dtype)).astype(np.float64)
        if agreed(wrong, rounded):
            yield clue_of("rounded", wrong, f"output = reference rounded to {dtype}", 1.0, dtype=dtype)
            return


def slight(case: Case, wrong: Wrong) -> Iterator[Clue]:
    """Errors of both signs, small beside the values: what rounding makes."""
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    if not dtypes.is_floating(wrong.dtype) or not (np.isfinite(given) & np.isfinite(right)).all():
        return
    finite = np.abs(wrong.reference[np.isfinite(wrong.reference)])
    largest = float(finite.max()) if finite.size else 0.0
    error = wrong.error[wrong.exceeding]
    if largest == 0 or float(error.max()) > _SLIGHT * largest:
        return
    share = float(error.max()) / largest
    # Rounding leaves most elements with most of their digits, unless large terms cancel in all of them.
    with np.errstate(all="ignore"):
        relative = error / np.maximum(np.abs(right), np.abs(given))
    if float(np.median(relative)) > _SLIGHT_OF_MOST:
        return
    if (name := _smooth_in(case, wrong, given - right)) is not None:
        yield clue_of(
            "smooth",
            wrong,
            f"the error is small and a smooth function of {name}: another formula, not rounding",
            1.0,
            input=name,
        )
        return
    yield clue_of(
        "slight",
        wrong,
        f"the errors are small: at most {share:.2g} of the largest value (2**{np.log2(share):.1f})",
        1.0,
        share=share,
        count=int(given.size),
        positive=float((given > right).mean()),
    )


def _smooth_in(case: Case, wrong: Wrong, error: Float64Array) -> str | None:
    """The input, of those of the output's shape, that the error is a smooth function of; None where the
    reference sums or compares, or the wrong elements are few or all one number."""
    alike = {name: array for name, array in case.originals.items() if tuple(array.shape) == wrong.shape}
    if not alike or error.size < _FEWEST_OF_A_CURVE or np.ptp(wrong.output[wrong.exceeding]) == 0:
        return None
    if any(reduced_axis(step) is not None or "." in step.name for step in record(case)):
        return None
    for name, array in alike.items():
        at = np.asarray(array, dtype=np.float64).reshape(-1)[wrong.at[wrong.exceeding]]
        if _is_curve(at, error):
            return name
    return None


def _is_curve(at: Float64Array, error: Float64Array) -> bool:
    """Whether the error is a smooth function of the values that it stands at, each of which counts once."""
    values, first = np.unique(at, return_index=True)
    if values.size < _FEWEST_OF_A_CURVE:
        return False
    curve = error[first]
    crossings = int(np.count_nonzero(curve[1:] * curve[:-1] < 0))
    is_alike = float(np.sum(curve[1:] * curve[:-1])) > _SMOOTH * float(np.sum(curve * curve))
    return is_alike and crossings <= _MOST_CROSSINGS
