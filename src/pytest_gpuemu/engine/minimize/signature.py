"""Signatures: in which way a case fails, so that a smaller case can be asked to fail in the same way.

Here: the signature of a verdict and of an exception, and which smaller failure counts as the same kind.
Elsewhere: what is wrong with an output (verdict.py), how it is related to the right one (relations.py),
telling users of it (report.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.where import hit_along
from pytest_gpuemu.engine.minimize.relations import Relations
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.verdict import Comparison, Verdict

# Errors against the largest reference value. Rounding on the way, in float16 say, stays below.
_GROSS = 2.0**-8
_GROSS_ROUNDOFFS = 8
# Blocks of a kernel begin at multiples of this.
_BLOCK = 8
# Rounding errs to both sides: of so many wrong elements at least this share to the rarer one. Rounding to
# float16 on the way errs by 2**-11 of a value, and now and then.
_ENOUGH_ROUNDED, _LEAST_SHARE, _ROUNDED = 8, 0.2, 2.0**-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a case fails.

    first is the first thing that is wrong and kinds are all, each a finding's kind with its output, or
    for an exception its type and place. how says for each kind of wrong value that it occurs: "nan", "inf",
    "lost" (the reference is not finite, the output differs), "slight" or "gross" (finite, and the largest
    error below or above 1/256 of the largest reference value, or 8 unit roundoffs of the output's dtype).
    in_tail: every exceeding element lies behind some index of an axis, or of memory, and all indices behind
    it are hit; beyond_block: that index is a multiple of 8. is_rounding: many elements are slightly wrong,
    some too large and some too small. relations are those of a verdict whose case is known.
    """

    first: str
    kinds: frozenset[str]
    how: frozenset[str] = frozenset()
    in_tail: bool = False
    beyond_block: bool = False
    is_everywhere: bool = False
    is_rounding: bool = False
    relations: Relations | None = field(default=None, repr=False, compare=False)

    def is_kept_by(self, smaller: Signature, *, loosely: bool = False) -> bool:
        """Whether a smaller case that fails like that still shows this failure, and nothing else.

        It may lose side effects (a broken invariant) but not the first finding, and gain none. A gross error
        may not become a slight one. A wrong tail may become everything that is left; what was wrong
        elsewhere may not become a tail behind a block. A relation to the right output stays. What looks like
        rounding stays slight, but not loosely: an element that a long row lacks looks like it, too.
        """
        if self.first not in smaller.kinds or not smaller.kinds <= self.kinds:
            return False
        if self.how and smaller.how:
            grown = {"gross"} if "slight" in self.how and (loosely or not self.is_rounding) else set()
            if not smaller.how <= self.how | grown or smaller.how.isdisjoint(self.how | grown):
                return False
        if self.in_tail and not (smaller.in_tail or smaller.is_everywhere):
            return False
        if not self.in_tail and smaller.beyond_block:
            return False
        if self.relations is None or smaller.relations is None:
            return True
        return all(smaller.relations.allow(relation) for relation in self.relations.shown)


def signature_of(verdict: Verdict, case: Case | None = None) -> Signature:
    """The signature of a failed verdict. Without its case nothing is known of relations."""
    kinds = [f"{finding.kind} {finding.output or ''}".strip() for finding in verdict.findings]
    wrong = [comparison for comparison in verdict.comparisons if comparison.stats.num_exceeding]
    masks = [comparison.exceeding for comparison in wrong if comparison.exceeding is not None]
    starts = [_tail_start(mask) for mask in masks]
    in_tail = bool(starts) and all(start is not None for start in starts)
    return Signature(
        first=next((kind for kind in kinds if not kind.startswith("InvariantViolation")), kinds[0]),
        kinds=frozenset(kinds),
        how=frozenset(how for comparison in wrong for how in _how(comparison)),
        in_tail=in_tail,
        beyond_block=in_tail and all(start is not None and start % _BLOCK == 0 for start in starts),
        is_everywhere=bool(masks) and all(bool(mask.all()) for mask in masks),
        is_rounding=bool(wrong) and all(_is_rounding(comparison) for comparison in wrong),
        relations=None if case is None else Relations(case, verdict),
    )


def signature_of_error(kind: str) -> Signature:
    """The signature of an exception; kind is equal for exceptions of one type raised at one place."""
    return Signature(first=kind, kinds=frozenset({kind}))


def _how(comparison: Comparison) -> Iterator[str]:
    mask = comparison.exceeding
    if mask is None or comparison.output is None or comparison.reference is None:
        return
    output = np.asarray(comparison.output[mask], dtype=np.float64)
    reference = comparison.reference[mask]
    is_finite = np.isfinite(reference)
    if np.any(is_finite & np.isnan(output)):
        yield "nan"
    if np.any(is_finite & np.isinf(output)):
        yield "inf"
    if not is_finite.all():
        yield "lost"
    both = is_finite & np.isfinite(output)
    if both.any():
        finite = np.abs(comparison.reference[np.isfinite(comparison.reference)])
        with np.errstate(over="ignore"):
            largest = float(np.max(np.abs(output[both] - reference[both])))
        yield "gross" if largest >= _gross_share(comparison.dtype) * float(finite.max()) else "slight"


def _gross_share(dtype: str) -> float:
    """The share of the largest reference value from which on an error is gross; integers are exact."""
    if not dtypes.is_floating(dtype):
        return 0.0
    return max(_GROSS, _GROSS_ROUNDOFFS * dtypes.properties(dtype).unit_roundoff)


def _is_rounding(comparison: Comparison) -> bool:
    """Whether the errors are slight and of both signs."""
    mask = comparison.exceeding
    if mask is None or comparison.output is None or comparison.reference is None:
        return False
    if set(_how(comparison)) != {"slight"}:
        return False
    output, reference = np.asarray(comparison.output[mask], dtype=np.float64), comparison.reference[mask]
    finite = np.abs(comparison.reference[np.isfinite(comparison.reference)])
    share = max(_ROUNDED, _gross_share(comparison.dtype) / 4)
    if float(np.max(np.abs(output - reference))) > share * float(finite.max()):
        return False
    above = int(np.count_nonzero(output > reference))
    return output.size >= _ENOUGH_ROUNDED and min(above, output.size - above) >= _LEAST_SHARE * output.size


def _tail_start(mask: Array) -> int | None:
    """The index of some axis, or in memory, at which the wrong tail begins; None where there is no tail."""
    for axis, size in enumerate(mask.shape):
        hit = np.flatnonzero(hit_along(mask, axis))
        if hit.size and hit[0] >= 2 and hit.size == size - hit[0]:
            return int(hit[0])
    hit = np.flatnonzero(mask)
    if hit.size and hit[0] >= 2 and hit.size == mask.size - hit[0]:
        return int(hit[0])
    return None
