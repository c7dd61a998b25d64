"""Diagnosing a failed verdict: what its arrays tell.

Here: the order of the steps. Elsewhere: each step; running the kernel again to learn more (investigating.py).
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.causes import Needs, Seen, suspect
from pytest_gpuemu.engine.diagnose.causes.names import named
from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Condition, Diagnosis, Suspicion
from pytest_gpuemu.engine.diagnose.evidence import wrong_outputs
from pytest_gpuemu.engine.diagnose.relations import find_relations, told_apart
from pytest_gpuemu.engine.diagnose.search import MOST_SECONDS, find_shown
from pytest_gpuemu.engine.diagnose.slices import slice_to_show
from pytest_gpuemu.engine.diagnose.steps import summed_dims
from pytest_gpuemu.engine.diagnose.suspected.params import of_another_shape
from pytest_gpuemu.engine.diagnose.where import find_places
from pytest_gpuemu.engine.verdict import Verdict

_MOST_PLACES, _MOST_RELATIONS = 2, 1


def diagnose(
    case: Case, verdict: Verdict, *, condition: Condition | None = None, time_s: float = MOST_SECONDS
) -> Diagnosis:
    """What is known of a failure from its verdict, which has its arrays. Runs no kernel, raises nothing.

    condition is what was found across cases, where that was looked for. The reference is run again on altered
    inputs, for at most time_s seconds of this thread's own time.
    """
    seen = look_at(case, verdict, time_s)
    return diagnosis_of(seen, condition, suspect([seen], Needs(), condition))


def look_at(case: Case, verdict: Verdict, time_s: float = MOST_SECONDS) -> Seen:
    """Where and how the outputs of one failing case are wrong, and which suspected bugs give the same."""
    where: list[Clue] = []
    how: list[Clue] = []
    wrongs = wrong_outputs(verdict)
    by_name = {wrong.name: wrong for wrong in wrongs}
    for comparison in verdict.comparisons:
        mask, output = comparison.exceeding, comparison.output
        if comparison.name not in by_name or mask is None or output is None:
            continue
        given = np.asarray(output, dtype=np.float64)
        where += find_places(comparison.name, mask, given, comparison.reference)
        how += find_relations(case, by_name[comparison.name], comparison)
    shown = find_shown(case, wrongs, time_s) if time_s > 0 else []
    return Seen(
        plan=case.plan,
        verdict=verdict,
        where=where,
        how=how,
        shown=shown,
        searched=time_s > 0,
        misshapen=_misshapen(case, verdict),
        summed=summed_dims(case),
        pointed_at=frozenset(name for x in case.op.inputs if x.of is not None for name in x.of.names),
    )


def _misshapen(case: Case, verdict: Verdict) -> Suspicion | None:
    with np.errstate(all="ignore"):
        found = of_another_shape(case, verdict)
    if found is None:
        return None
    return named(found.kind, "shown", f"the shape of the output is as if {found.text}")


def diagnosis_of(seen: Seen, condition: Condition | None, suspicion: Suspicion | None) -> Diagnosis:
    """The diagnosis of what was seen of one case."""
    verdict = seen.verdict
    several = len(verdict.comparisons) > 1
    shown = None
    for comparison in verdict.comparisons:
        if comparison.exceeding is not None and shown is None:
            shown = slice_to_show(comparison.name, comparison.exceeding)
    return Diagnosis(
        where=tuple(told_apart(list(seen.where[:_MOST_PLACES]), several)),
        how=tuple(told_apart(list(seen.how[:_MOST_RELATIONS]), several)),
        when=condition,
        suspicion=suspicion,
        shown=shown,
    )
