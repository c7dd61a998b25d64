"""The suspicion: which cause where, how and when agree on.

Here: what each clue is evidence for, and the choice. It is silent where the clues say nothing or contradict
each other. Elsewhere: the clues (where.py, relations/, when.py), the suspected bugs that were computed
(search.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Condition, Suspicion
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS
from pytest_gpuemu.engine.diagnose.search import Shown
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.verdict import Verdict

# What a kind of suspicion is called in a report.
NAMES: Mapping[str, str] = {
    "accumulator": "an accumulator is overwritten or not reset",
    "axis": "a wrong axis",
    "carry": "what is carried from block to block is lost",
    "causal": "the causal mask is misplaced",
    "clamp": "a value is clamped that should not be",
    "constant": "a wrong constant",
    "count": "a wrong count to divide by",
    "dtype": "a wrong output dtype",
    "edge": "a comparison is wrong at its edge: > and >= are mixed up",
    "eps": "eps is wrong or misplaced",
    "factor": "a factor is missing or wrong",
    "formula": "a wrong formula",
    "head mapping": "heads are mapped in the wrong order",
    "index": "a wrong index",
    "index overflow": "an offset overflows the bits that it is kept in",
    "init": "a running maximum or minimum starts at a finite value",
    "input modified": "the kernel writes into its input",
    "loop bound": "a loop ends early",
    "lost update": "updates are lost: a store where an atomic addition is meant",
    "mask": "a mask is not applied, or not everywhere",
    "missing maximum": "the maximum is not subtracted before exp",
    "nan": "NaN or infinity is swallowed",
    "nan made": "infinities that cancel give NaN",
    "operand": "an operand is forgotten or mixed up",
    "out of bounds": "the kernel writes outside of its output",
    "overflow": "a step on the way overflows",
    "padding": "the padding is wrong",
    "param": "a param is ignored or misused",
    "precision": "a value is kept in too low a precision",
    "race": "a race, or memory that is read before it is written",
    "rescale": "older blocks are not rescaled in an online softmax",
    "sign": "a wrong sign or exchanged operands",
    "stale": "a result of an earlier call is given again",
    "strides": "strides are ignored: the kernel reads as if its input were contiguous",
    "tail": "a tail mask leaks into a reduction",
    "term": "a term is missing",
    "truncation": "a quotient or code is rounded in the wrong direction",
    "unstable": "an unstable form: a difference of large numbers loses the digits",
    "unwritten": "part of the output is never written (grid, bound or mask of the store)",
}

# Of several suspicions that agree as well, the first of these: a bug that many kernels have before a chance.
_PRIORITY = (
    "strides",
    "accumulator",
    "lost update",
    "rescale",
    "carry",
    "tail",
    "loop bound",
    "head mapping",
    "causal",
    "missing maximum",
    "nan",
    "init",
    "eps",
    "count",
    "padding",
    "param",
    "factor",
    "operand",
    "axis",
    "index",
    "sign",
    "mask",
    "term",
    "formula",
    "clamp",
    "constant",
    "unstable",
    "precision",
)
_FINDINGS = {
    "InputModified": "input modified",
    "Unwritten": "unwritten",
    "GuardOverwritten": "out of bounds",
    "Cached": "stale",
    "DTypeMismatch": "dtype",
}
# In float32, rounding alone makes less than this of the largest value.
_SLIGHT_LEAST = 2.0**-20
_MOST_WEAK = 3
_INDEX_KINDS = {
    "index",
    "offsets",
    "permutation",
}  # what a plan has in the place of these inputs' distributions
# NaN in the right places says nothing for these: memory that is not known is NaN, too.
_NEED_NUMBERS = {"precision", "constant", "strides"}
_OF_PARTIAL_BLOCKS = {"tail", "loop bound"}
# Offsets of so many bits end here.
_BORDERS_OF_INDICES = {127, 128, 255, 256, 32767, 32768, 65535, 65536}
_BORDERS_OF_OFFSETS = {2**15, 2**16, 2**31, 2**32}
_NONFINITE = {"nonfinite", "nonfinite_rows"}
_TAILS = {"tail", "last", "flat tail"}
_MOVED = {"shifted", "transposed", "reversed", "sign"}
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
    (("at value",), "edge"),
    (("smooth",), "formula"),
    (("rounded",), "precision"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one failing case showed. searched: suspected bugs were looked for.

    role is "first" (the failure itself), "plain", "aligned" or "further". summed holds the dims that the
    reference sums or compares along.
    """

    plan: Plan
    verdict: Verdict
    where: Sequence[Clue] = ()
    how: Sequence[Clue] = ()
    shown: Sequence[Shown] = ()
    searched: bool = True
    role: str = "first"
    summed: frozenset[str] = frozenset()


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


def suspect(seen: Sequence[Seen], needs: Needs, condition: Condition | None) -> Suspicion | None:
    """The suspicion that all clues speak for, or None. seen begins with the failure itself."""
    return (
        _by_narrow_index(seen[0], condition)
        or _by_findings(seen, needs)
        or _by_row_maximum(seen)
        or _by_shown(seen, needs)
        or _by_nonfinite(seen, needs)
        or _by_weakly_shown(seen, needs)
        or _by_nondeterminism(seen, needs)
        or _by_clues(seen, needs, condition)
    )


def _by_findings(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """What the checks beyond values have found, which is a cause by itself."""
    kinds = [finding.kind for finding in seen[0].verdict.findings]
    for kind, suspicion in _FINDINGS.items():
        if kind in kinds:
            message = seen[0].verdict.findings[kinds.index(kind)].message
            return _named(suspicion, "shown", message.partition(": ")[2] or message)
    if needs.unwritten is None:
        return None
    for one in seen:
        for shown in one.shown:
            if shown.explains_unwritten and shown.agreement.is_enough:
                return _named(shown.kind, "shown", shown.text)
    for comparison in seen[0].verdict.comparisons:
        if comparison.exceeding is not None and comparison.exceeding.any():
            wrong = np.flatnonzero(comparison.exceeding)
            if wrong[0] in _BORDERS_OF_OFFSETS and wrong.size == comparison.exceeding.size - wrong[0]:
                text = f"{needs.unwritten}; these are all from element {wrong[0]} on"
                return _named("index overflow", "shown", text)
    return _named("unwritten", "shown", needs.unwritten)


def _by_row_maximum(seen: Sequence[Seen]) -> Suspicion | None:
    """Rows that are off by their own maximum, or exp of it, in most of the cases."""
    named = []
    for one in seen:
        for clue in one.how:
            if clue.kind in ("row ratio", "row offset") and "maximum" in (clue.evidence.get("name") or ""):
                named.append(clue.text)
    return _named("missing maximum", "likely", named[0]) if 2 * len(named) > len(seen) else None


def _by_nondeterminism(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    for finding in seen[0].verdict.findings:
        if finding.kind == "Nondeterministic":
            return _named("race", "likely", finding.message)
    moved = any(clue.kind in _MOVED for one in seen if one.role == "plain" for clue in one.how)
    if needs.nondeterministic is None or moved:
        return None
    places = [clue for one in seen if one.role in ("first", "plain") for clue in one.where]
    tails = [clue for clue in places if clue.kind in _TAILS]
    if tails:
        return _named("unwritten", "likely", f"{tails[0].text}, and holds other values in another run")
    return _named("race", "likely", needs.nondeterministic)


def _by_shown(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """The suspected bug that gives the output of most of the cases, and of the plainest above all."""
    searched = [one for one in seen if one.searched]
    strong = [_best_by_kind(one, enough=True) for one in searched]
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
            return _chosen(leading, strong, votes, needs)
    return None


def _by_nonfinite(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """NaN where infinities are among the values, and nothing wrong otherwise."""
    values = set(seen[0].plan.values.values())
    made = any(clue.kind == "nan made" for clue in seen[0].how)
    is_dense = set(seen[0].plan.layouts.values()) == {"contiguous"}
    only_values = needs.plain is False and (needs.alone == {"values"} or (not needs.alone and is_dense))
    permuted = any(clue.kind == "permuted" for clue in seen[0].how)
    if only_values and values & _NONFINITE and made and not permuted:
        return _named("nan made", "likely", "it fails where infinities are among the values, with NaN")
    return None


def _by_weakly_shown(seen: Sequence[Seen], needs: Needs) -> Suspicion | None:
    """A suspected bug that puts NaN and infinities where the kernel has them, in each of several cases."""
    weak = [_best_by_kind(one, enough=False) for one in seen if one.searched]
    if len(weak) < 2:
        return None
    common = set.intersection(*map(set, weak))
    if any({"nan made", "inf made"} & {clue.kind for clue in one.how} for one in seen if one.searched):
        common -= _NEED_NUMBERS
    common = {kind for kind in common if sum(found[kind].agreement.bits for found in weak) >= ENOUGH_BITS}
    return _chosen(common, weak, Counter(common), needs) if 0 < len(common) <= _MOST_WEAK else None


def _best_by_kind(one: Seen, *, enough: bool) -> dict[str, Shown]:
    """Of each kind of suspected bug that agrees with a case, the one with the most evidence."""
    kinds: dict[str, Shown] = {}
    for shown in one.shown:
        if not shown.agreement.is_enough and (enough or shown.has_unknown):
            continue
        if shown.kind not in kinds or shown.agreement.bits > 1.05 * kinds[shown.kind].agreement.bits:
            kinds[shown.kind] = shown
    return kinds


def _chosen(
    leading: set[str], found: Sequence[Mapping[str, Shown]], votes: Counter[str], needs: Needs
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
    chosen = min(leading, key=_PRIORITY.index)
    return _named(chosen, "shown", best[chosen].text)


def _by_clues(seen: Sequence[Seen], needs: Needs, condition: Condition | None) -> Suspicion | None:
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
            return _named("formula", "likely", clues["smooth"].text)
    if "permuted" in decisive and (found := _by_permuted(seen, needs, condition)) is not None:
        return found
    for kinds, suspicion in _FROM_HOW:
        kind = next((kind for kind in kinds if kind in often), None)
        if kind is not None:
            return _named(suspicion, "likely", how[kind].text)
    if needs.plain is False:
        found = _by_needs(seen, needs, how)
        if found is not None:
            return found
    if (found := _by_condition(seen[0], needs, condition)) is not None:
        return found
    if "zeros" in decisive and _TAILS & set(where):
        return _named("unwritten", "likely", where[min(_TAILS & set(where))].text, how["zeros"].text)
    if "slight" in decisive:
        hints = [hint for one in seen for hint in one.verdict.hints]
        if any("less stable form" in hint for hint in hints) and needs.plain is not True:
            return _named("unstable", "likely", how["slight"].text)
        if needs.plain is True and how["slight"].evidence["share"] >= _SLIGHT_LEAST:
            return _named("precision", "likely", how["slight"].text)
        if any("storage" in hint for hint in hints):
            return _named("precision", "likely", how["slight"].text)
    ratio = how.get("ratio")
    if "ratio" in decisive and ratio is not None and ratio.evidence.get("name"):
        return _named("factor", "likely", ratio.text)
    return None


def _by_permuted(seen: Sequence[Seen], needs: Needs, condition: Condition | None) -> Suspicion | None:
    """Values in a wrong order: where NaN is among them, or lanes beyond the end are."""
    clue = next(clue for one in seen for clue in one.how if clue.kind == "permuted")
    values = set(seen[0].plan.values.values())
    if needs.plain is False and values & _NONFINITE and clue.evidence["nan"]:
        return _named("nan", "likely", f"{clue.text}, where NaN is among them: it is not ordered as NaN is")
    return None


def _by_needs(seen: Sequence[Seen], needs: Needs, how: Mapping[str, Clue]) -> Suspicion | None:
    """What a failure that passes when made plain says by the one thing that it needs."""
    values = set(seen[0].plan.values.values())
    if needs.alone == {"layout"}:
        if "huge" in seen[0].plan.layouts.values():
            return _named(
                "index overflow", "likely", "it fails where an input's strides are huge, and passes where not"
            )
        return _named("strides", "likely", "the same case passes where its inputs are contiguous")
    if needs.alone == {"dtype"} and "slight" in how:
        return _named("precision", "likely", f"small errors, for {seen[0].plan.dtype} alone")
    if needs.alone == {"values"}:
        made = {"nan made", "inf made"} & set(how)
        if not made and ("near_equal" in values or (values & {"one_signed", "root"} and "slight" in how)):
            return _named(
                "unstable", "likely", f"it fails for values that are {' and '.join(sorted(values))} only"
            )
        if not values & _NONFINITE and made:
            text = (
                f"NaN or infinity where values are {' and '.join(sorted(values))}, and none for ordinary ones"
            )
            return _named("overflow", "likely", text)
    return None


def _by_condition(one: Seen, needs: Needs, condition: Condition | None) -> Suspicion | None:
    """What the condition alone says."""
    if condition is None:
        return None
    for kind, term in zip(condition.kinds, condition.terms, strict=True):
        if kind == "layout":
            return _named("strides", "likely", f"it fails only where {term}")
        if kind == "param":
            name = term.partition(" ")[0]
            return _named("causal" if "causal" in name else "param", "likely", f"it fails only where {term}")
    if condition.kinds == ("multiple",) and _is_summed(one, condition.terms[0]) and needs.aligned is False:
        return _named("tail", "likely", f"it fails only where {condition.terms[0]}, along which it sums")
    return None


def _is_summed(one: Seen, term: str) -> bool:
    """Whether a term is about a dim that the reference sums or compares along, and the wrong elements are
    not the last along it."""
    name = term.partition(" ")[0]
    return name in one.summed and not any(clue.kind in _TAILS for clue in one.where)


def _by_narrow_index(one: Seen, condition: Condition | None) -> Suspicion | None:
    """A dim, or an offset, beyond what 8 or 16 bits can hold, where an index is among the inputs."""
    if condition is None or condition.kinds != ("above",):
        return None
    border = int(condition.terms[0].rpartition(" ")[2])
    if border in _BORDERS_OF_INDICES and _INDEX_KINDS & set(one.plan.values.values()):
        text = f"it fails where {condition.terms[0]}: an index is kept in too few bits"
        return _named("index", "likely", text)
    return None


def _named(kind: str, certainty: str, *because: str) -> Suspicion:
    perhaps = "" if certainty == "shown" else "perhaps "
    return Suspicion(
        kind=kind,
        text=f"{perhaps}{NAMES[kind]}: {because[0]}",
        certainty=certainty,
        because=tuple(because),
    )
