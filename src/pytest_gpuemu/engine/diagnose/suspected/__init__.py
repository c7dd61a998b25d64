"""The suspected bugs that can be computed: the reference with one of them in it.

Here: their order. Elsewhere: each kind (the modules of this package), which of them agree (search.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.evidence import Wrong
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, unaltered
from pytest_gpuemu.engine.diagnose.program import record
from pytest_gpuemu.engine.diagnose.suspected.borders import border_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.edges import edge_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.fitting import fitted_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.indices import index_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.inputs import input_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.lanes import lane_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.loops import loop_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.one_step import step_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.padding import padding_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.params import param_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.precision import precision_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.stores import store_hypotheses
from pytest_gpuemu.engine.diagnose.suspected.uses import use_hypotheses


def every_hypothesis(case: Case, wrongs: list[Wrong]) -> Iterator[Hypothesis]:
    """All suspected bugs of a case, the likeliest kinds first."""
    right = unaltered(case)
    yield from input_hypotheses(case)
    yield from param_hypotheses(case)
    yield from index_hypotheses(case)
    yield from store_hypotheses(case, wrongs, right)
    yield from edge_hypotheses(case, wrongs, right)
    steps = record(case)
    yield from step_hypotheses(case, steps)
    yield from use_hypotheses(case, steps)
    if len(wrongs) == 1:
        yield from fitted_hypotheses(case, wrongs[0], steps)
    yield from border_hypotheses(case, steps)
    yield from loop_hypotheses(case, steps, right)
    yield from lane_hypotheses(case, steps)
    yield from padding_hypotheses(case, steps, right)
    yield from precision_hypotheses(case, steps)
