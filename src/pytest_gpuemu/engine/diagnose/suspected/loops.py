"""Suspicions of a whole loop: all that is summed along one length ends early, or an accumulator goes on.

Here: several steps of the reference that are changed at once. Elsewhere: one of them (reductions.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs, Right
from pytest_gpuemu.engine.diagnose.program import Step, run_with
from pytest_gpuemu.engine.diagnose.steps import BLOCKS, length_name, reduced_length, restricted


def loop_hypotheses(case: Case, steps: list[Step], right: Right) -> Iterator[Hypothesis]:
    """For each length that several steps sum along: what they give where the loop over it lacks a block."""
    by_length: dict[int, int] = {}
    for step in steps:
        if (size := reduced_length(step)) is not None:
            by_length[size] = by_length.get(size, 0) + 1
    for size, count in by_length.items():
        if count < 2:
            continue
        called = length_name(case, size)
        seen = {(0, size)}
        for block in reversed(BLOCKS):
            if block >= size:
                continue
            last, whole = (size - 1) // block * block, size // block * block
            for kind, text, low, high in (
                ("loop bound", f"lacks its last partial block of {block}", 0, whole),
                ("loop bound", f"lacks its last block of {block}", 0, last),
                ("accumulator", f"keeps its last block of {block} alone", last, size),
            ):
                if (low, high) not in seen:
                    seen.add((low, high))
                    outputs = partial(_restricted, case, size, slice(low, high))
                    yield Hypothesis(
                        kind=kind, text=f"the loop over {called} = {size} {text}", outputs=outputs
                    )
    yield from _not_reset(case, right)


def _not_reset(case: Case, right: Right) -> Iterator[Hypothesis]:
    """An output that has another one added to it: the accumulator of that goes on."""
    names = [x.name for x in case.op.outputs]
    for one in names:
        for two in names:
            if one != two:
                yield Hypothesis(
                    kind="accumulator",
                    text=f"the accumulator is not reset: {two} has {one} added to it",
                    outputs=partial(_added, right, one, two),
                )


def _added(right: Right, one: str, two: str) -> Outputs | None:
    outputs = right()
    if outputs is None or one not in outputs or two not in outputs:
        return None
    if outputs[one].shape != outputs[two].shape:
        return None
    return {**outputs, two: np.asarray(outputs[one]) + np.asarray(outputs[two])}


def _restricted(case: Case, size: int, chosen: slice) -> Outputs | None:
    def change(step: Step) -> Any:
        return restricted(step, chosen) if reduced_length(step) == size else step.compute()

    return run_with(case, change)
