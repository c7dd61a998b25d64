"""The right values at other places: moved, reversed, transposed, an input's, an index that lacks its block.

Here: these. Elsewhere: which places are wrong (where.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine import references
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS, Wrong
from pytest_gpuemu.engine.diagnose.relations.clue import EXPLAINED, clue_of, holds
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.verdict import Comparison

_BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)


def inputs(case: Case, wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """The output holds an input, where it is wrong."""
    for name, array in case.originals.items():
        if tuple(array.shape) != wrong.shape or array.size < 2:
            continue
        agreement = wrong.agreement(np.asarray(array, dtype=np.float64))
        if agreement and agreement.explained >= EXPLAINED and agreement.bits >= ENOUGH_BITS:
            yield clue_of("input", wrong, f"output = the input {name}", agreement.explained, input=name)


def moved(wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """The reference's own values at other places."""
    if wrong.exceeding.sum() < 2:
        return
    ndim = reference.ndim
    for axis in range(ndim):
        if reference.shape[axis] < 3:
            continue
        for step in (1, -1):
            moved = np.roll(reference, step, axis=axis)
            valid = np.ones(reference.shape, dtype=bool)
            valid[(slice(None),) * axis + ((0 if step > 0 else -1),)] = False
            if holds(wrong, moved, valid):
                along = "neighbouring row" if ndim == 2 and axis == 0 else "neighbour"
                yield clue_of(
                    "shifted",
                    wrong,
                    f"each wrong element is its {along}'s: output[i] = reference[i {-step:+d}]"
                    f" along axis {axis}",
                    1.0,
                    axis=axis,
                    step=step,
                )
        if holds(wrong, np.flip(reference, axis)):
            yield clue_of("reversed", wrong, f"the output is reversed along axis {axis}", 1.0, axis=axis)
    if ndim >= 2:
        swapped = np.swapaxes(reference, -1, -2)
        if holds(wrong, swapped.reshape(reference.shape)):
            yield clue_of("transposed", wrong, "the output is transposed (rows and columns exchanged)", 1.0)


def indices(case: Case, comparison: Comparison) -> Iterator[Clue]:
    """Indices that lack the start of their block, or their upper bits."""
    given, mask = comparison.interpreted, comparison.exceeding
    if given is None or mask is None or given.shape != mask.shape:
        return
    try:
        right = references.evaluate(case.op, case.op.references[0], case).get(comparison.name)
    except ReferenceFailed:
        return
    if right is None or right.shape != given.shape or right.dtype.kind not in "iu":
        return
    wrong_given, wrong_right = given[mask].astype(np.int64), right[mask].astype(np.int64)
    for block in _BLOCKS:
        share = float(np.mean(wrong_given == wrong_right % block))
        if share >= EXPLAINED and (wrong_right >= block).all():
            text = f"each index lacks the start of its block: it is that of the reference modulo {block}"
            yield Clue(
                kind="index in block",
                output=comparison.name,
                text=text,
                explained=share,
                evidence={"block": block},
            )
            return
    for kind in ("int8", "uint8", "int16"):
        share = float(np.mean(wrong_given == wrong_right.astype(kind)))
        if share >= EXPLAINED:
            text = f"each index is that of the reference as {kind}"
            yield Clue(
                kind="narrowed", output=comparison.name, text=text, explained=share, evidence={"dtype": kind}
            )
            return
