"""Causes that a check beyond values has found: an input written into, unwritten elements, a race.

Here: these. Elsewhere: the checks (second_run.py, buffers.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pytest_gpuemu.engine.diagnose.causes.names import named
from pytest_gpuemu.engine.diagnose.causes.seen import TAILS, Needs, Seen
from pytest_gpuemu.engine.diagnose.diagnosis import Condition, Suspicion

_FINDINGS = {
    "InputModified": "input modified",
    "Unwritten": "unwritten",
    "GuardOverwritten": "out of bounds",
    "Cached": "stale",
    "DTypeMismatch": "dtype",
}
_BORDERS_OF_OFFSETS = {2**15, 2**16, 2**31, 2**32}
_MOVED = {"shifted", "transposed", "reversed", "sign"}


def by_findings(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """What the checks beyond values have found, which is a cause by itself."""
    kinds = [finding.kind for finding in seen[0].verdict.findings]
    for kind, suspicion in _FINDINGS.items():
        if kind in kinds:
            finding = seen[0].verdict.findings[kinds.index(kind)]
            return named(suspicion, "shown", finding.message.removeprefix(f"{finding.output}: "))
    shapes = [one.misshapen for one in seen if one.misshapen is not None]
    if shapes and 2 * len(shapes) >= len(seen):
        return shapes[0]
    if needs.unwritten is None:
        return None
    for one in seen:
        for shown in one.shown:
            if shown.explains_unwritten and shown.agreement.is_enough:
                return named(shown.kind, "shown", shown.text)
    for comparison in seen[0].verdict.comparisons:
        if comparison.exceeding is not None and comparison.exceeding.any():
            wrong = np.flatnonzero(comparison.exceeding)
            if wrong[0] in _BORDERS_OF_OFFSETS and wrong.size == comparison.exceeding.size - wrong[0]:
                text = f"{needs.unwritten}; these are all from element {wrong[0]} on"
                return named("index overflow", "shown", text)
    return named("unwritten", "shown", needs.unwritten)


def by_nondeterminism(seen: Sequence[Seen], needs: Needs, condition: Condition | None) -> Suspicion | None:
    """What differs between two runs: a race, or memory that is read before it is written.

    Wrong strides read other memory in each run as well.
    """
    for finding in seen[0].verdict.findings:
        if finding.kind == "Nondeterministic":
            return named("race", "likely", finding.message)
    moved = any(clue.kind in _MOVED for one in seen if one.role == "plain" for clue in one.how)
    by_layout = needs.alone == {"layout"} or (condition is not None and "layout" in condition.kinds)
    if needs.nondeterministic is None or moved or by_layout:
        return None
    places = [clue for one in seen if one.role in ("first", "plain") for clue in one.where]
    tails = [clue for clue in places if clue.kind in TAILS]
    if tails:
        return named("unwritten", "likely", f"{tails[0].text}, and holds other values in another run")
    return named("race", "likely", needs.nondeterministic)
