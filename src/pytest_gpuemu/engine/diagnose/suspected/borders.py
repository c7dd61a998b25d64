"""Suspicions of the border of a padded input: another number there, the memory around, or the edge left out.

Here: changes of the step that pads, and inputs whose last or first place along an axis does not count.
Elsewhere: lanes beyond the end of a sum (lanes.py, padding.py), reading the memory (memory.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, with_inputs
from pytest_gpuemu.engine.diagnose.program import Step, at_step, run_with
from pytest_gpuemu.engine.diagnose.steps import rank
from pytest_gpuemu.engine.diagnose.suspected import memory
from pytest_gpuemu.engine.op import Array

_OTHER_FILLS = (0.0, -1e4, 1.0)


def border_hypotheses(case: Case, steps: list[Step]) -> Iterator[Hypothesis]:
    """For each step that pads, and each input of three axes or more, such as an image."""
    for step in steps:
        if step.name != "pad" or len(step.args) < 2:
            continue
        widths = _widths(step)
        if widths is None:
            continue
        fill = float(step.kwargs.get("constant_values", 0.0))
        for other in _OTHER_FILLS:
            if other != fill and not np.isnan(other):
                yield _of_step(
                    case, step, f"the padding holds {other:g} in place of {fill:g}", partial(_filled, other)
                )
        name = next(
            (name for name, given in case.originals.items() if given.shape == step.args[0].shape), None
        )
        if name is None or (around := _around(case, name, widths)) is None:
            continue
        for axis, (before, after) in enumerate(widths):
            for count, side, text in ((before, 0, "before the first"), (after, 1, "beyond the last")):
                if count:
                    what = f"the padding {text} place along axis {axis} is read from memory"
                    yield _of_step(case, step, what, partial(_read, around, axis, side), has_unknown=True)
        yield _of_step(
            case, step, "the padding is read from memory", partial(_read, around, None, 0), has_unknown=True
        )
    names = {step.name for step in steps}
    is_of_maxima = "maximum.reduce" in names and "exp" not in names
    yield from _left_out(case, -np.inf if is_of_maxima else 0.0)


def _left_out(case: Case, value: float) -> Iterator[Hypothesis]:
    """The last or first place of an input along an axis does not count: it holds value."""
    for x in case.op.inputs:
        array = case.originals[x.name]
        if not x.is_floating or array.ndim < 3:
            continue
        for axis in range(2, array.ndim):
            for place, which in ((-1, "last"), (0, "first")):
                changed = np.array(array, dtype=np.float64)
                changed[(slice(None),) * axis + (place,)] = value
                text = f"the {which} place of {x.name} along axis {axis} is left out"
                yield with_inputs(case, "loop bound", text, {x.name: changed})


def _of_step(case: Case, step: Step, text: str, change: Any, *, has_unknown: bool = False) -> Hypothesis:
    outputs = partial(run_with, case, at_step(step.number, change))
    return Hypothesis(kind="padding", text=text, outputs=outputs, has_unknown=has_unknown)


def _widths(step: Step) -> list[tuple[int, int]] | None:
    widths = np.asarray(step.args[1])
    return [(int(a), int(b)) for a, b in widths] if widths.shape == (rank(step.args[0]), 2) else None


def _around(case: Case, name: str, widths: list[tuple[int, int]]) -> Array | None:
    """The padded input as it lies in memory: NaN where that is not the case's."""
    strides = memory.true_strides(case, name)
    shape = [size + a + b for size, (a, b) in zip(case.inputs[name].shape, widths, strict=True)]
    start = -sum(before * stride for (before, _), stride in zip(widths, strides, strict=True))
    return memory.read(case, name, strides, shape, start)


def _filled(value: float, step: Step) -> Any:
    return step.function(*step.args, **{**step.kwargs, "constant_values": value})


def _read(around: Array, axis: int | None, side: int, step: Step) -> Any:
    """The padded array with the memory's values: on one side along an axis, or all around."""
    padded = np.array(step.compute(), dtype=np.float64)
    if axis is None:
        return around
    widths = _widths(step)
    assert widths is not None
    inner = [slice(a, size - b) for size, (a, b) in zip(padded.shape, widths, strict=True)]
    before, after = widths[axis]
    inner[axis] = slice(0, before) if side == 0 else slice(padded.shape[axis] - after, None)
    padded[tuple(inner)] = around[tuple(inner)]
    return padded
