"""A factor, an offset or a sign between output and reference: one for all wrong elements.

Here: finding it and its name. Elsewhere: one for each row (rows.py), the names (constants.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.constants import name_of
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.relations.clue import EXPLAINED, agreed, clue_of
from pytest_gpuemu.engine.op import Array, Float64Array

_SHARP = 2.0**-7


def constants(wrong: Wrong, output: Float64Array, mask: Array) -> Iterator[Clue]:
    """All wrong elements are one number."""
    given = output[mask]
    first = given[0]
    if given.size >= 2 and np.all(given == first):
        right = wrong.reference[wrong.exceeding]
        right = right[np.isfinite(right)]
        if right.size and np.ptp(right) > 0:
            what = "zero" if first == 0 else f"{first:g}"
            kind = "zeros" if first == 0 else "constant"
            yield clue_of(kind, wrong, f"every wrong element is {what}", 1.0, value=float(first))


def factors(case: Case, wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """One factor or one offset between reference and output."""
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    usable = np.isfinite(given) & np.isfinite(right) & (right != 0) & (given != 0)
    if not usable.any():
        return
    with np.errstate(all="ignore"):
        ratio = given[usable] / right[usable]
        factor = float(np.median(ratio))
        spread = float(np.median(np.abs(ratio / factor - 1.0))) if factor else np.inf
    if np.isfinite(factor) and factor != 0:
        unit = dtypes.properties(wrong.dtype).unit_roundoff if dtypes.is_floating(wrong.dtype) else 0.0
        tolerance = min(max(2 * spread, unit, 1e-6), 2.0**-5)
        is_sharp = tolerance <= _SHARP  # many names lie near a factor that is not
        name = name_of(factor, case.plan.dims, case.params, tolerance) if is_sharp else None
        if (agreement := agreed(wrong, reference * factor)) is not None:
            if factor == -1.0 or name == "-1":
                yield clue_of("sign", wrong, "the sign is wrong: output = -reference", agreement.explained)
            else:
                told = f"{name} = {factor:.6g}" if name else f"{factor:.6g}"
                yield clue_of(
                    "ratio",
                    wrong,
                    f"output = reference * {told}",
                    agreement.explained,
                    factor=factor,
                    name=name,
                    everywhere=agreement.kept >= EXPLAINED,
                )
    difference = (given - right)[usable]
    offset = float(np.median(difference))
    agreement = agreed(wrong, reference + offset)
    if offset != 0 and usable.sum() >= 2 and agreement is not None:
        yield clue_of(
            "offset",
            wrong,
            f"output = reference {'+' if offset > 0 else '-'} {abs(offset):.6g}",
            agreement.explained,
            offset=offset,
            everywhere=agreement.kept >= EXPLAINED,
        )
    flipped = agreed(wrong, -reference)
    if flipped is not None and factor > 0:
        yield clue_of("sign", wrong, "the sign is wrong: output = -reference", flipped.explained)
