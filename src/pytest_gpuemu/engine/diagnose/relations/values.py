"""Which values of an input the wrong elements have: one value, or all above or below some value.

Here: the inputs of the output's shape, beside the mask of wrong elements. Elsewhere: places (where.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.relations.clue import clue_of
from pytest_gpuemu.engine.op import Array

# Of fewer wrong elements, or right ones, a border between them is chance.
_FEWEST, _FEWEST_AT = 8, 2


def values(case: Case, wrong: Wrong) -> Iterator[Clue]:
    """A value of an input that parts the wrong elements from the right ones."""
    hit, missed = wrong.exceeding, ~wrong.exceeding
    if not missed.any() or not np.isfinite(wrong.output[hit]).all():
        return
    numbers = [value for value in case.params.values() if isinstance(value, (int, float))]
    for name, array in case.originals.items():
        if tuple(array.shape) != wrong.shape or array.dtype.kind == "b":
            continue
        given = np.asarray(array, dtype=np.float64).reshape(-1)[wrong.at]
        if np.isnan(given).all() or not np.isfinite(given[hit]).all():
            continue
        bad, good = given[hit], given[missed]
        good = good[np.isfinite(good)]
        if good.size == 0:
            continue
        if np.ptp(bad) == 0:
            is_special = bad[0] in (0.0, 1.0, -1.0) or bad[0] in numbers
            others = np.count_nonzero(good == bad[0])  # right by chance, as where what is passed on is 0
            if bad.size >= _FEWEST_AT and is_special and others <= bad.size and others < good.size / 2:
                none = (
                    ", and no other" if others == 0 else f", and {bad.size} of {bad.size + others} of these"
                )
                text = f"every wrong element is where {name} is {bad[0]:g}{none}"
                kind = "zero rows" if bad[0] == 0 and _are_whole_rows(wrong, array) else "at value"
                yield clue_of(kind, wrong, text, 1.0, input=name, value=float(bad[0]))
        elif min(bad.size, good.size) >= _FEWEST and np.unique(bad).size >= _FEWEST / 2:
            if bad.min() > good.max():
                text = (
                    f"every wrong element is where {name} is at least {bad.min():.4g}, and none of the others"
                )
                yield clue_of("above value", wrong, text, 1.0, input=name, value=float(bad.min()))
            elif bad.max() < good.min():
                text = (
                    f"every wrong element is where {name} is at most {bad.max():.4g}, and none of the others"
                )
                yield clue_of("below value", wrong, text, 1.0, input=name, value=float(bad.max()))


def _are_whole_rows(wrong: Wrong, array: Array) -> bool:
    """Whether the input is 0 throughout each row, along the last axis, that has a wrong element."""
    if array.ndim < 2 or array.shape[-1] < 2:
        return False
    rows = np.asarray(array, dtype=np.float64).reshape(-1, array.shape[-1])
    hit = np.unique(wrong.at[wrong.exceeding] // array.shape[-1])
    return not rows[hit].any()
