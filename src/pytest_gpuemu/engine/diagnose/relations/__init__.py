"""How the wrong elements are wrong: a relation between output and reference, or between output and an input.

Here: the order of the relations, none of which needs a further run of the reference. Elsewhere: each of them
(the modules of this package), where the elements lie (where.py), the reference with a bug in it (search.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.relations import (
    factors,
    integers,
    nonfinite,
    places,
    rounding,
    rows,
    values,
)
from pytest_gpuemu.engine.verdict import Comparison

_MOST_ELEMENTS = 2**20
_MOST_OF_THEM = 0.5


def find_relations(case: Case, wrong: Wrong, comparison: Comparison) -> list[Clue]:
    """Clues on how the wrong elements of one output differ from the reference, the most telling first."""
    output, reference, mask = comparison.output, comparison.reference, comparison.exceeding
    if output is None or reference is None or mask is None or mask.size > _MOST_ELEMENTS:
        return []
    given = np.asarray(output, dtype=np.float64)
    with np.errstate(all="ignore"):
        found = [
            *nonfinite.nonfinite(case, wrong),
            *factors.constants(wrong, given, mask),
            *factors.factors(case, wrong, reference),
            *places.inputs(case, wrong),
            *places.moved(wrong, reference),
            *integers.integers(wrong, comparison),
            *places.indices(case, comparison),
            *places.permuted(wrong, given, reference, mask),
            *rows.by_row(case, wrong, given, reference, mask),
            *rounding.narrower(wrong, reference),
            *places.misplaced(wrong, reference),
            *values.values(case, wrong),
            *rounding.slight(case, wrong),
        ]
    # What holds for a few of the wrong elements, such as a NaN here and there, tells less than the others.
    return sorted(found, key=lambda clue: clue.explained < _MOST_OF_THEM)


def told_apart(clues: list[Clue], several: bool) -> list[Clue]:
    """The clues with the output's name before their text, where an op has several outputs."""
    return [replace(clue, text=f"{clue.output}: {clue.text}") for clue in clues] if several else clues
