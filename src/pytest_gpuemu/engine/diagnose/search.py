"""The search among suspected bugs for those that give what the kernel gave.

Here: the budget, which agree, and which of them a passing case refutes. Elsewhere: the suspected bugs and
their order (suspected/), what agreement means (evidence.py), the choice among several (causes/).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.evidence import (
    ENOUGH_BITS,
    Agreement,
    Wrong,
    as_float64,
    beside_reference,
)
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, Outputs
from pytest_gpuemu.engine.diagnose.suspected import every_hypothesis
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.verdict import Verdict

MOST_SECONDS = 1.0
_MOST_ELEMENTS = 2**18
# What is known only in part (memory of others) must still say something of so many of the wrong elements.
_LEAST_KNOWN = 0.25
# A case passes, so that a bug which moves more of its elements than rounding may be off is not there.
_PASSING_KEPT = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A suspected bug that gives what the kernel gave."""

    kind: str
    text: str
    agreement: Agreement
    has_unknown: bool
    explains_unwritten: bool = False


def find_shown(case: Case, wrongs: list[Wrong], time_s: float = MOST_SECONDS) -> list[Shown]:
    """The suspected bugs that account for every wrong output of a case, the likeliest first.

    No further one is tried after time_s seconds of this thread's own time. Nothing for a case so large that a
    run of its reference takes long.
    """
    sizes = [array.size for array in case.originals.values()] + [wrong.output.size for wrong in wrongs]
    if not wrongs or sum(sizes) > _MOST_ELEMENTS:
        return []
    started = time.thread_time()
    found: list[Shown] = []
    seen: set[str] = set()
    with np.errstate(all="ignore"):
        for hypothesis in _of_every_reference(case, wrongs, found):
            if time.thread_time() - started > time_s:
                break
            outputs = hypothesis.outputs()
            if outputs is None:
                continue
            agreement = _agreement(hypothesis, wrongs, outputs)
            if agreement is None or not agreement.fits:
                continue
            if hypothesis.is_fitted and agreement.bits < 2 * ENOUGH_BITS:
                continue
            if hypothesis.full_text not in seen:
                seen.add(hypothesis.full_text)
                found.append(
                    Shown(
                        kind=hypothesis.kind,
                        text=hypothesis.full_text,
                        agreement=agreement,
                        has_unknown=hypothesis.has_unknown,
                        explains_unwritten=hypothesis.explains_unwritten,
                    )
                )
    return found


def refuted(case: Case, verdict: Verdict, shown: Iterable[Shown], time_s: float = MOST_SECONDS) -> set[str]:
    """Those of the suspected bugs, by their text, that a case refutes which the kernel passes.

    With such a bug the kernel would give something else there. The case is of the same sizes as the one that
    the bugs were found with, since their texts name these.
    """
    texts = {one.text for one in shown}
    outputs = [found for x in verdict.comparisons if (found := beside_reference(x)) is not None]
    started = time.thread_time()
    against: set[str] = set()
    for_it: set[str] = set()  # of several references one is enough
    if not texts or not outputs:
        return against
    with np.errstate(all="ignore"):
        for hypothesis in _of_every_reference(case, [], []):
            if time.thread_time() - started > time_s:
                break
            if hypothesis.text not in texts or (computed := hypothesis.outputs()) is None:
                continue
            keeps = all(
                suspected is None or right.share_kept(as_float64(suspected)) >= _PASSING_KEPT
                for right in outputs
                for suspected in [_cropped(computed.get(right.name), right.shape)]
            )
            (for_it if keeps else against).add(hypothesis.text)
    return against - for_it


def _of_every_reference(case: Case, wrongs: list[Wrong], found: list[Shown]) -> Iterator[Hypothesis]:
    """The suspicions of the first reference, and as long as nothing was found of the others."""
    for reference in case.op.references:
        others = [other for other in case.op.references if other is not reference]
        yield from every_hypothesis(
            replace(case, op=replace(case.op, references=(reference, *others))), wrongs
        )
        if found:
            return


def _cropped(array: Array | None, shape: tuple[int, ...]) -> Array | None:
    """The first elements along each axis, where the output became larger; None where it is smaller."""
    if array is None or array.ndim != len(shape):
        return None
    if any(given < wanted for given, wanted in zip(array.shape, shape, strict=True)):
        return None
    return array[tuple(map(slice, shape))]


def _agreement(hypothesis: Hypothesis, wrongs: list[Wrong], outputs: Outputs) -> Agreement | None:
    """How well all wrong outputs agree at once: the smallest shares, all the evidence."""
    found = []
    for wrong in wrongs:
        suspected = _cropped(outputs.get(wrong.name), wrong.shape)
        if suspected is None:
            return None
        values = np.asarray(suspected, dtype=np.float64)
        valid = None
        if hypothesis.has_unknown:
            valid = np.ones(values.size, dtype=bool)
            unknown = np.isnan(values.reshape(-1)[wrong.at]) & ~np.isnan(wrong.output)
            valid[wrong.at[unknown]] = False
            if valid[wrong.at[wrong.exceeding]].mean() < _LEAST_KNOWN:
                return None
        agreement = wrong.agreement(values, valid)
        if agreement is None:
            return None
        found.append(agreement)
    return Agreement(
        explained=min(x.explained for x in found),
        kept=min(x.kept for x in found),
        bits=sum(x.bits for x in found),
        strays=max(x.strays for x in found),
    )
