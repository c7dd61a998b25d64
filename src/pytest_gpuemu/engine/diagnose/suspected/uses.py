"""Suspicions of a value that is used several times, and is right in all of its uses but one.

Here: one use of a step's result, with a part of that step forgotten. Elsewhere: a step that is wrong wherever
its result is used (arithmetic.py, reductions.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis
from pytest_gpuemu.engine.diagnose.program import Step, at_step, run_with
from pytest_gpuemu.engine.diagnose.steps import described, operand_name, rank

# Steps with a part that may be forgotten: how it is called, and the suspicion.
_PARTS = {
    "multiply": ("a factor", "term"),
    "add": ("a term", "term"),
    "subtract": ("a term", "term"),
    "divide": ("a divisor", "term"),
    "where": ("a mask", "mask"),
}


def use_hypotheses(case: Case, steps: list[Step]) -> Iterator[Hypothesis]:
    """For each use of a result that has several: without the other operand of the step that made it."""
    uses = Counter(
        source.number for step in steps for source in set(filter(None, step.sources)) if source.name in _PARTS
    )
    for step in steps:
        for place, source in enumerate(step.sources):
            if source is None or uses[source.number] < 2:
                continue
            what, kind = _PARTS[source.name]
            for kept in (1,) if source.name == "where" else (0, 1) if len(source.args) == 2 else ():
                if rank(source.args[kept]) == 0:
                    continue
                lost = operand_name(case, source, 1 - kept) or what
                yield Hypothesis(
                    kind=kind,
                    text=f"{lost} is forgotten in one of several uses of {described(source)} with it",
                    outputs=partial(run_with, case, at_step(step.number, partial(_with_part, place, kept))),
                )


def _with_part(place: int, kept: int, step: Step) -> Any:
    source = step.sources[place]
    assert source is not None
    part = np.asarray(source.args[kept], dtype=np.float64)
    return step.with_argument(place, np.broadcast_to(part, np.shape(step.args[place])))
