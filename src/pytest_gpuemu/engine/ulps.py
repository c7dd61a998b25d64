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

_MOST_GROUPS = 6


def edges_of(dtype: str) -> tuple[float, ...]:
    """Upper ends of the groups: half an ulp, which rounding a right value costs, powers of ten, and 2**p.

    Beyond that no digit of a number of p bits is right, and how many ulps more tells nothing.
    """
    beyond = 2.0 ** dtypes.properties(dtype).precision
    return (0.5, *(edge for power in range(17) if (edge := 10.0**power) < beyond), beyond)


@dataclass(frozen=True, slots=True, kw_only=True)
class UlpHistogram:
    """How many elements have an error up to each edge (and above the one before it), and beyond the last.

    not_finite counts those of which just one of output and reference is finite, or that are other infinities.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    not_finite: int

    def plain(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> UlpHistogram:
        """The inverse of plain()."""
        return cls(
            edges=tuple(fields["edges"]), counts=tuple(fields["counts"]), not_finite=fields["not_finite"]
        )

    @property
    def total(self) -> int:
        return sum(self.counts) + self.not_finite

    @property
    def line(self) -> str:
        """`387 of 516 elements up to 0.5, 2 up to 10, 127 up to 1e+05`; close groups joined where many."""
        groups = [
            (high, count) for high, count in zip((*self.edges, np.inf), self.counts, strict=True) if count
        ]
        while len(groups) > _MOST_GROUPS:
            # Of neighbours above rounding, the pair with the fewest elements.
            at = min(
                range(1, len(groups) - 1), key=lambda at: (groups[at][1] + groups[at + 1][1], at), default=0
            )
            groups[at : at + 2] = [(groups[at + 1][0], groups[at][1] + groups[at + 1][1])]
        said = [f"{count} {_end(high, self.edges[-1])}" for high, count in groups]
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
        size = np.abs(reference)
        if comparison.exceeding is not None and comparison.allowed is not None:
            # As in measure.py: beside a reference that may as well be 0, its own ulp is no unit.
            mask = comparison.exceeding.ravel()
            size[mask] = np.fmax(size[mask], comparison.allowed)
        error = np.abs(output - reference) / dtypes.ulp(size, comparison.dtype)
    same = (output == reference) | (np.isnan(output) & np.isnan(reference))
    error[same] = 0.0
    finite = error[np.isfinite(error)]
    edges = edges_of(comparison.dtype)
    counts = np.bincount(np.searchsorted(edges, finite, side="left"), minlength=len(edges) + 1)
    return UlpHistogram(
        edges=edges, counts=tuple(int(count) for count in counts), not_finite=error.size - finite.size
    )


def _end(high: float, last: float) -> str:
    """The upper end of a group in words; last is the last edge, a power of two."""
    if high < last:
        return f"up to {high:g}"
    return f"{'up to' if high == last else 'over'} 2^{int(np.log2(last))}"
