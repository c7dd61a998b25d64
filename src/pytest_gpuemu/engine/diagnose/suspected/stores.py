"""Suspicions of an output that is written at wrong addresses.

Here: the reference's values stored with another stride between rows, as the memory then holds them.
Elsewhere: inputs that are read with wrong strides (memory.py), whole outputs that are moved (relations/).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs, Right
from pytest_gpuemu.engine.op import Array


def store_hypotheses(case: Case, wrongs: list[Wrong], right: Right) -> Iterator[Hypothesis]:
    """Each wrong output with the size of another axis or dim for the stride between its rows."""
    for wrong in wrongs:
        if len(wrong.shape) < 2 or min(wrong.shape[-2:]) < 2:
            continue
        rows, columns = wrong.shape[-2:]
        sizes = {rows: "its number of rows", **{size: name for name, size in case.plan.dims.items()}}
        for size, name in sizes.items():
            if size == columns:
                continue
            yield Hypothesis(
                kind="axis",
                text=f"{wrong.name} is written with {name} = {size} as the stride of a row of {columns}",
                outputs=partial(_stored, right, wrong.name, size),
                has_unknown=True,
                explains_unwritten=True,
            )


def _stored(right: Right, name: str, stride: int) -> Outputs | None:
    outputs = right()
    if outputs is None or name not in outputs:
        return None
    return {**outputs, name: _written(np.asarray(outputs[name], dtype=np.float64), stride)}


def _written(values: Array, stride: int) -> Array:
    """What memory holds after each row was written at a multiple of stride: NaN where nothing was."""
    rows, columns = values.shape[-2:]
    matrices = values.reshape(-1, rows, columns)
    memory = np.full((len(matrices), rows * columns), np.nan)
    at = (np.arange(rows)[:, None] * stride + np.arange(columns)).reshape(-1)
    inside = at < rows * columns
    for row, matrix in zip(memory, matrices, strict=True):
        row[at[inside]] = matrix.reshape(-1)[inside]
    return memory.reshape(values.shape)
