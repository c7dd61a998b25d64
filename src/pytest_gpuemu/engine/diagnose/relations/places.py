"""The right values at other places: moved, reversed, transposed, an input's, an index that lacks its block.

Here: these. Elsewhere: which places are wrong (where.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine import dtypes, references
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.relations.clue import EXPLAINED, agreed, clue_of
from pytest_gpuemu.engine.diagnose.steps import BLOCKS
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.verdict import Comparison

# Of fewer elements chance makes such things; so many of the wrong ones are misplaced, so many by chance.
_FEWEST_MISPLACED = 16
_MISPLACED, _BY_CHANCE = 0.75, 0.1


def inputs(case: Case, wrong: Wrong) -> Iterator[Clue]:
    """The output holds an input, where it is wrong."""
    for name, array in case.originals.items():
        if tuple(array.shape) != wrong.shape or array.size < 2:
            continue
        agreement = agreed(wrong, np.asarray(array, dtype=np.float64))
        if agreement is not None:
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
            if agreed(wrong, moved, valid):
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
        if agreed(wrong, np.flip(reference, axis)):
            yield clue_of("reversed", wrong, f"the output is reversed along axis {axis}", 1.0, axis=axis)
    if ndim >= 2:
        swapped = np.swapaxes(reference, -1, -2)
        if agreed(wrong, swapped.reshape(reference.shape)):
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
    for block in BLOCKS:
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


def permuted(wrong: Wrong, output: Float64Array, reference: Float64Array, mask: Array) -> Iterator[Clue]:
    """The right values, in a wrong order: of each row along the last axis, or of all."""
    if reference.shape[-1:] < (3,) or wrong.exceeding.sum() < 3:
        return
    rows = mask.reshape(-1, mask.shape[-1])
    hit = rows.any(axis=1)
    given = np.sort(output.reshape(rows.shape)[hit], axis=1)
    right = np.sort(reference.reshape(rows.shape)[hit], axis=1)
    finite = right[np.isfinite(right)]
    if _is_small(wrong):
        return
    if finite.size == 0 or np.ptp(finite) == 0 or not _alike(given, right, wrong.dtype):
        return
    text = "each wrong row holds its right values, in another order"
    nan = np.isnan(reference).any()
    yield clue_of("permuted", wrong, text, 1.0, rows=int(hit.sum()), nan=bool(nan))


def _is_small(wrong: Wrong) -> bool:
    """Whether most errors are only some roundings of the output's dtype, so that values are hardly told
    apart."""
    if not dtypes.is_floating(wrong.dtype):
        return False
    error, right = wrong.error[wrong.exceeding], np.abs(wrong.reference[wrong.exceeding])
    finite = np.isfinite(error) & np.isfinite(right)
    unit = dtypes.properties(wrong.dtype).unit_roundoff
    return bool(finite.any() and np.median(error[finite] - 32 * unit * right[finite]) <= 0)


def _alike(given: Float64Array, right: Float64Array, dtype: str) -> bool:
    """Whether two arrays are equal to within a few roundings of a dtype."""
    unit = dtypes.properties(dtype).unit_roundoff if dtypes.is_floating(dtype) else 0.0
    return bool(np.allclose(given, right, rtol=4 * unit, atol=0.0, equal_nan=True))


def misplaced(wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """Most wrong elements hold values that are right for other elements, which chance does not do."""
    given = wrong.output[wrong.exceeding]
    known = np.unique(reference[np.isfinite(reference)])
    usable = np.isfinite(given) & (given != 0)
    if (
        usable.sum() < _FEWEST_MISPLACED
        or known.size < _FEWEST_MISPLACED
        or not dtypes.is_floating(wrong.dtype)
    ):
        return
    unit = 4 * dtypes.properties(wrong.dtype).unit_roundoff
    if _is_small(wrong):
        return
    found = _share_near(known, given[usable], unit)
    by_chance = _share_near(known, given[usable] * (1 + 4 * unit), unit)
    if found >= _MISPLACED and by_chance <= _BY_CHANCE:
        text = f"{found:.0%} of the wrong elements hold the right value of another element"
        yield clue_of("misplaced", wrong, text, found, share=found)


def _share_near(known: Float64Array, values: Float64Array, unit: float) -> float:
    """The share of values that lie within unit of one of the known, which rise."""
    at = np.clip(np.searchsorted(known, values), 1, known.size - 1)
    nearest = np.minimum(np.abs(known[at] - values), np.abs(known[at - 1] - values))
    return float(np.mean(nearest <= unit * np.abs(values)))
