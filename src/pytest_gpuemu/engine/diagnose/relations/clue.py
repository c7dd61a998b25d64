"""What each relation is made of: a clue, and the test that it has to pass.

Here: making one. Elsewhere: the relations (the other modules of this package).
"""

from __future__ import annotations

from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS, Agreement, Wrong
from pytest_gpuemu.engine.op import Array

EXPLAINED = 0.97


def clue_of(kind: str, wrong: Wrong, text: str, explained: float, **evidence: object) -> Clue:
    return Clue(kind=kind, output=wrong.name, text=text, explained=explained, evidence=evidence)


def agreed(wrong: Wrong, suspected: Array, valid: Array | None = None) -> Agreement | None:
    """How well suspected agrees with the output, where a relation holds; None where it does not."""
    agreement = wrong.agreement(suspected, valid)
    if agreement is None or agreement.explained < EXPLAINED or agreement.bits < ENOUGH_BITS:
        return None
    return agreement
