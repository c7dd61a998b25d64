"""Relations between a wrong output and what is right: the part of a diagnosis that costs no further run.

Here: which relations a failing case shows, and whether a smaller one allows them. A bug that exchanges
rows and columns exchanges them in a small case, too; where that would give the right output, what fails
there is another bug. Elsewhere: what agreement is (diagnose/evidence.py), what users are told
(diagnose/how.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS, Wrong, wrong_outputs
from pytest_gpuemu.engine.diagnose.where import hit_along
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.verdict import Verdict

_EXPLAINED = 0.97
_MOST_ELEMENTS = 2**20
_NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
_NARROW_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32")
# An axis along which everything but its end is right has to be this long, or that is chance.
_LONG = 8
# A relation that others come near to has to hold but for rounding.
_FEW_ULPS = 8
# What is 1 everywhere is proportional to everything.
_ENOUGH_DIFFERENT = 3


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of one kind between an output where it is wrong and what would be right.

    kind is "sign", "reversed", "shifted", "transposed", "input", "rounded", "narrowed", "proportional" (by
    any one factor), "first" or "last"; of its axis, (axis, step), input or dtype.
    """

    output: str
    kind: str
    of: Any = None


class Relations:
    """The relations of one failed verdict, found when they are asked for."""

    def __init__(self, case: Case, verdict: Verdict) -> None:
        self._case = case
        self._compared = {x.name: x for x in verdict.comparisons}
        self._wrong = {
            wrong.name: wrong
            for wrong in wrong_outputs(verdict)
            if int(np.prod(wrong.shape)) <= _MOST_ELEMENTS
        }

    @cached_property
    def shown(self) -> tuple[Relation, ...]:
        """The relations that hold to a degree that chance does not explain."""
        return tuple(
            relation
            for wrong in self._wrong.values()
            for relation in self._possible(wrong)
            if self._holds(relation, ENOUGH_BITS)
        )

    def allow(self, relation: Relation) -> bool:
        """Whether the relation may be behind this failure, too; an output that is right tells nothing."""
        return relation.output not in self._wrong or self._holds(relation, 0.0)

    def _possible(self, wrong: Wrong) -> Iterator[Relation]:
        name, shape = wrong.name, wrong.shape
        yield Relation(name, "sign")
        yield from (
            Relation(name, "input", x) for x, array in self._case.originals.items() if array.shape == shape
        )
        yield from (Relation(name, "reversed", axis) for axis, size in enumerate(shape) if size > 2)
        yield from (
            Relation(name, "shifted", (axis, step))
            for axis, size in enumerate(shape)
            if size > 2
            for step in (1, -1)
        )
        if len(shape) >= 2:
            yield Relation(name, "transposed")
        yield from self._possible_roundings(wrong)
        if np.unique(wrong.reference[wrong.exceeding]).size >= _ENOUGH_DIFFERENT:
            yield Relation(name, "proportional")
        for axis, size in enumerate(shape):
            if size >= _LONG:
                yield Relation(name, "first", axis)
                yield Relation(name, "last", axis)

    def _possible_roundings(self, wrong: Wrong) -> Iterator[Relation]:
        if dtypes.is_floating(wrong.dtype):
            own = dtypes.properties(wrong.dtype).unit_roundoff
            yield from (
                Relation(wrong.name, "rounded", dtype)
                for dtype in _NARROW
                if dtypes.properties(dtype).unit_roundoff > own
            )
        elif np.isfinite(wrong.reference).all():
            yield from (Relation(wrong.name, "narrowed", dtype) for dtype in _NARROW_INTEGERS)

    def _holds(self, relation: Relation, bits: float) -> bool:
        """Whether it accounts for the wrong elements, with as much evidence."""
        wrong, comparison = self._wrong[relation.output], self._compared[relation.output]
        mask = comparison.exceeding
        assert mask is not None  # as wrong_outputs gives only what has one
        if relation.kind in ("first", "last"):
            return _is_at_end(mask, relation)
        reference = comparison.reference
        if reference is None or reference.shape != wrong.shape:
            return True
        with np.errstate(all="ignore"):
            suspected, valid = self._suspected(relation, wrong, reference)
            agreement = None if suspected is None else wrong.agreement(suspected, valid)
        if agreement is None or agreement.explained < _EXPLAINED or agreement.bits < bits:
            return False
        # A sum that lacks most of its parts is nearly an input; what is the same takes no part in it.
        vague = relation.kind in ("input", "proportional")
        return not (bits and vague) or suspected is None or _is_exact(wrong, suspected)

    def _suspected(
        self, relation: Relation, wrong: Wrong, reference: Float64Array
    ) -> tuple[Array | None, Array | None]:
        """What the output would be, and for which elements that is known; None where it cannot be."""
        match relation.kind:
            case "sign":
                return -reference, None
            case "proportional":
                return reference * _factor(wrong), None
            case "input":
                given = self._case.originals[relation.of]
                return (np.asarray(given, np.float64), None) if given.shape == wrong.shape else (None, None)
            case "reversed":
                return np.flip(reference, relation.of), None
            case "transposed":
                return np.swapaxes(reference, -1, -2).reshape(wrong.shape), None
            case "shifted":
                axis, step = relation.of
                valid = np.ones(wrong.shape, dtype=bool)
                valid[(slice(None),) * axis + ((0 if step > 0 else -1),)] = False
                return np.roll(reference, step, axis=axis), valid
            case "narrowed":
                if not np.isfinite(reference).all():
                    return None, None
                return reference.astype(np.int64).astype(relation.of).astype(np.float64), None
        return dtypes.round_to(reference, relation.of), None


def _factor(wrong: Wrong) -> float:
    """The median of output / reference over the wrong elements; nan without any."""
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    usable = np.isfinite(given) & np.isfinite(right) & (right != 0) & (given != 0)
    return float(np.median(given[usable] / right[usable])) if usable.any() else np.nan


def _is_exact(wrong: Wrong, suspected: Array) -> bool:
    """Whether nearly every wrong element is as suspected, to a few ulps; to the bit for integers."""
    values = np.asarray(suspected, dtype=np.float64).reshape(-1)[wrong.at][wrong.exceeding]
    allowed = (
        _FEW_ULPS * dtypes.ulp(np.nan_to_num(values), wrong.dtype) if dtypes.is_floating(wrong.dtype) else 0
    )
    return bool(np.mean(np.abs(wrong.output[wrong.exceeding] - values) <= allowed) >= _EXPLAINED)


def _is_at_end(mask: Array, relation: Relation) -> bool:
    """Whether all wrong elements have the first, or last, index of an axis."""
    axis = relation.of
    if mask.ndim <= axis:
        return False
    hit = np.flatnonzero(hit_along(mask, axis))
    return hit.size == 1 and bool(hit[0] == (0 if relation.kind == "first" else mask.shape[axis] - 1))
