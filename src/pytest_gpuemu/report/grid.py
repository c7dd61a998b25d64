"""The errors of a whole output in few enough cells for a report: every axis stays, each gathered into blocks.

Here: the cells. Elsewhere: the part that the terminal draws (engine/heatmap.py), the page that draws any
(page.js).
"""

from __future__ import annotations

from math import ceil, prod
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.verdict import Comparison

MAX_CELLS = 2**14
_DIGITS = 3


def error_grid(comparison: Comparison, most_cells: int = MAX_CELLS) -> dict[str, Any] | None:
    """The wrong elements and the largest error of each cell; None where the comparison's arrays are gone.

    cell is the size of a whole cell along each axis, a power of two; cells how many there are; wrong and
    largest have a number for each cell, in C order. largest is in `unit`, ulps of the output's dtype or 1, to
    three digits; "inf" where just one of output and reference is finite somewhere in the cell.
    """
    if comparison.exceeding is None or comparison.output is None or comparison.reference is None:
        return None
    if comparison.exceeding.size == 0:
        return None
    cell = _cell(comparison.shape, most_cells)
    wrong = _gathered(np.add, comparison.exceeding.astype(np.int64), cell)
    largest = _gathered(np.maximum, _errors(comparison), cell)
    return {
        "shape": list(comparison.shape),
        "cell": list(cell),
        "cells": list(wrong.shape),
        "unit": "ulp" if dtypes.is_floating(comparison.dtype) else "1",
        "wrong": wrong.ravel().tolist(),
        "largest": [_short(value) for value in largest.ravel().tolist()],
    }


def _errors(comparison: Comparison) -> Array:
    assert comparison.output is not None
    assert comparison.reference is not None
    output = dtypes.to_float64(comparison.output).astype(np.float64)
    reference = np.asarray(comparison.reference, dtype=np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(output - reference)
        if dtypes.is_floating(comparison.dtype):
            error /= dtypes.ulp(_sizes(comparison, reference), comparison.dtype)
        same = (output == reference) | (np.isnan(output) & np.isnan(reference))
        return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))


def _sizes(comparison: Comparison, reference: Array) -> Array:
    """In whose ulp the errors are: as in measure.py, where a reference may as well be 0, what is allowed."""
    size = np.array(np.abs(reference))
    if comparison.allowed is not None:
        size[comparison.exceeding] = np.fmax(size[comparison.exceeding], comparison.allowed)
    return size


def _cell(shape: tuple[int, ...], most_cells: int) -> tuple[int, ...]:
    """Powers of two, the axis with most cells halved until they are few enough."""
    cell = [1] * len(shape)
    while prod(counts := [ceil(size / wide) for size, wide in zip(shape, cell, strict=True)]) > most_cells:
        cell[counts.index(max(counts))] *= 2
    return tuple(cell)


def _gathered(ufunc: np.ufunc, values: Array, cell: tuple[int, ...]) -> Array:
    for axis, wide in enumerate(cell):
        values = ufunc.reduceat(values, np.arange(0, values.shape[axis], wide), axis=axis)
    return values


def _short(value: float) -> float | str:
    if value == np.inf:
        return "inf"
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() and rounded < 2**53 else rounded
