"""Causes that were computed: suspected bugs under which the reference gives what the kernel gave.

Here: the choice among several, over all cases that were seen. Elsewhere: computing them (search.py).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pytest_gpuemu.engine.diagnose.causes.names import PRIORITY, named
from pytest_gpuemu.engine.diagnose.causes.seen import MADE, Needs, Seen
from pytest_gpuemu.engine.diagnose.diagnosis import Suspicion
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS
from pytest_gpuemu.engine.diagnose.search import Shown

_MOST_WEAK = 3
# NaN in the right places says nothing for these: memory that is not known is NaN, too.
_NEED_NUMBERS = {"precision", "constant", "strides"}
_OF_PARTIAL_BLOCKS = {"tail", "loop bound"}


def by_shown(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """The suspected bug that gives the output of most of the cases, and of the plainest above all."""
    searched = [one for one in seen if one.searched]
    strong = [_best_by_kind(one, needs, enough=True) for one in searched]
    votes = Counter(kind for found in strong for kind in found)
    if votes:
        least = max(1.0, len(searched) / 2)
        leading = {kind for kind, count in votes.items() if count >= least}
        for one, found in zip(searched, strong, strict=True):
            if one.role == "plain" and found:  # ordinary values tell most
                leading = leading & set(found) or set(found)
            elif one.role == "plain":
                leading = {kind for kind in leading if votes[kind] > 1}
        aligned = [
            set(found) for one, found in zip(searched, strong, strict=True) if one.role == "aligned" and found
        ]
        if aligned and leading & aligned[0]:
            leading &= aligned[0]
        leading = {
            kind
            for kind in leading
            if sum(found[kind].agreement.bits for found in strong if kind in found) >= 2 * ENOUGH_BITS
        }
        if leading:
            return _chosen(leading, seen, strong, votes, needs)
    return None


def by_weakly_shown(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """A suspected bug that puts NaN and infinities where the kernel has them, in each of several cases."""
    searched = [one for one in seen if one.searched]
    weak = [_best_by_kind(one, needs, enough=False) for one in searched]
    if len(weak) < 2:
        return None
    common = set.intersection(*map(set, weak))
    if any(clue.kind in MADE for one in searched for clue in one.how):
        common -= _NEED_NUMBERS
    common = {kind for kind in common if sum(found[kind].agreement.bits for found in weak) >= ENOUGH_BITS}
    if not 0 < len(common) <= _MOST_WEAK:
        return None
    return _chosen(common, seen, weak, Counter(common), needs)


def _best_by_kind(one: Seen, needs: Needs, *, enough: bool) -> dict[str, Shown]:
    """Of each kind of suspected bug that agrees with a case, the one with the most evidence.

    Strides are none of them where the kernel fails for contiguous inputs as well.
    """
    kinds: dict[str, Shown] = {}
    fails_dense = bool(needs.alone) and "layout" not in needs.alone
    for shown in one.shown:
        if fails_dense and shown.kind == "strides":
            continue
        if not shown.agreement.is_enough and (enough or shown.has_unknown):
            continue
        if shown.kind not in kinds or shown.agreement.bits > 1.05 * kinds[shown.kind].agreement.bits:
            kinds[shown.kind] = shown
    return kinds


def _chosen(
    leading: set[str],
    seen: Sequence[Seen],
    found: Sequence[Mapping[str, Shown]],
    votes: Counter[str],
    needs: Needs,
) -> Suspicion:
    best = {
        kind: max((shown[kind] for shown in found if kind in shown), key=lambda shown: shown.agreement.bits)
        for kind in leading
    }
    if needs.aligned is False and leading & _OF_PARTIAL_BLOCKS:
        leading = leading & _OF_PARTIAL_BLOCKS
    elif needs.aligned is True and leading - {"tail"}:
        leading = leading - {"tail"}
    most = max(votes[kind] for kind in leading)
    leading = {kind for kind in leading if votes[kind] == most}
    strongest = max(best[kind].agreement.bits for kind in leading)
    leading = {kind for kind in leading if best[kind].agreement.bits >= 0.8 * strongest}
    chosen = min(leading, key=PRIORITY.index)
    told = _of_smallest_block(best[chosen], found)
    return named(chosen, "shown", told.text + _of_another_case(told, seen, found))


def _of_another_case(told: Shown, seen: Sequence[Seen], found: Sequence[Mapping[str, Shown]]) -> str:
    """Whose sizes the text names, where these are not the failure's own."""
    searched = [one for one in seen if one.searched]
    owners = [case for case, of_kind in zip(searched, found, strict=True) if of_kind.get(told.kind) == told]
    own = seen[0].plan.dims
    if not re.search(r"\d", told.text) or any(case.plan.dims == own for case in owners):
        return ""
    sizes = ", ".join(f"{name} = {size}" for name, size in owners[0].plan.dims.items())
    return f" (in a case with {sizes})"


def _of_smallest_block(best: Shown, found: Sequence[Mapping[str, Shown]]) -> Shown:
    """The same bug, of the case that allows the smallest block: each names the largest that fits its size.

    Of several, that of the failure itself.
    """
    alike = [
        shown
        for of_kind in found
        if (shown := of_kind.get(best.kind)) and _without_numbers(shown.text) == _without_numbers(best.text)
    ]
    return min([*alike, best], key=lambda shown: _block(shown.text))


def _block(text: str) -> int:
    """The size of the block that a text names; 0 where it names none."""
    found = re.search(r"\bblocks? of (\d+)", text)
    return int(found[1]) if found else 0


def _without_numbers(text: str) -> str:
    return re.sub(r"\d+", "", text)
