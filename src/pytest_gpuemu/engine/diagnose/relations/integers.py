"""Integers that are off by one, or that lost their upper or lower bits.

Here: outputs of an integer dtype. Elsewhere: indices that are outputs (places.py), floats (rounding.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.relations.clue import clue_of
from pytest_gpuemu.engine.verdict import Comparison

_FEWEST = 3
# Beyond this float32 has no odd integers; that of its roundoffs, a few of which the error may be.
_EXACT_IN_FLOAT32, _ROUNDED = 2.0**24, 2.0**-21


def integers(wrong: Wrong, comparison: Comparison) -> Iterator[Clue]:
    """What all wrong elements of an integer output have in common."""
    if comparison.output is None or comparison.output.dtype.kind not in "iu":
        return
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    if not np.isfinite(wrong.reference).all():
        return
    for kind in ("int8", "uint8", "int16", "uint16", "int32"):
        narrowed = right.astype(np.int64).astype(kind).astype(np.float64)
        if np.array_equal(narrowed, given):
            text = f"output = reference as {kind}, which has too few bits"
            yield clue_of("narrowed", wrong, text, 1.0, dtype=kind)
            return
    off = given - right
    if given.size >= _FEWEST and np.all(np.abs(off) == 1):
        kind = "off by one"
        if np.all(np.abs(given) < np.abs(right)) and (right < 0).any():
            text = "each wrong element is one nearer to zero: rounded towards zero"
        elif not (right < 0).any():  # counts, for example, which are not rounded
            kind, text = "miscounted", f"each wrong element is one {'more' if off[0] > 0 else 'less'}"
            if np.ptp(off) != 0:
                text = "each wrong element is one more or one less"
        elif np.all(off == -1):
            text = "each wrong element is one less: rounded down"
        elif np.all(off == 1):
            text = "each wrong element is one more: rounded up"
        else:
            text = "each wrong element is off by one: rounded in another direction"
        yield clue_of(kind, wrong, text, 1.0)
    size = np.maximum(np.abs(right), np.abs(given))
    if np.all(np.abs(right) > _EXACT_IN_FLOAT32) and np.all(np.abs(off) <= _ROUNDED * size):
        yield clue_of(
            "rounded", wrong, "large integers are off as if computed in float32", 1.0, dtype="float32"
        )
