"""Suspicions that are one changed step of the reference.

Here: their order. Elsewhere: the changes (reductions.py, numbers.py, arithmetic.py), the steps and how
they are run (program.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis
from pytest_gpuemu.engine.diagnose.program import Step, at_step, run_with
from pytest_gpuemu.engine.diagnose.suspected import arithmetic, numbers, reductions


def step_hypotheses(case: Case, steps: list[Step]) -> Iterator[Hypothesis]:
    """One changed step each, the likeliest kinds of change first."""
    makers = (
        reductions.blocks,
        reductions.rescaled,
        reductions.lost_updates,
        reductions.maxima,
        partial(numbers.counts, dims=case.plan.dims),
        reductions.axes,
        partial(numbers.scalars, dims=case.plan.dims),
        partial(arithmetic.terms, case=case),
        arithmetic.masks,
        arithmetic.functions,
    )
    for make in makers:
        for step in steps:
            for kind, text, change, clamps in make(step):
                run = partial(run_with, case, at_step(step.number, change), clamps=clamps)
                yield Hypothesis(kind=kind, text=text, outputs=run)
