"""Suspicions of a comparison that is wrong where both sides are equal: > for >=.

Here: outputs that take an input, or 0, exactly where an input is 0, 1 or a param. Elsewhere: where the wrong
elements lie by the values of an input (relations/values.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs, Right
from pytest_gpuemu.engine.op import Array


def edge_hypotheses(case: Case, wrongs: list[Wrong], right: Right) -> Iterator[Hypothesis]:
    """For each output of the shape of some inputs."""
    edges = dict.fromkeys((0.0, 1.0, -1.0))
    edges |= dict.fromkeys(float(value) for value in case.params.values() if isinstance(value, (int, float)))
    for wrong in wrongs:
        alike = {
            name: np.asarray(given, dtype=np.float64)
            for name, given in case.originals.items()
            if given.shape == wrong.shape and given.dtype.kind != "b"
        }
        for name, given in alike.items():
            for edge in edges:
                here = given == edge
                if not here.any() or here.all():
                    continue
                takes = {other: array for other, array in alike.items() if other != name}
                for what, array in (*takes.items(), ("0", np.zeros(wrong.shape))):
                    yield Hypothesis(
                        kind="edge",
                        text=f"where {name} is {edge:g}, {wrong.name} is {what}",
                        outputs=partial(_with_edge, right, wrong.name, here, array),
                    )


def _with_edge(right: Right, name: str, here: Array, array: Array) -> Outputs | None:
    outputs = right()
    if outputs is None or name not in outputs or outputs[name].shape != here.shape:
        return None
    return {**outputs, name: np.where(here, array, outputs[name])}
