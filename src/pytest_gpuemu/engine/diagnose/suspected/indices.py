"""Suspicions of inputs that hold indices: off by one, narrowed, sorted, doubled, or one of them special.

Here: other indices to the same reference. Elsewhere: other values (inputs.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, with_inputs
from pytest_gpuemu.engine.op import Array, Input

_BLOCKS = (32, 64, 128, 256, 512, 1024)


def index_hypotheses(case: Case) -> Iterator[Hypothesis]:
    """For each input of indices."""
    for x in case.op.inputs:
        if x.kind == "values" or x.kind == "mask":
            continue
        yield from _moved(case, x)
        yield from _special(case, x)
        if case.originals[x.name].ndim == 1 and x.kind == "index":
            yield from _doubled(case, x)


def _moved(case: Case, x: Input) -> Iterator[Hypothesis]:
    given = case.originals[x.name]
    limit = _limit(case, x)
    for step in (-1, 1):
        moved = np.clip(given + step, 0, max(limit - 1, 0)).astype(given.dtype)
        yield with_inputs(
            case, "index", f"{x.name} is off by one: {x.name} {step:+d} is used", {x.name: moved}
        )
    for kind in ("int8", "uint8", "int16"):
        narrowed = given.astype(kind).astype(given.dtype)
        if not np.array_equal(narrowed, given):
            text = f"{x.name} is narrowed to {kind}, so that large indices wrap around"
            wrapped = np.where(narrowed < 0, narrowed + limit, narrowed).astype(given.dtype)
            for found in (narrowed, wrapped, np.clip(narrowed, 0, max(limit - 1, 0)).astype(given.dtype)):
                yield with_inputs(case, "index", text, {x.name: found})
    if given.ndim == 1 and not np.array_equal(np.sort(given), given):
        yield with_inputs(case, "index", f"{x.name} is sorted before it is used", {x.name: np.sort(given)})
    if x.ignore is not None and (given == x.ignore).any():
        counted = np.where(given == x.ignore, 0, given).astype(given.dtype)
        yield with_inputs(case, "index", f"ignored entries of {x.name} are counted", {x.name: counted})


def _special(case: Case, x: Input) -> Iterator[Hypothesis]:
    """The first or last index stands for something else: what it points to counts as 0."""
    given, limit = case.originals[x.name], _limit(case, x)
    for index, which in ((0, "index 0"), (limit - 1, "the last index")):
        if not (given == index).any():
            continue
        for other in case.op.inputs:
            if other.kind != "values" or x.of is None:
                continue
            array = case.originals[other.name]
            text = f"what {which} of {x.name} points to counts as 0"
            for axis, dim in enumerate(other.dims):
                if str(dim) == str(x.of) and array.shape[axis] > index:
                    changed = array.copy()
                    changed[(slice(None),) * axis + (index,)] = 0
                    yield with_inputs(case, "index", text, {other.name: changed})
            if array.shape == given.shape:
                changed = np.where(given == index, 0, array).astype(array.dtype)
                yield with_inputs(case, "index", text, {other.name: changed})


def _doubled(case: Case, x: Input) -> Iterator[Hypothesis]:
    """Of equal indices within a block one counts; lanes beyond the end count as index 0."""
    given = case.originals[x.name]
    beside = [
        other.name
        for other in case.op.inputs
        if other.name != x.name and other.dims and str(other.dims[0]) == str(x.dims[0])
    ]
    done = set()
    for block in _BLOCKS:
        kept = np.concatenate(
            [start + _last_of_each(given[start : start + block]) for start in range(0, given.size, block)]
            or [np.arange(0)]
        )
        if kept.size != given.size and kept.size not in done:
            done.add(kept.size)
            changed = {x.name: given[kept], **{name: case.originals[name][kept] for name in beside}}
            text = f"of equal entries of {x.name} within a block of {block} one counts"
            yield with_inputs(case, "lost update", text, changed, any_shape=True)
        length = -(-given.size // block) * block
        if not beside and length != given.size:
            padded = np.concatenate([given, np.zeros(length - given.size, given.dtype)])
            text = f"the lanes from {given.size} up to {length} of {x.name} count as index 0"
            yield with_inputs(case, "tail", text, {x.name: padded}, any_shape=True)


def _last_of_each(values: Array) -> Array:
    """The places of the last of each of equal values, rising."""
    backwards = values[::-1]
    first = np.unique(backwards, return_index=True)[1]
    return np.asarray(np.sort(values.size - 1 - first))


def _limit(case: Case, x: Input) -> int:
    if x.of is not None:
        return int(x.of.evaluate(case.plan.dims))
    return int(case.originals[x.name].max(initial=0)) + 1
