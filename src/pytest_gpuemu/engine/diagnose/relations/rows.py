"""A factor or an offset of its own for each row (each index of all axes but the last).

Here: finding it, and what it is of the same row of an input. Elsewhere: one for all (factors.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS, Wrong
from pytest_gpuemu.engine.diagnose.relations.clue import agreed, clue_of
from pytest_gpuemu.engine.op import Array, Float64Array


def by_row(
    case: Case, wrong: Wrong, output: Float64Array, reference: Float64Array, mask: Array
) -> Iterator[Clue]:
    """A factor or an offset of its own for each row (each index of all axes but the last)."""
    if reference.ndim < 2 or reference.shape[-1] < 3:
        return
    rows = mask.reshape(-1, mask.shape[-1])
    hit = np.flatnonzero(rows.sum(axis=1) >= 2)
    if hit.size == 0:
        return
    given, right = output.reshape(rows.shape)[hit], reference.reshape(rows.shape)[hit]
    finite = np.isfinite(given) & np.isfinite(right) & (np.abs(right) > 0)
    ratio = np.where(finite, given / right, np.nan)
    difference = np.where(finite, given - right, np.nan)
    for kind, measured, form in (
        ("row ratio", ratio, "times a factor"),
        ("row offset", difference, "plus an offset"),
    ):
        known = np.isfinite(measured).any(axis=1)
        if known.mean() < 0.5:
            continue
        middle = np.full((hit.size, 1), np.nan)
        middle[known] = np.nanmedian(measured[known], axis=1, keepdims=True)
        suspected = reference.reshape(rows.shape).copy()
        suspected[hit] = right * middle if kind == "row ratio" else right + middle
        valid = np.ones(rows.shape, dtype=bool)
        valid[hit] = np.isfinite(measured)
        agreement = agreed(wrong, suspected.reshape(reference.shape), valid)
        if agreement is None or agreement.bits < 2 * ENOUGH_BITS:
            continue
        low, high = float(np.nanmin(middle)), float(np.nanmax(middle))
        named = _of_row(case, middle[:, 0], hit, rows.shape)
        if named is None and (hit.size == 1 or high - low <= 1e-3 * abs(high)):
            continue
        of = f", which is {named}" if named else ""
        yield clue_of(
            kind,
            wrong,
            f"each row is the reference's {form} of its own ({low:.3g} to {high:.3g}, {hit.size} rows){of}",
            agreement.explained,
            low=low,
            high=high,
            rows=int(hit.size),
            name=named,
        )
        return


def _of_row(case: Case, measured: Float64Array, hit: Array, shape: tuple[int, ...]) -> str | None:
    """What the factor or offset of each row is, of the same row of an input: its maximum, exp of that."""
    usable = np.isfinite(measured) & (measured != 0)
    if usable.mean() < 0.5:
        return None
    for name, given in case.originals.items():
        array = np.asarray(given, dtype=np.float64)
        if array.ndim < 2 or array.size // max(array.shape[-1], 1) != shape[0]:
            continue
        by_row = array.reshape(shape[0], -1)[hit]
        for what, values in (
            ("the maximum", by_row.max(axis=1)),
            ("the minimum", by_row.min(axis=1)),
            ("the mean", by_row.mean(axis=1)),
            ("the sum", by_row.sum(axis=1)),
        ):
            for form, number in (
                ("{}", values),
                ("-{}", -values),
                ("exp({})", np.exp(values)),
                ("exp(-{})", np.exp(-values)),
                ("1/{}", 1.0 / values),
            ):
                close = np.abs(number - measured) <= 2.0**-6 * np.abs(measured)
                if np.all(close[usable]) and np.abs(values[usable]).max() > 0.1:
                    return form.format(f"{what} of that row of {name}")
    return None
