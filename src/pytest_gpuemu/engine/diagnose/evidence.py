"""How well a suspected output agrees with what the kernel gave.

Here: the wrong output of a verdict beside its reference, and the test that a suspicion has to pass: computed
again with the suspected bug in it, the reference must give what the kernel gave, where that was wrong and
where it was right. Elsewhere: the suspicions (search.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.verdict import Comparison, Verdict

# The share of the wrong elements, and of the others, that a suspicion has to account for.
_EXPLAINED, _KEPT = 0.97, 0.97
_MAY = 0.8
# Beside few wrong elements that share of the others may be many: at most so many for each wrong one.
_MOST_STRAYS = 0.25
# An element counts as accounted for where what is left of its error is below this share of it.
_LEFT = 1 / 16
# Evidence is counted in bits: how much smaller the error became, of each element, at most _MOST_BITS.
_MOST_BITS, _NONFINITE_BITS = 16.0, 2.0
ENOUGH_BITS = 12.0
_MOST_OF_NONFINITE = 0.75 * ENOUGH_BITS
# Numbers that many bugs give.
_COMMON = (0.0, 1.0, -1.0)
_MOST_ELEMENTS = 2**13
_SAMPLED = 64


@dataclass(frozen=True, slots=True)
class Agreement:
    """explained: the share of the wrong elements that a suspicion accounts for; kept: of the right ones.

    bits is the evidence: the sum over the wrong elements of log2 of how much smaller their error became.
    strays is the number of right elements that the suspicion makes wrong, for each wrong one.
    """

    explained: float
    kept: float
    bits: float
    strays: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether the suspicion accounts for the output; where bits are few, others may as well."""
        is_kept = self.kept >= _KEPT and self.strays <= _MOST_STRAYS
        return self.explained >= _EXPLAINED and is_kept and self.bits > 0

    @property
    def is_enough(self) -> bool:
        """Whether it does so to a degree that chance does not explain."""
        return self.fits and self.bits >= ENOUGH_BITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """One output that is wrong: flat float64 arrays of the elements that are looked at.

    at holds their flat indices: all of a small output, else every wrong one up to a limit and a spread of the
    others. exceeding is the mask among them.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    at: Array
    output: Float64Array
    reference: Float64Array
    exceeding: Array
    allowed: Float64Array
    error: Float64Array

    def agreement(self, suspected: Array, valid: Array | None = None) -> Agreement | None:
        """How well suspected, of the output's shape, agrees with the output; None for another shape.

        valid masks the elements of which the suspicion says something: without it all.
        """
        if suspected.shape != self.shape:
            return None
        if valid is None and not self._may_agree(suspected):
            return Agreement(0.0, 0.0, 0.0)
        said = np.True_ if valid is None else valid.reshape(-1)[self.at]
        with np.errstate(all="ignore"):
            values = np.asarray(suspected.reshape(-1)[self.at], dtype=np.float64)
            left = _distance(self.output, values)
            moved = _distance(self.reference, values)
            unit = _ulp(np.fmax(np.abs(values), np.abs(self.reference)), self.dtype)
            wrong, right = self.exceeding & said, ~self.exceeding & said
            finite = np.isfinite(self.error)
            small = np.fmax(self.error * _LEFT, np.fmin(self.allowed, self.error / 3))
            small = np.where(finite, small, 2.0**-8 * np.nan_to_num(np.abs(self.output), posinf=0.0))
            explained = left[wrong] <= small[wrong]
            kept = moved[right] <= self._slack(unit)[right]
            gain = np.log2(self.error[wrong] / np.fmax(np.fmax(left[wrong], unit[wrong] / 2), 1e-300))
        gain = np.where(explained & finite[wrong], np.clip(gain, 0.0, _MOST_BITS), 0.0)
        # NaNs and infinities are made by many bugs: that they are in their places tells little.
        others = _NONFINITE_BITS * np.count_nonzero(explained & ~finite[wrong])
        most = _MOST_OF_NONFINITE if right.any() else _MOST_OF_NONFINITE / 2
        counted = float(np.nan_to_num(gain, nan=0.0, posinf=_MOST_BITS).sum())
        if wrong.sum() > 1 and np.ptp(self.output[wrong]) == 0:  # one number has many causes
            number = self.output[wrong][0]
            counted = min(counted, most if number in _COMMON else max(most, float(gain.max())))
        return Agreement(
            explained=float(explained.mean()) if explained.size else 0.0,
            kept=float(kept.mean()) if kept.size else 1.0,
            bits=float(counted + min(others, most)),
            strays=int(np.count_nonzero(~kept)) / max(int(np.count_nonzero(wrong)), 1),
        )

    def share_kept(self, suspected: Float64Array) -> float:
        """The share of all elements that are the reference's in suspected as well; what is NaN there alone,
        where memory is not known, counts as such."""
        values = suspected.reshape(-1)[self.at]
        with np.errstate(all="ignore"):
            unit = _ulp(np.fmax(np.abs(values), np.abs(self.reference)), self.dtype)
            kept = _distance(self.reference, values) <= self._slack(unit)
        return float((kept | (np.isnan(values) & ~np.isnan(self.output))).mean())

    def _slack(self, unit: Float64Array) -> Float64Array:
        """How far a right element may move by a bug that is none for it."""
        scale = np.abs(self.reference)
        return 3 * self.error + 4 * unit + 2.0**-15 * scale + 2.0**-22 * _largest(scale)

    def _may_agree(self, suspected: Array) -> bool:
        """Whether most of a few wrong elements agree: what is cheap to ask rules out most suspicions."""
        wrong = np.flatnonzero(self.exceeding)
        few = wrong[:: -(-wrong.size // _SAMPLED)]
        with np.errstate(all="ignore"):
            values = np.asarray(suspected.reshape(-1)[self.at[few]], dtype=np.float64)
            left, error = _distance(self.output[few], values), self.error[few]
        return bool(np.mean((left < error / 2) | (left == 0)) >= _MAY)


def wrong_outputs(verdict: Verdict) -> list[Wrong]:
    """The outputs whose values are wrong, where the verdict still has its arrays."""
    wrong = [x for x in verdict.comparisons if x.exceeding is not None and x.exceeding.any()]
    return [one for x in wrong if (one := beside_reference(x)) is not None]


def beside_reference(comparison: Comparison) -> Wrong | None:
    """One output beside its reference, though none of its elements may be wrong; None without its arrays."""
    mask, output, reference = comparison.exceeding, comparison.output, comparison.reference
    if mask is None or output is None or reference is None or not mask.size:
        return None
    flat = mask.reshape(-1)
    at = _looked_at(flat)
    given, right = as_float64(output).reshape(-1)[at], reference.reshape(-1)[at]
    allowed = np.zeros(flat.size)
    if comparison.allowed is not None and comparison.allowed.size == np.count_nonzero(flat):
        allowed[flat] = comparison.allowed
    with np.errstate(all="ignore"):
        error = _distance(given, right)
    return Wrong(
        name=comparison.name,
        shape=tuple(mask.shape),
        dtype=comparison.dtype,
        at=at,
        output=given,
        reference=right,
        exceeding=flat[at],
        allowed=allowed[at],
        error=error,
    )


def _looked_at(exceeding: Array) -> Array:
    if exceeding.size <= 2 * _MOST_ELEMENTS:
        return np.arange(exceeding.size)
    chosen = []
    for mask in (exceeding, ~exceeding):
        found = np.flatnonzero(mask)
        chosen.append(found[:: -(-found.size // _MOST_ELEMENTS)] if found.size else found)
    return np.sort(np.concatenate(chosen))


def _distance(one: Float64Array, two: Float64Array) -> Float64Array:
    """|one - two|; 0 for the same infinity and for two NaNs, inf where only one is finite."""
    distance = np.abs(one - two)
    same = (one == two) | (np.isnan(one) & np.isnan(two))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def _ulp(values: Float64Array, dtype: str) -> Float64Array:
    if not dtypes.is_floating(dtype):
        return np.zeros(values.shape)
    finite = np.where(np.isfinite(values), values, 0.0)
    return np.asarray(dtypes.ulp(finite, dtype), dtype=np.float64)


def _largest(values: Float64Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def as_float64(array: Any) -> Float64Array:
    """The values as float64, of any dtype of the package."""
    return np.asarray(array, dtype=np.float64)
