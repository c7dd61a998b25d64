"""Suspicions of the lanes beyond the end of an axis: those that a missing mask lets into a reduction.

Here: the case with an axis lengthened to a multiple of a block by the memory that lies there, and the
reference on it whose reductions leave these lanes out, but for one or all of them. Elsewhere: reading
that memory (memory.py), lanes that hold a number (lanes.py), the steps of the reference (program.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs, Right
from pytest_gpuemu.engine.diagnose.program import Step, run_with
from pytest_gpuemu.engine.diagnose.steps import (
    described,
    padded_lengths,
    reduced_length,
    restricted,
    scalar_place,
)
from pytest_gpuemu.engine.diagnose.suspected import memory
from pytest_gpuemu.engine.op import Array

_ROUNDING = 2.0**-30


def padding_hypotheses(case: Case, steps: list[Step], right: Right) -> Iterator[Hypothesis]:
    """For each dim that some step reduces: its lanes up to the next multiple of each block take part."""
    names = [x.name for x in case.op.inputs]
    owners: list[str | None] = [None]
    if len(names) > 1:
        owners += names
    for dim, size in case.plan.dims.items():
        reducing = [step for step in steps if reduced_length(step) == size]
        if not reducing or size < 1:
            continue
        for length in padded_lengths(size):
            for owner in owners:
                inputs = _lengthened(case, dim, length, owner)
                if inputs is None:
                    continue
                if not _Run(case, dim, size, length, inputs, None, leaks=False).gives(right()):
                    continue
                of = "" if owner is None else f" of {owner}"
                which = f"the lanes{of} from {dim} = {size} up to {length}"
                for leaking in (None, *reducing) if owner is None else (None,):
                    at = "in the reductions" if leaking is None else f"in {described(leaking)}"
                    yield Hypothesis(
                        kind="tail",
                        text=f"{which}, which hold what lies behind in memory, take part {at}",
                        outputs=_Run(case, dim, size, length, inputs, leaking),
                        has_unknown=True,
                    )


class _Run:
    """The reference on lengthened inputs; calling it gives the outputs in their own shape."""

    def __init__(
        self,
        case: Case,
        dim: str,
        size: int,
        length: int,
        inputs: Mapping[str, Array],
        leaking: Step | None,
        *,
        leaks: bool = True,
    ) -> None:
        self.case, self.dim, self.size, self.length = case, dim, size, length
        self.inputs, self.leaking, self.leaks = inputs, leaking, leaks

    def gives(self, right: Outputs | None) -> bool:
        """Whether it gives the reference's own outputs, as it must where no lane takes part: one that uses
        the size itself, as the root of it for a scale, does not."""
        found = self()
        if right is None or found is None:
            return False
        return all(
            name in found
            and found[name].shape == array.shape
            and np.allclose(found[name], array, rtol=_ROUNDING, atol=0.0, equal_nan=True)
            for name, array in right.items()
        )

    def __call__(self) -> Outputs | None:
        found = run_with(self.case, self._step, clamps=True, inputs=self.inputs, dims={self.dim: self.length})
        if found is None:
            return None
        return {name: self._cropped(array) for name, array in found.items()}

    def _step(self, step: Step) -> Any:
        is_leaking = self.leaks and (self.leaking is None or step.number == self.leaking.number)
        if reduced_length(step) == self.length and not is_leaking:
            return restricted(step, slice(0, self.size))
        place = scalar_place(step)
        if place is not None and abs(step.args[place] - self.length) in (0, 1, 2):
            # A count, or that less a correction, is that of the real elements.
            return step.with_argument(place, float(step.args[place]) - self.length + self.size)
        return step.compute()

    def _cropped(self, array: Array) -> Array:
        return array[tuple(slice(0, self.size) if n == self.length else slice(None) for n in array.shape)]


def _lengthened(case: Case, dim: str, length: int, owner: str | None) -> dict[str, Array] | None:
    """The inputs with every axis of that dim lengthened; None where the memory there is not known.

    With an owner the lanes of that input alone hold what lies there, those of the others 0.
    """
    found: dict[str, Array] = {}
    for x in case.op.inputs:
        axes = [axis for axis, expr in enumerate(x.dims) if str(expr) == dim]
        if not axes:
            continue
        if x.kind != "values":
            return None
        array = case.originals[x.name]
        shape = tuple(length if axis in axes else size for axis, size in enumerate(array.shape))
        if owner in (None, x.name):
            behind = memory.read(case, x.name, memory.true_strides(case, x.name), shape)
            if behind is None:
                return None
            found[x.name] = behind
        else:
            padded = np.zeros(shape)
            padded[tuple(map(slice, array.shape))] = array
            found[x.name] = padded
    return found if owner is None or owner in found else None
