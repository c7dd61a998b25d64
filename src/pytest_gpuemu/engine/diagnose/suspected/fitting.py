"""Suspicions of a constant that has another value: which value fits the output best.

Here: the fit, of one number of the reference or of one of its params. Elsewhere: numbers that are left out,
squared or off by one (one_step.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs, altered
from pytest_gpuemu.engine.diagnose.program import Step, at_step, run_with
from pytest_gpuemu.engine.diagnose.steps import scalar_place
from pytest_gpuemu.engine.diagnose.suspected.numbers import is_count

_ROUNDS = 12
_STEP = 2.0**-12
_FURTHEST = 2e4


def fitted_hypotheses(case: Case, wrong: Wrong, steps: list[Step]) -> Iterator[Hypothesis]:
    """For each number of the reference and each float param, the value that gives what the kernel gave."""
    for name, value in case.params.items():
        if isinstance(value, float) and value != 0 and np.isfinite(value):
            compute = partial(_with_param, case, name)
            yield _fitted(wrong, compute, value, f"the param {name}", "constant")
    for step in steps:
        place = scalar_place(step)
        if place is None or step.name not in ("add", "subtract", "multiply", "true_divide", "divide"):
            continue
        value = float(step.args[place])
        kind = "constant"
        if step.name in ("add", "subtract") and abs(value) < 0.01:
            kind = "eps"
        elif step.name in ("true_divide", "divide") and place == 1 and value == int(value):
            kind = "count" if is_count(value, step, case.plan.dims) else "constant"
        compute = partial(_with_number, case, step.number, place)
        yield _fitted(wrong, compute, value, f"the number {value:.6g} of the reference", kind)


def _with_param(case: Case, name: str, value: float) -> Outputs | None:
    return altered(case, params={name: value})


def _with_number(case: Case, number: int, place: int, value: float) -> Outputs | None:
    return run_with(case, at_step(number, lambda step: step.with_argument(place, value)))


class _Fit:
    """The fit, made when it is first asked for. text is completed by the value found."""

    def __init__(self, wrong: Wrong, compute: Callable[[float], Outputs | None], start: float) -> None:
        self.wrong, self.compute, self.start = wrong, compute, start
        self.value = start

    def __call__(self) -> Outputs | None:
        outputs = self.compute(self.start)
        for _ in range(_ROUNDS):
            step = abs(self.value) * _STEP
            moved = self.compute(self.value + step)
            change = self._change(outputs, moved, step)
            if change is None or not np.isfinite(change):
                return None
            self.value += change
            outputs = self.compute(self.value)
            if abs(change) < 1e-7 * abs(self.value):
                break
        return outputs if self._is_plausible() else None

    def _is_plausible(self) -> bool:
        """Whether somebody may have written this number for the other: one far off stands for another bug."""
        return 1 / _FURTHEST < abs(self.value / self.start) < _FURTHEST

    def _change(self, outputs: Outputs | None, moved: Outputs | None, step: float) -> float | None:
        """What the number has to change by, by the median of the wrong elements that it moves most."""
        name = self.wrong.name
        if outputs is None or moved is None or name not in outputs or name not in moved:
            return None
        if outputs[name].shape != self.wrong.shape or moved[name].shape != self.wrong.shape or step == 0:
            return None
        with np.errstate(all="ignore"):
            at = self.wrong.at[self.wrong.exceeding]
            now = np.asarray(outputs[name].reshape(-1)[at], dtype=np.float64)
            slope = (np.asarray(moved[name].reshape(-1)[at], dtype=np.float64) - now) / step
            left = self.wrong.output[self.wrong.exceeding] - now
            size = np.abs(slope)
            usable = np.isfinite(slope) & np.isfinite(left) & (size > 0)
            if not usable.any():
                return None
            usable &= size >= np.quantile(size[usable], 0.5)
            return float(np.median(left[usable] / slope[usable]))


def _fitted(
    wrong: Wrong, compute: Callable[[float], Outputs | None], start: float, what: str, kind: str
) -> Hypothesis:
    fit = _Fit(wrong, compute, start)
    return Hypothesis(kind=kind, text=what, outputs=fit, completed=lambda: f"{what} is {fit.value:.6g}")
