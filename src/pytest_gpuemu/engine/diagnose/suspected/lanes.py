"""Suspicions of lanes beyond the end of a sum or maximum that hold a number: 0, or a finite -infinity.

Here: what such a lane holds at each step of the reference, computed beside it, so that the sizes of a case
stay what they are. Elsewhere: lanes that hold the memory behind an input (padding.py), steps (program.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs
from pytest_gpuemu.engine.diagnose.program import Step, run_with
from pytest_gpuemu.engine.diagnose.steps import (
    REDUCTIONS,
    described,
    length_name,
    padded_lengths,
    rank,
    reduced_axis,
    reduced_length,
)
from pytest_gpuemu.engine.op import Array

# Finite numbers that are written for infinity, and less these for -infinity.
_SENTINELS = (1e4, 65504.0, 1e9, 1e30)
_DEEPEST = 12


def lane_hypotheses(case: Case, steps: list[Step]) -> Iterator[Hypothesis]:
    """For each length that some step sums over: lanes up to the next multiple of a block take part, in all
    of the steps of this length or in one."""
    by_length: dict[int, list[Step]] = {}
    for step in steps:
        if step.name in REDUCTIONS and (size := reduced_length(step)) is not None:
            by_length.setdefault(size, []).append(step)
    names = {step.name for step in steps}
    fills = [0.0]
    if {"exp", "maximum.reduce"} & names:
        fills += [-number for number in _SENTINELS]
    if "minimum.reduce" in names:
        fills += _SENTINELS
    for size, reducing in by_length.items():
        if size < 1:
            continue
        called = length_name(case, size)
        for length in padded_lengths(size):
            for fill in fills:
                sign = "-" if fill < 0 else ""
                what = "which hold 0" if fill == 0 else f"which hold {fill:g} in place of {sign}infinity"
                for leaking in (None, *(reducing if len(reducing) > 1 else ())):
                    at = "in the reductions" if leaking is None else f"in {described(leaking)}"
                    yield Hypothesis(
                        kind="tail" if fill == 0 else "init",
                        text=f"the lanes from {called} = {size} up to {length}, {what}, take part {at}",
                        outputs=partial(_run, case, size, length, fill, leaking),
                    )


def _run(case: Case, size: int, length: int, fill: float, leaking: Step | None) -> Outputs | None:
    def with_lanes(step: Step) -> Any:
        axis = reduced_axis(step)
        if axis is None or step.name not in REDUCTIONS or step.args[0].shape[axis] != size:
            return step.compute()
        if leaking is not None and step.number != leaking.number:
            return step.compute()
        result = step.compute()
        lane = lane_of(step.args[0], step.sources[0], axis - step.args[0].ndim, size, fill)
        if rank(lane) and not step.kwargs.get("keepdims"):
            lane = np.take(np.broadcast_to(lane, _one_long(step.args[0].shape, axis)), 0, axis=axis)
        if step.name == "add.reduce":
            return result + (length - size) * lane
        return (np.maximum if step.name == "maximum.reduce" else np.minimum)(result, lane)

    return run_with(case, with_lanes, clamps=True)


def lane_of(value: Any, source: Step | None, axis: int, size: int, fill: float, depth: int = 0) -> Array:
    """What an operand holds in a lane beyond its end along an axis, counted from the last one: size 1 there.

    An operand that does not have this axis, or has one element along it, is the same in every lane; one of
    which no step is known is an input, and holds fill. Matrix products and the like of such inputs give 0.
    """
    array = np.asarray(value)
    if array.ndim < -axis or array.shape[axis] != size:
        return array
    if source is not None and source.name in REDUCTIONS:  # of a size of 1 it has this axis, and is of the row
        return array
    one = np.full((1,) * array.ndim, fill)
    if source is None or depth > _DEEPEST:
        return one
    if "." in source.name or not isinstance(getattr(source.function, "__self__", source.function), np.ufunc):
        if source.name != "where":
            return one
    elif source.name in ("matmul", "vecdot"):
        return np.zeros((1,) * array.ndim)
    lanes = []
    for given, made in zip(source.args, source.sources, strict=True):
        if np.asarray(given).dtype == bool and rank(given) >= -axis and np.shape(given)[axis] == size:
            lanes.append(np.take(given, [-1], axis=axis))
        else:
            lanes.append(lane_of(given, made, axis, size, fill, depth + 1))
    return np.asarray(source.function(*lanes))


def _one_long(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return (*shape[:axis], 1, *shape[axis + 1 :])
