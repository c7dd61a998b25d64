"""What is known when a cause is looked for: what failing cases showed, and what a case needs to fail.

Here: the data classes. Elsewhere: filling them (diagnosing.py, investigating.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Suspicion
from pytest_gpuemu.engine.diagnose.search import Shown
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.verdict import Verdict

TAILS = {"tail", "last", "flat tail"}
# Relations of elements that should be finite numbers.
MADE = {"nan made", "inf made"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one failing case showed. searched: suspected bugs were looked for.

    role is "first" (the failure itself), "plain", "aligned" or "further". misshapen is what gives the wrong
    shape of an output. summed holds the dims that the reference sums or compares along, pointed_at those that
    indices among the inputs point into.
    """

    plan: Plan
    verdict: Verdict
    where: Sequence[Clue] = ()
    how: Sequence[Clue] = ()
    shown: Sequence[Shown] = ()
    searched: bool = True
    role: str = "first"
    misshapen: Suspicion | None = None
    summed: frozenset[str] = frozenset()
    pointed_at: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a failing case needs in order to fail, as found by making it plain.

    plain: it fails with everything plain; None where that was not tried. alone: otherwise the things that
    suffice alone, of "layout", "values", "dtype". aligned: whether it fails with every dim a multiple of 64.
    unwritten: what showed that elements were never written.
    """

    plain: bool | None = None
    alone: frozenset[str] = frozenset()
    aligned: bool | None = None
    unwritten: str | None = None
    nondeterministic: str | None = None
