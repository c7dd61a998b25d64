"""Suspicions of a value that is rounded to a narrow dtype on its way.

Here: an input or one step of the reference rounded. Elsewhere: the output itself rounded (relations/), the
other suspicions (one_step.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, with_inputs
from pytest_gpuemu.engine.diagnose.program import Step, at_step, run_with
from pytest_gpuemu.engine.diagnose.steps import described

_NARROW = ("float16", "bfloat16")


def precision_hypotheses(case: Case, steps: list[Step]) -> Iterator[Hypothesis]:
    """One place rounded to float16 or bfloat16, each."""
    for dtype in _NARROW:
        for x in case.op.inputs:
            if x.kind == "values" and dtypes.is_floating(case.plan.dtypes[x.name]):
                rounded = dtypes.round_to(dtypes.to_float64(case.originals[x.name]), dtype)
                text = f"{x.name} is rounded to {dtype}"
                yield with_inputs(case, "precision", text, {x.name: rounded})
        for step in steps:
            if not isinstance(step.result, (np.ndarray, np.generic)) or step.result.dtype.kind != "f":
                continue
            yield Hypothesis(
                kind="precision",
                text=f"the result of {described(step)} is rounded to {dtype}",
                outputs=partial(run_with, case, at_step(step.number, partial(_rounded, dtype=dtype))),
            )


def _rounded(step: Step, dtype: str) -> Any:
    return dtypes.round_to(np.asarray(step.compute(), dtype=np.float64), dtype)
