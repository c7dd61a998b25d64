"""Comparing one output with its float64 reference, element by element.

The rules of agreement, in this order; o is the output, r the reference, E the error bound of r, K the
safety factor (tolerance.py), max the largest finite value of the output's dtype:

1.  |o - r| <= allowed: half an ulp of rounding plus K*E, or what was given by hand. +0 and -0 agree.
2.  NaN agrees with NaN, and only with NaN.
3.  An infinity agrees with the same infinity.
4.  Overflow: o = ±inf agrees where r, within K*E, reaches max + ulp(max)/2 on the same side: from
    there on rounding to nearest gives infinity. "faithful" rounding may beyond max.
5.  float8_e4m3fn has no infinity: where rule 3 or 4 asks for one, NaN and ±max of that side agree.
6.  rounding="saturate": r is first clamped to [-max, max], so that only ±max agrees with an overflow.
7.  A result below the smallest normal number of float32 may be flushed to zero, in float32 and in
    bfloat16, unless the kernel computes in float64.
8.  Any other disagreement is *undetermined* where E = inf, or where the op says that no one answer is
    right there (a gradient at a kink), and else a failure.
9.  Integers and bools agree where they are equal (an integer reference wraps around to the output's
    dtype, or is clamped under "saturate"), or differ by no more than a step of the reference that
    its rounding leaves undecided.

Cheap first: an element that agrees within half an ulp is settled before any bound is computed.
Elsewhere: the allowances (tolerance.py), which outputs are compared with what (judge.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes, tolerance
from pytest_gpuemu.engine.measure import blocks, error_stats
from pytest_gpuemu.engine.op import Array, Float64Array, Tolerance
from pytest_gpuemu.engine.tolerance import SAFETY, ErrorBounds
from pytest_gpuemu.engine.verdict import Comparison, Worst

_FLOAT32_NORMAL = 2.0**-126


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one output is compared. given None: the tolerance is derived. dtype is the output's."""

    dtype: str
    compute: str = "float32"
    rounding: str = "nearest"
    scale: str = "element"
    given: Tolerance | None = None

    @property
    def is_floating(self) -> bool:
        return dtypes.is_floating(self.dtype)


def compare(name: str, output: Array, reference: Array, rules: Rules, bounds: ErrorBounds) -> Comparison:
    """Compare an output with its reference, both of one shape.

    output has the dtype that the kernel gave; reference is float64, integer or bool. bounds is asked
    for E only where an element is not settled without it.
    """
    with np.errstate(all="ignore"):
        ladder = _Ladder(name, output, reference, rules, bounds)
        ladder.climb()
        return ladder.comparison()


def agrees(
    output: Float64Array, reference: Float64Array, allowed: Float64Array, slack: Float64Array, rules: Rules
) -> Array:
    """Rules 1 to 5 and 7 for floating outputs: whether each element agrees. Arrays of one shape.

    allowed is the whole tolerance, slack what the reference itself may be off by (K*E, or a given
    tolerance), both in the output's units. reference is already clamped under "saturate".
    """
    agreed = np.abs(output - reference) <= allowed
    agreed |= (output == reference) | (np.isnan(output) & np.isnan(reference))
    form = dtypes.properties(rules.dtype)
    step = float(dtypes.ulp(np.array([form.max]), rules.dtype)[0])
    limit = np.nextafter(form.max, np.inf) if rules.rounding == "faithful" else form.max + step / 2
    if rules.rounding != "saturate":
        for sign in (1.0, -1.0):
            # Where no bound holds, an overflow is undetermined as anything else is, and no agreement.
            overflows = sign * reference + np.where(np.isfinite(slack), slack, 0.0) >= limit
            if form.has_inf:
                agreed |= overflows & (output == sign * np.inf)
            else:
                agreed |= overflows & (np.isnan(output) | (output == sign * form.max))
    if rules.dtype in ("float32", "bfloat16") and rules.compute != "float64":
        agreed |= (output == 0) & (np.abs(reference) < _FLOAT32_NORMAL)
    return agreed


class _Ladder:
    """The rungs half ulp -> given, or trace -> spread, each for the elements that the last left open.

    Arrays are flat; `open` holds indices of elements that do not agree yet, `allowed` what was allowed
    for each of these at the last rung.
    """

    def __init__(self, name: str, output: Array, reference: Array, rules: Rules, bounds: ErrorBounds) -> None:
        self.name, self.shape, self.rules, self.bounds = name, output.shape, rules, bounds
        self.output, self.whole_reference = output.ravel(), reference.ravel()
        self.native = output
        self.reference = self._clamped(reference).ravel()
        self.error = np.empty(self.reference.size)
        self.undetermined = np.zeros(0, dtype=np.intp)
        self.allowed_everywhere: Float64Array | None = None  # 0 where half an ulp was enough
        self.method = "half-ulp"

    def _clamped(self, reference: Array) -> Float64Array:
        """The reference as float64, clamped to the dtype's range under "saturate"."""
        values = tolerance.as_float64(reference)
        if self.rules.rounding != "saturate" or self.rules.dtype == "bool":
            return values
        if self.rules.is_floating:
            limit = dtypes.properties(self.rules.dtype).max
            return np.clip(values, -limit, limit)
        limits = np.iinfo(self.rules.dtype)
        return np.clip(values, float(limits.min), float(limits.max))

    def climb(self) -> None:
        unsettled = [
            block.start + np.flatnonzero(~self._agree_at_once(block)) for block in blocks(self.error.size)
        ]
        self.open = np.concatenate([np.zeros(0, dtype=np.intp), *unsettled])
        self.allowed = self._rounding(self.open) if self.rules.is_floating else np.zeros(self.open.size)
        self._settle(self.allowed, np.zeros(self.open.size))
        if self.open.size and self.rules.given is not None:
            self._given(self.rules.given)
        elif self.open.size:
            self.method = self.bounds.bound.method
            self._derived(self.bounds.traced(self.name))
            if self.open.size and self.method == "trace" and self.rules.is_floating:
                self.method = "spread"
                self._derived(self.bounds.widened(self.name))
        if self.open.size and (free := self.bounds.conventional(self.name)) is not None:
            self._settle(self.allowed, np.where(free.ravel()[self.open], np.inf, 0.0))

    def _agree_at_once(self, block: slice) -> Array:
        """Rules 1 and 9 for one block with nothing but rounding; measures its errors."""
        native, reference = self.output[block], self.whole_reference[block]
        error = self.error[block]
        np.subtract(tolerance.as_float64(native), self.reference[block], out=error)
        np.abs(error, out=error)
        if self.rules.is_floating:
            return error <= self._rounding(block)
        if native.dtype.kind == "f":  # a canonical form: the values that indices lead to
            return np.asarray((native == reference) | (np.isnan(native) & np.isnan(reference)))
        if native.dtype == bool or reference.dtype.kind == "f":
            return error <= self._to_whole(self.reference[block])
        if self.rules.rounding == "saturate":
            limits = np.iinfo(native.dtype)
            low, high = (
                max(limits.min, np.iinfo(reference.dtype).min),
                min(limits.max, np.iinfo(reference.dtype).max),
            )
            reference = np.clip(reference, low, high)
        return np.asarray(native == reference.astype(native.dtype))

    def _rounding(self, which: Any) -> Float64Array:
        return tolerance.rounding_allowance(self.reference[which], self.rules.dtype, self.rules.rounding)

    @staticmethod
    def _to_whole(reference: Float64Array) -> Float64Array:
        """How far the nearest whole number may lie: rounding to an integer costs that."""
        return np.where(reference == np.rint(reference), 0.0, 0.5)

    def _settle(self, allowed: Float64Array, slack: Float64Array) -> None:
        """Close the open elements that agree under this allowance; undetermined ones close too."""
        if not self.open.size:
            return
        if self.allowed_everywhere is None:
            self.allowed_everywhere = np.zeros(self.error.size)
        self.allowed_everywhere[self.open] = np.where(np.isfinite(allowed), allowed, 0.0)
        if self.rules.is_floating:
            output = tolerance.as_float64(self.output[self.open])
            agreed = agrees(output, self.reference[self.open], allowed, slack, self.rules)
        else:
            agreed = (self.error[self.open] <= allowed) & (allowed > 0)
        hidden = ~agreed & np.isinf(slack)
        self.undetermined = np.concatenate([self.undetermined, self.open[hidden]])
        left = ~(agreed | hidden)
        self.open, self.allowed = self.open[left], allowed[left]

    def _given(self, given: Tolerance) -> None:
        reference = self.reference[self.open]
        slack = tolerance.given_allowance(reference, given, self.rules.dtype)
        slack = np.where(np.isfinite(slack), slack, 0.0)  # rtol * inf allows nothing
        # Never an alarm below the rounding of the output's dtype, whatever was given.
        self._settle(np.fmax(slack, self.allowed), slack)
        # A legitimate overflow on the way to a finite result is no matter of tolerances.
        if self.open.size and not np.isfinite(self.error[self.open]).all():
            errors = self.bounds.traced(self.name).ravel()[self.open]
            self._settle(self.allowed, np.where(np.isinf(errors), np.inf, 0.0))

    def _derived(self, errors: Float64Array) -> None:
        if self.rules.scale == "row" and self.rules.is_floating:
            unit = tolerance.unit_roundoff(self.rules.compute, self.rules.dtype)
            errors = np.fmax(errors, tolerance.row_errors(self.reference.reshape(self.shape), unit))
        errors = errors.ravel()[self.open]
        if self.rules.is_floating:
            allowed = tolerance.derived_allowance(
                self.reference[self.open], errors, self.rules.dtype, self.rules.rounding
            )
            allowed = np.where(np.isinf(errors), self.allowed, allowed)
            self._settle(allowed, SAFETY * errors)
        elif self.rules.dtype == "bool":
            self._settle(np.zeros(self.open.size), np.where(errors > 0, np.inf, 0.0))
        else:
            # No integer stands for an inf or NaN; a canonical form may well hold one.
            judged = np.isfinite(self.reference[self.open]) | (self.output.dtype.kind == "f")
            undecided = np.where(judged, errors, np.inf)
            # A step's own height: it is no estimate that a safety factor could widen.
            steps = np.where(errors > 0, errors + self._to_whole(self.reference[self.open]), 0.0)
            self._settle(np.where(np.isinf(undecided), 0.0, steps), undecided)

    def comparison(self) -> Comparison:
        exceeding = np.zeros(self.error.size, dtype=bool)
        exceeding[self.open] = True
        given = self.rules.given
        return Comparison(
            name=self.name,
            shape=self.shape,
            dtype=self.rules.dtype,
            stats=error_stats(
                self.error,
                self.reference,
                self.rules.dtype,
                exceeding=self.open.size,
                undetermined=self.undetermined,
                allowed=self.allowed_everywhere,
            ),
            worst=self._worst(),
            tolerance=given.source if given else "derived" if self.rules.is_floating else "exact",
            method=self.method,
            note=self.bounds.note if self.method == "fallback" else None,
            tolerance_used=self._used(),
            allowed=self.allowed,
            exceeding=exceeding.reshape(self.shape),
            output=self.native,
            reference=self.reference.reshape(self.shape),
        )

    def _used(self) -> float:
        """The largest error over its tolerance, of the elements that half an ulp was not enough for."""
        if self.allowed_everywhere is None:
            return 0.0
        judged = (self.allowed_everywhere > 0) & np.isfinite(self.error)
        shares = self.error[judged] / self.allowed_everywhere[judged]
        return float(shares.max(initial=0.0))

    def _worst(self) -> Worst | None:
        """Of the exceeding elements, that whose error is largest against what was allowed."""
        if not self.open.size:
            return None
        error = np.where(np.isnan(self.error[self.open]), np.inf, self.error[self.open])
        at = int(np.argmax(error / np.fmax(self.allowed, np.finfo(np.float64).tiny)))
        flat = int(self.open[at])
        size = max(abs(self.reference[flat]), self.allowed[at])
        ulp = dtypes.ulp(size, self.rules.dtype) if self.rules.is_floating else 1.0
        return Worst(
            index=tuple(int(i) for i in np.unravel_index(flat, self.shape)),
            output=float(self.output[flat]),
            reference=float(self.reference[flat]),
            error=float(error[at]),
            ulp=float(error[at] / ulp) if np.isfinite(error[at]) else float("inf"),
            allowed=float(self.allowed[at]),
        )
