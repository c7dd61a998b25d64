"""Where the inputs of a failed case hold NaN or infinities, if the wrong elements have to do with them.

Here: the places in words, and whether they matter. Elsewhere: drawing them (distributions.py), the report
that says so (report.py).

They matter where an element is wrong that the reference gives otherwise without them, or where the kernel
gave a NaN or an infinity that the reference does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pytest_gpuemu.engine import dtypes, references
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.user_code import call
from pytest_gpuemu.engine.verdict import Comparison

_LISTED = 3
# A run of so many neighbours is written as a range.
_RUN = 3

Mask = npt.NDArray[np.bool_]


def describe_specials(case: Case, comparisons: Sequence[Comparison]) -> list[str]:
    """For each input that holds any, such as `NaN at [3, 128]; -inf in row 5`; the name before it where there
    are several inputs. Empty where they do not matter.
    """
    masks = {name: _kinds(array) for name, array in case.originals.items()}
    failing = [comparison for comparison in comparisons if _mask(comparison).any()]
    if not failing or not any(masks.values()) or not _matter(case, failing):
        return []
    lines = []
    for name, kinds in masks.items():
        text = "; ".join(f"{kind} {_places(mask, failing)}".strip() for kind, mask in kinds.items())
        if text:
            lines.append(text if len(case.originals) == 1 else f"{name}: {text}")
    return lines


def _kinds(array: Array) -> dict[str, Mask]:
    """NaN, inf and -inf, as far as the array holds them, with the mask of each."""
    if not dtypes.is_floating(str(array.dtype)):
        return {}
    values = dtypes.to_float64(array)
    if np.isfinite(values).all():
        return {}
    found = {"NaN": np.isnan(values), "inf": values == np.inf, "-inf": values == -np.inf}
    return {kind: np.asarray(mask) for kind, mask in found.items() if mask.any()}


def _mask(comparison: Comparison) -> Mask:
    exceeding = comparison.exceeding
    return np.zeros(0, dtype=bool) if exceeding is None else exceeding


def _matter(case: Case, failing: Sequence[Comparison]) -> bool:
    """Whether a wrong element has to do with them; taken to be so where the reference cannot tell."""
    for comparison in failing:
        if comparison.output is None or comparison.reference is None:
            return True
        output = dtypes.to_float64(comparison.output[comparison.exceeding])
        reference = np.asarray(comparison.reference[comparison.exceeding], dtype=np.float64)
        if (~np.isfinite(output) & np.isfinite(reference)).any():
            return True
    if case.op.canonical is not None:
        return True
    called = call(references.evaluate, case.op, case.op.references[0], replace(case, originals=_tame(case)))
    if called.error is not None:
        return True
    without: Mapping[str, Array] = called.value
    return any(_changes(comparison, without[comparison.name]) for comparison in failing)


def _tame(case: Case) -> dict[str, Array]:
    """The inputs with 1 in place of what is not finite."""
    tame = {}
    for name, array in case.originals.items():
        tame[name] = array
        if kinds := _kinds(array):
            tame[name] = array.copy()
            tame[name][np.logical_or.reduce(list(kinds.values()))] = 1
    return tame


def _changes(comparison: Comparison, without: Array) -> bool:
    reference = comparison.reference
    if reference is None or reference.shape != without.shape:
        return True
    now = np.asarray(reference[comparison.exceeding], dtype=np.float64)
    then = np.asarray(without[comparison.exceeding], dtype=np.float64)
    return bool(((now != then) & ~(np.isnan(now) & np.isnan(then))).any())


def _places(mask: Mask, failing: Sequence[Comparison]) -> str:
    """`at [3, 128], [4, 7:20] and 5 more`, `in rows 5, 7`; those of rows with wrong elements come first."""
    if mask.all():
        return "everywhere" if mask.ndim else ""
    rows, cells, left = [], [], 0
    for at in _rows_of(mask, failing):
        if mask.ndim > 1 and mask[at].all():
            rows.append(str(at[0]) if len(at) == 1 else _index(*at))
        else:
            cells += [_index(*at, run) for run in _runs(mask[at])]
    parts = []
    if cells:
        parts.append(f"at {', '.join(cells[:_LISTED])}")
        left += len(cells[_LISTED:])
    if rows:
        parts.append(f"in row{'s' if len(rows) > 1 else ''} {', '.join(rows[:_LISTED])}")
        left += len(rows[_LISTED:])
    return " and ".join(parts) + (f" and {left} more" if left else "")


def _rows_of(mask: Mask, failing: Sequence[Comparison]) -> Iterator[tuple[int, ...]]:
    """Where the rows lie that the mask meets, first those in which an output of as many rows is wrong."""
    leading = mask.shape[:-1]
    wrong = np.zeros(leading, dtype=bool)
    for comparison in failing:
        exceeding = _mask(comparison)
        if exceeding.shape == leading:
            wrong |= exceeding
        elif exceeding.shape[:-1] == leading:
            wrong |= exceeding.any(axis=-1)
    met = mask.any(axis=-1)
    for chosen in (met & wrong, met & ~wrong):
        yield from (tuple(int(i) for i in index) for index in np.argwhere(chosen))


def _runs(row: Mask) -> Iterator[str]:
    """`7` for one place, `7:20` for neighbours."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop - start >= _RUN:
            yield f"{start}:{stop}"
        else:
            yield from map(str, range(start, stop))


def _index(*parts: int | str) -> str:
    return f"[{', '.join(map(str, parts))}]"
