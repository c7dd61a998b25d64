"""What a step of the reference is made of: the axis that it sums along, the number in it, its name.

Here: questions about one step, and running it on a part of what it sums. Elsewhere: recording the steps
(program.py), changing them (suspected/).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.program import Step, record
from pytest_gpuemu.engine.op import Array

BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)
REDUCTIONS = ("add.reduce", "maximum.reduce", "minimum.reduce")

_CALLED = {
    "add.reduce": "the sum",
    "maximum.reduce": "the maximum",
    "minimum.reduce": "the minimum",
    "matmul": "the matrix product",
    "add.accumulate": "the running sum",
    "multiply": "the product",
    "divide": "the quotient",
    "subtract": "the difference",
    "add": "the sum of two",
    "where": "the choice",
}

Change = Callable[[Step], Any]
# Suspicions of one step: the kind, the text, the change, and whether float32's range matters.
Changes = Iterator[tuple[str, str, Change, bool]]


def rank(value: Any) -> int:
    """How many axes an argument of a step has; 0 also for what is no array, such as a list of arrays."""
    return int(value.ndim) if isinstance(value, (np.ndarray, np.generic)) else 0


def reduced_axis(step: Step) -> int | None:
    """The axis of a reduction's operand, or that of a matrix product's first one, along which it sums."""
    if step.name == "matmul" and rank(step.args[0]) and rank(step.args[1]):
        return rank(step.args[0]) - 1
    if step.name not in REDUCTIONS:
        return None
    axis = step.kwargs.get("axis", 0)
    ndim = rank(step.args[0])
    if axis is None:
        return 0 if ndim == 1 else None
    if isinstance(axis, tuple):
        if len(axis) != 1:
            return None
        axis = axis[0]
    return int(axis) % ndim if ndim else None


def reduced_length(step: Step) -> int | None:
    """How many elements it sums or compares; None where it does neither."""
    axis = reduced_axis(step)
    return None if axis is None else int(step.args[0].shape[axis])


def padded_lengths(size: int) -> list[int]:
    """The next multiple of each block, where size is not that multiple itself."""
    lengths = dict.fromkeys(-(-size // block) * block for block in BLOCKS[:6])
    return [length for length in lengths if length != size]


def summed_dims(case: Case) -> frozenset[str]:
    """The dims whose length some step of the first reference sums or compares along."""
    lengths = {reduced_length(step) for step in record(case)}
    return frozenset(name for name, size in case.plan.dims.items() if size in lengths and size > 1)


def length_name(case: Case, size: int) -> str:
    """How a length that is summed along is called: the last dim of this size, since sums run along the last
    axes more often, or what it is."""
    dims = [name for name, length in case.plan.dims.items() if length == size]
    return dims[-1] if dims else "the length of the sum"


def restricted(step: Step, chosen: slice | Array) -> Any:
    """The step with only these places of the axis that it sums or compares along."""
    axis = reduced_axis(step)
    assert axis is not None
    index = (slice(None),) * axis + (chosen,)
    if step.name == "matmul":
        second = step.args[1]
        places = (slice(None),) * (second.ndim - 2 if second.ndim > 1 else 0) + (chosen,)
        return step.again(step.args[0][index], second[places])
    return step.again(step.args[0][index], *step.args[1:])


def described(step: Step) -> str:
    """The step as a reader of the reference knows it."""
    what = _CALLED.get(step.name, step.name)
    axis = reduced_axis(step)
    if axis is None or step.name == "matmul":
        return what
    return f"{what} over axis {axis} of {list(step.args[0].shape)}"


def operand_name(case: Case, step: Step, place: int) -> str | None:
    """What an operand of a step is: an input by its name, or the result of a sum or the like; None for
    what has no such name."""
    value = step.args[place]
    for name, given in case.originals.items():
        if given.shape != np.shape(value) or given.dtype.kind not in "fV":
            continue
        if np.array_equal(np.asarray(given, dtype=np.float64), value, equal_nan=True):
            return name
    source = step.sources[place] if place < len(step.sources) else None
    if source is not None and (source.name in _CALLED or "." not in source.name):
        return f"the result of {described(source)}"
    return None


def scalar_place(step: Step) -> int | None:
    """Which operand of an arithmetic step is a number, and not 0; None where neither or both are."""
    if len(step.args) != 2 or "." in step.name:
        return None
    places = [at for at, value in enumerate(step.args) if rank(value) == 0]
    if len(places) != 1:
        return None
    value = step.args[places[0]]
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating, np.ndarray)
    ):
        return None
    return places[0] if np.isfinite(value) and value != 0 else None
