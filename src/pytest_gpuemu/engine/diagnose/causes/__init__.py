"""The suspicion: which cause where, how and when agree on.

Here: the order in which evidence counts. It is silent where the clues say nothing or contradict each other.
Elsewhere: what each kind of evidence leads to (the modules of this package), the clues (where.py, relations/,
when.py), the suspected bugs that were computed (search.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_gpuemu.engine.diagnose.causes.circumstances import by_narrow_index, by_param
from pytest_gpuemu.engine.diagnose.causes.clues import by_clues, by_nonfinite, by_row_maximum
from pytest_gpuemu.engine.diagnose.causes.computed import by_shown, by_weakly_shown
from pytest_gpuemu.engine.diagnose.causes.findings import by_findings, by_nondeterminism
from pytest_gpuemu.engine.diagnose.causes.names import NAMES
from pytest_gpuemu.engine.diagnose.causes.seen import Needs, Seen
from pytest_gpuemu.engine.diagnose.diagnosis import Condition, Suspicion

__all__ = ["NAMES", "Needs", "Seen", "suspect"]


def suspect(seen: Sequence[Seen], needs: Needs, condition: Condition | None) -> Suspicion | None:
    """The suspicion that all clues speak for, or None. seen begins with the failure itself."""
    return (
        by_narrow_index(seen[0], condition)
        or by_findings(seen, needs)
        or by_row_maximum(seen)
        or by_shown(seen, needs)
        or by_nonfinite(seen, needs)
        or by_param(condition)
        or by_weakly_shown(seen, needs)
        or by_nondeterminism(seen, needs, condition)
        or by_clues(seen, needs, condition)
    )
