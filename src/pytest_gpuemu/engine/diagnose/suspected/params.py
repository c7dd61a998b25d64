"""Suspicions of params: one that is ignored, rounded, used in another form, or taken for another one.

Here: other params to the same reference, also where they give another shape. Elsewhere: other inputs
(inputs.py), a float param that has to be fitted (fitting.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, altered
from pytest_gpuemu.engine.verdict import Verdict

# Params that say which axis is meant, and those that are an eps.
_AXES = ("dim", "axis", "dims", "axes")
_EPS = ("eps", "epsilon")


def param_hypotheses(case: Case) -> Iterator[Hypothesis]:
    """A param that is ignored, or used in another form. A larger output is cropped to the kernel's."""
    for name, value in case.params.items():
        choices = [choice for param in case.op.params if param.name == name for choice in param.choices]
        for other in _other_values(value):
            if type(value) is int and other <= 0 < value and other not in choices:
                continue  # a dilation of 0 is no param that somebody has forgotten
            negated = isinstance(value, float) and other == -value
            kind = "sign" if negated else "axis" if name in _AXES else "eps" if name in _EPS else "param"
            if negated and name in _EPS:
                continue
            yield Hypothesis(
                kind=kind,
                text=f"the sign of {name} is wrong"
                if negated
                else f"{name}={value!r} is ignored: the output is that of {name}={other!r}",
                outputs=partial(altered, case, params={name: other}, any_shape=True),
            )
        yield from _params_mixed_up(case, name, value)
        if isinstance(value, float) and value not in (0.0, 1.0):
            for other, form in ((value * value, "squared"), (abs(value) ** 0.5, "its root")):
                text = f"{name}={value!r} is used in another form ({form})"
                yield Hypothesis(
                    kind="constant", text=text, outputs=partial(altered, case, params={name: other})
                )


def of_another_shape(case: Case, verdict: Verdict) -> Hypothesis | None:
    """The first of these under which the reference has the shape that an output of the kernel has and should
    not have; None where no shape is wrong, or nothing gives it."""
    for finding in verdict.findings:
        told = re.search(r"has shape (\[[\d, ]*\])", finding.message)
        if finding.kind != "ShapeMismatch" or told is None or finding.output is None:
            continue
        shape = tuple(json.loads(told[1]))
        for hypothesis in param_hypotheses(case):
            outputs = hypothesis.outputs()
            if outputs is not None and finding.output in outputs and outputs[finding.output].shape == shape:
                return hypothesis
    return None


def _params_mixed_up(case: Case, name: str, value: Any) -> Iterator[Hypothesis]:
    """A param that is rounded to a narrow dtype, or another one in its place."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return
    for dtype in ("float16", "bfloat16") if isinstance(value, float) else ():
        rounded = float(dtypes.round_to(np.asarray(value), dtype))
        if rounded not in (value, 0.0):
            yield Hypothesis(
                kind="precision",
                text=f"the param {name} is rounded to {dtype}",
                outputs=partial(altered, case, params={name: rounded}),
            )
    for other, number in case.params.items():
        if other == name or type(number) is not type(value) or {name, other} & {*_EPS, *_AXES}:
            continue
        for sign, form in ((1, other), (-1, f"-{other}")):
            if sign * number != value:
                yield Hypothesis(
                    kind="operand" if isinstance(value, float) else "param",
                    text=f"{form} is used in place of the param {name}",
                    outputs=partial(altered, case, params={name: sign * number}, any_shape=True),
                )


def _other_values(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (other for other in dict.fromkeys((0, 1, value - 1, value + 1, -value)) if other != value)
    elif isinstance(value, float):
        yield from (other for other in (0.0, 1.0, -value) if other != value)
    elif isinstance(value, tuple) and value and all(isinstance(part, int) for part in value):
        for other in (0, 1):
            if (changed := (other,) * len(value)) != value:
                yield changed
