"""Pass: plainer values: zeros, ones, whole numbers, uniform; then only a few elements that are not 0.

The moves give all inputs, else each on its own, a plainer distribution, of those that the op allows. Where
the plainest that fails still is special, most of its elements are set to 0: halves of the kept ones are
dropped, then quarters, and so on down to single elements (Zeller and Hildebrandt, Simplifying and Isolating
Failure-Inducing Input, 2002). It ends since a distribution's rank only falls, and then the number of kept
elements does.
"""

from __future__ import annotations

from math import prod

from pytest_gpuemu.engine.minimize.attempts import MAX_KEPT, Attempts
from pytest_gpuemu.engine.op import Input, Op
from pytest_gpuemu.engine.plan import possible_values
from pytest_gpuemu.engine.values import EDIT_VALUES

PLAINEST_FIRST = (
    "zeros",
    "ones",
    "integers",
    "uniform",
    "normal",
    "one_signed",
    "sparse",
    "near_equal",
    "wide",
    "tiny",
    "root",
    "large",
    "nonfinite",
    "nonfinite_rows",
)
# Where an op is drawn from none of these, 0 is not among its values.
_WITH_ZERO = frozenset({"uniform", "normal", "integers", "sparse"})
CONSTANT = frozenset(EDIT_VALUES)
# Values of which any draw is like the other.
ORDINARY = CONSTANT | {"integers", "uniform", "normal"}
_MOST_ELEMENTS = 512
_MOST_TRIES = 40
_FEW_ELEMENTS, _DRAWS = 4, 5


def simplify_values(attempts: Attempts) -> bool:
    """Whether any input got plainer values."""
    drawn = [x for x in attempts.op.inputs if x.kind == "values"]
    accepted = _together(attempts, drawn)
    if len(drawn) > 1:
        for x in drawn:
            accepted |= any(attempts.accepts(values={x.name: values}) for values in _plainer(attempts, x))
    return accepted


def ordinary_values(attempts: Attempts) -> dict[str | None, str]:
    """The edits that give ordinary values to every input that has special ones and may have others."""
    edits: dict[str | None, str] = {}
    for x in attempts.op.inputs:
        if x.kind == "values" and attempts.plan.values[x.name] not in ORDINARY:
            ordinary = [
                values for values in ("uniform", "normal", "integers") if values in _plainer(attempts, x)
            ]
            edits.update({x.name: ordinary[0]} if ordinary else {})
    return edits


def draw_integers(attempts: Attempts) -> bool:
    """Whether a draw of whole numbers fails where very few elements are left: 4 says more than 3.9171."""
    plan = attempts.plan
    found = False
    for x in attempts.op.inputs:
        if x.kind != "values" or plan.values[x.name] in (*CONSTANT, "integers"):
            continue
        if prod(plan.shapes[x.name]) <= _FEW_ELEMENTS and "integers" in _plainer(attempts, x):
            edits = {x.name: "integers"}
            found |= any(attempts.accepts(values=edits, draw=draw) for draw in range(1, _DRAWS + 1))
    return found


def keep_few(attempts: Attempts) -> bool:
    """Whether elements of some input were set to 0."""
    accepted = False
    for x in attempts.op.inputs:
        if x.kind in ("values", "mask") and attempts.plan.values[x.name] not in CONSTANT:
            accepted |= _keep_few_of(attempts, x)
    return accepted


def _together(attempts: Attempts, drawn: list[Input]) -> bool:
    """One distribution for all inputs that may have it and have none plainer."""
    tries: list[dict[str, str]] = []
    for values in PLAINEST_FIRST:
        edits = {x.name: values for x in drawn if values in _plainer(attempts, x)}
        if edits and edits not in tries:
            tries.append(edits)
    return any(attempts.accepts(values=edits) for edits in tries)


def _plainer(attempts: Attempts, x: Input) -> list[str]:
    """The distributions plainer than the present one that the input may have."""
    return [
        values
        for values in plain_values(attempts.op, x)
        if _rank(values) < _rank(attempts.plan.values[x.name])
    ]


def plain_values(op: Op, x: Input) -> list[str]:
    """The distributions that an input of kind "values" may have, the plainest first; zeros and ones only
    where 0 is among its values."""
    possible = set(possible_values(op, x))
    if possible & _WITH_ZERO:
        possible |= CONSTANT
    return sorted(possible, key=_rank)


def _rank(values: str) -> int:
    return PLAINEST_FIRST.index(values)


def _keep_few_of(attempts: Attempts, x: Input) -> bool:
    size = prod(attempts.plan.shapes[x.name])
    kept = list(attempts.plan.keep.get(x.name, range(size)))
    if not 1 < len(kept) <= _MOST_ELEMENTS:
        return False
    before = attempts.plan, attempts.edits
    limit = attempts.cases + _MOST_TRIES
    pieces, accepted = 2, False
    while len(kept) > 1 and pieces <= len(kept) and attempts.cases < limit:
        step = -(-len(kept) // pieces)
        parts = [kept[at : at + step] for at in range(0, len(kept), step)]
        for part in parts:
            if attempts.cases < limit and _keeps(attempts, x, part):  # one part alone
                kept, pieces, accepted = part, 2, True
                break
            rest = [index for index in kept if index not in part]
            if len(parts) > 2 and attempts.cases < limit and _keeps(attempts, x, rest):
                kept, pieces, accepted = rest, max(pieces - 1, 2), True
                break
        else:
            pieces *= 2
    if accepted and len(kept) > MAX_KEPT:
        attempts.restore(*before)
        return False
    return accepted


def _keeps(attempts: Attempts, x: Input, indices: list[int]) -> bool:
    return attempts.accepts(keep={x.name: tuple(indices)})
