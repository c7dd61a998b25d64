"""NaN and infinity in the wrong places, or lost.

Here: what the wrong elements have of them. Elsewhere: where these lie (where.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.program import record
from pytest_gpuemu.engine.diagnose.relations.clue import EXPLAINED, clue_of

# exp of less than this is 0 in float32, or subnormal.
_LOG_OF_TINY = -80.0
# Numbers that are written for infinity are at least this large.
_LARGE = 1e3
_LOGS = ("log", "log2", "log10", "log1p")


def nonfinite(case: Case, wrong: Wrong) -> Iterator[Clue]:
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    lost = ~np.isfinite(right) & np.isfinite(given)
    nan = np.isnan(right) & ~np.isnan(given)
    made = np.isnan(given) & ~np.isnan(right)
    infinite = np.isinf(given) & np.isfinite(right)
    count = given.size
    zero = np.isneginf(given) & (right < _LOG_OF_TINY) & np.isfinite(right)
    if zero.mean() > 0.5 and any(step.name in _LOGS for step in record(case)):
        yield clue_of(
            "log of zero",
            wrong,
            f"the output is -inf where {right[zero].max():.4g} or less is right: the log of an underflow",
            float(zero.mean()),
        )
    sentinel = given[0] if given.size and np.ptp(given) == 0 else 0.0
    if abs(sentinel) >= _LARGE and np.all(np.isinf(right)) and np.all(np.sign(right) == np.sign(sentinel)):
        text = (
            f"the output is {sentinel:g} where it should be {right[0]:g}: a finite number stands for infinity"
        )
        yield clue_of("sentinel", wrong, text, 1.0, value=float(sentinel))
    if nan.all():
        yield clue_of("nan lost", wrong, "NaN is lost: the output is a number where it should be NaN", 1.0)
    elif lost.mean() >= EXPLAINED:
        yield clue_of(
            "nonfinite lost",
            wrong,
            "the output is finite where it should be infinite or NaN",
            float(lost.mean()),
        )
    if made.any():
        share = float(made.mean())
        yield clue_of("nan made", wrong, f"{int(made.sum())} of {count} wrong elements are NaN", share)
    if infinite.any():
        share = float(infinite.mean())
        yield clue_of(
            "inf made", wrong, f"{int(infinite.sum())} of {count} wrong elements are infinite", share
        )
