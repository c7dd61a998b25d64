"""The distribution of an output's errors in ulps of its dtype: counts by powers of ten, and one line of them.

Here: the histogram and how it reads. Elsewhere: maxima, means and percentiles (measure.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.verdict import Comparison

# Upper ends. Half an ulp is what rounding a right value costs.
EDGES = (0.5, 1.0, *(10.0**power for power in range(1, 13)))
_MOST_GROUPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class UlpHistogram:
    """How many elements have an error up to each of EDGES (and above the one before it), and beyond the last.

    not_finite counts those of which just one of output and reference is finite, or that are other infinities.
    """

    counts: tuple[int, ...]
    not_finite: int

    def plain(self) -> dict[str, Any]:
        """JSON values."""
        return {"edges": list(EDGES), **asdict(self)}

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> UlpHistogram:
        """The inverse of plain()."""
        return cls(counts=tuple(fields["counts"]), not_finite=fields["not_finite"])

    @property
    def total(self) -> int:
        return sum(self.counts) + self.not_finite

    @property
    def line(self) -> str:
        """`387 of 516 elements up to 0.5, 2 up to 10, 127 up to 1e+05`; close groups joined where many."""
        groups = [(high, count) for high, count in zip((*EDGES, np.inf), self.counts, strict=True) if count]
        while len(groups) > _MOST_GROUPS:
            # Of neighbours above rounding, the pair with the fewest elements.
            at = min(
                range(1, len(groups) - 1), key=lambda at: (groups[at][1] + groups[at + 1][1], at), default=0
            )
            groups[at : at + 2] = [(groups[at + 1][0], groups[at][1] + groups[at + 1][1])]
        said = [
            f"{count} beyond {EDGES[-1]:g}" if high == np.inf else f"{count} up to {high:g}"
            for high, count in groups
        ]
        if self.not_finite:
            said.append(f"{self.not_finite} not finite")
        first, _, rest = said[0].partition(" ")
        return ", ".join([f"{first} of {self.total} elements {rest}", *said[1:]])


def ulp_histogram(comparison: Comparison) -> UlpHistogram | None:
    """The histogram of a comparison; None where its arrays are gone, and for integers and bools."""
    if (
        comparison.output is None
        or comparison.reference is None
        or not dtypes.is_floating(comparison.dtype)
        or comparison.reference.size == 0
    ):
        return None
    output = dtypes.to_float64(comparison.output).ravel()
    reference = np.asarray(comparison.reference, dtype=np.float64).ravel()
    with np.errstate(all="ignore"):
        error = np.abs(output - reference) / dtypes.ulp(np.abs(reference), comparison.dtype)
    same = (output == reference) | (np.isnan(output) & np.isnan(reference))
    error[same] = 0.0
    finite = error[np.isfinite(error)]
    counts = np.bincount(np.searchsorted(EDGES, finite, side="left"), minlength=len(EDGES) + 1)
    return UlpHistogram(counts=tuple(int(count) for count in counts), not_finite=error.size - finite.size)
