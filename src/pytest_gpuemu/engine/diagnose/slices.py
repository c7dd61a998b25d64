"""The slice of an output that shows a pattern of wrong elements best.

Here: the choice of two axes and of the index on the others. Elsewhere: drawing it (the report).
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.diagnose.diagnosis import Slice
from pytest_gpuemu.engine.op import Array


def slice_to_show(output: str, exceeding: Array) -> Slice | None:
    """The two axes that show where the wrong elements lie, at the index of the others that has most of them.

    exceeding is the mask of wrong elements. None for an output of no axes or without a wrong element. Of the
    axes longer than 1 those two are taken along which the share of wrong elements varies most, so that the
    picture has an edge; with nothing to choose the last two.
    """
    if exceeding.ndim == 0 or not exceeding.any():
        return None
    if exceeding.ndim == 1:
        return Slice(output=output, rows=None, columns=0)
    axes = range(exceeding.ndim)
    spread = []
    for axis in axes:
        share = exceeding.mean(axis=tuple(other for other in axes if other != axis))
        spread.append((float(share.std()) if exceeding.shape[axis] > 1 else -1.0, axis))
    rows, columns = sorted(axis for _, axis in sorted(spread)[-2:])
    counts = exceeding.sum(axis=(rows, columns))
    at = np.unravel_index(int(np.argmax(counts)), counts.shape) if counts.ndim else ()
    others = [axis for axis in axes if axis not in (rows, columns)]
    return Slice(
        output=output,
        rows=rows,
        columns=columns,
        at={axis: int(index) for axis, index in zip(others, at, strict=True)},
    )
