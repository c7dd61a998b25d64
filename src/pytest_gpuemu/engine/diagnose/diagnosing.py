"""Diagnosing a failed verdict.

Here: the order of the steps. Elsewhere: each step.
"""

from __future__ import annotations

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.diagnosis import Condition, Diagnosis
from pytest_gpuemu.engine.diagnose.slices import slice_to_show
from pytest_gpuemu.engine.verdict import Verdict


def diagnose(case: Case, verdict: Verdict, *, condition: Condition | None = None) -> Diagnosis:
    """What is known of a failure from its verdict, which still has its arrays. Runs no kernel, raises nothing.

    condition is what was found across cases, where that was looked for.
    """
    shown = None
    for comparison in verdict.comparisons:
        if comparison.exceeding is not None and shown is None:
            shown = slice_to_show(comparison.name, comparison.exceeding)
    return Diagnosis(when=condition, shown=shown)
