"""Causes that follow from how the elements are wrong.

Here: what each relation is evidence for. Elsewhere: the relations (relations/), the circumstances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_gpuemu.engine.diagnose.causes.circumstances import by_condition, by_needs
from pytest_gpuemu.engine.diagnose.causes.names import named
from pytest_gpuemu.engine.diagnose.causes.seen import MADE, TAILS, Needs, Seen
from pytest_gpuemu.engine.diagnose.diagnosis import Condition, Suspicion
from pytest_gpuemu.engine.diagnose.terms import NONFINITE

# In float32, rounding alone makes less than this of the largest value.
_SLIGHT_LEAST = 2.0**-20
# What is shifted is most of an output from this share on.
_MOST = 0.5
# Errors of rounding: at least so many, of which at least this share goes each way.
_FEWEST, _BOTH = 8, 0.05
# Relations of integers, which hold exactly: one plain case tells enough.
_EXACT = {"index in block", "narrowed"}
# How elements are wrong, where that says why by itself.
_FROM_HOW = (
    (("index in block", "narrowed"), "index"),
    (("log of zero",), "unstable"),
    (("sentinel",), "init"),
    (("off by one",), "truncation"),
    (("nan lost", "nonfinite lost"), "nan"),
    (("transposed", "reversed"), "axis"),
    (("shifted",), "index"),
    (("sign",), "sign"),
    (("zero rows",), "eps"),
    (("at value",), "edge"),
    (("smooth",), "formula"),
    (("rounded",), "precision"),
)


def by_row_maximum(seen: Sequence[Seen]) -> Suspicion | None:
    """Rows that are off by their own maximum, or exp of it, in most of the cases."""
    off = [
        clue.text
        for one in seen
        for clue in one.how
        if clue.kind in ("row ratio", "row offset") and "maximum" in (clue.evidence.get("name") or "")
    ]
    return named("missing maximum", "likely", off[0]) if 2 * len(off) > len(seen) else None


def by_nonfinite(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """NaN where infinities are among the values, and nothing wrong otherwise."""
    values = set(seen[0].plan.values.values())
    made = any(clue.kind == "nan made" for clue in seen[0].how)
    is_dense = set(seen[0].plan.layouts.values()) == {"contiguous"}
    only_values = needs.plain is False and (needs.alone == {"values"} or (not needs.alone and is_dense))
    permuted = any(clue.kind == "permuted" for clue in seen[0].how)
    if only_values and values & NONFINITE and made and not permuted:
        return named("nan made", "likely", "it fails where infinities are among the values")
    return None


def by_clues(seen: Sequence[Seen], needs: Needs, condition: Condition | None) -> Suspicion | None:
    """What follows from how the elements are wrong, and when."""
    by_kind = [{clue.kind: clue for clue in one.how} for one in seen]
    how = {kind: clue for found in reversed(by_kind) for kind, clue in found.items()}
    counts = Counter(kind for found in by_kind for kind in found)
    often = {kind for kind in how if 2 * counts[kind] >= len(by_kind) + (kind not in by_kind[0])}
    where = {clue.kind: clue for one in reversed(seen) for clue in one.where}
    plain = next((found for one, found in zip(seen, by_kind, strict=True) if one.role == "plain"), None)
    decisive = often if plain is None else set(plain)
    for one, clues in zip(seen, by_kind, strict=True):
        if "smooth" in clues and one.role in ("plain", "aligned"):
            return named("formula", "likely", clues["smooth"].text)
    if "permuted" in decisive and (found := _by_permuted(seen, needs)) is not None:
        return found
    shifted = [one for one, found in zip(seen, by_kind, strict=True) if "shifted" in found]
    if 2 * sum(map(_is_of_most, shifted)) < len(shifted):
        often -= {"shifted"}  # a few elements that hold a neighbour's value have many causes
    for kinds, suspicion in _FROM_HOW:
        telling = often | (decisive & _EXACT)
        kind = next((kind for kind in kinds if kind in telling), None)
        if kind is not None:
            return named(suspicion, "likely", how[kind].text)
    if needs.plain is False:
        found = by_needs(seen, needs, how)
        if found is not None:
            return found
    if (found := by_condition(seen[0], needs, condition)) is not None:
        return found
    if "zeros" in decisive and TAILS & set(where):
        return named("unwritten", "likely", where[min(TAILS & set(where))].text, how["zeros"].text)
    # In other cases float16 may overflow.
    makes_nonfinite = bool(MADE & set(by_kind[0] if plain is None else plain))
    if "slight" in decisive and not makes_nonfinite:
        hints = [hint for one in seen for hint in one.verdict.hints]
        if any("less stable form" in hint for hint in hints) and needs.plain is not True:
            return named("unstable", "likely", how["slight"].text)
        slight = how["slight"].evidence if plain is None else plain["slight"].evidence
        rounded = any(shown.kind == "precision" for one in seen if one.role == "plain" for shown in one.shown)
        is_rounding = rounded or _is_of_both_signs(slight)
        if needs.plain is True and slight["share"] >= _SLIGHT_LEAST and is_rounding:
            return named("precision", "likely", how["slight"].text)
        if any("storage" in hint for hint in hints):
            return named("precision", "likely", how["slight"].text)
    ratio = how.get("ratio")
    if "ratio" in decisive and ratio is not None and ratio.evidence.get("name"):
        return named("factor", "likely", ratio.text)
    return None


def _is_of_both_signs(slight: Mapping[str, Any]) -> bool:
    """Whether enough small errors go up as well as down, as those of rounding do and those of a wrong term
    do not."""
    return bool(slight["count"] >= _FEWEST and _BOTH <= slight["positive"] <= 1 - _BOTH)


def _is_of_most(one: Seen) -> bool:
    """Whether what is shifted is most of an output."""
    names = {clue.output for clue in one.how if clue.kind == "shifted"}
    masks = [x.exceeding for x in one.verdict.comparisons if x.name in names and x.exceeding is not None]
    return any(mask.size and mask.mean() >= _MOST for mask in masks)


def _by_permuted(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """Values in a wrong order, where NaN is among them."""
    clue = next(clue for one in seen for clue in one.how if clue.kind == "permuted")
    values = set(seen[0].plan.values.values())
    if needs.plain is False and values & NONFINITE and clue.evidence["nan"]:
        return named("nan", "likely", f"{clue.text}, where NaN is among them: it is not ordered as NaN is")
    return None
