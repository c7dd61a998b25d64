"""The distribution of an output's errors: absolute, relative, and in ulps of its dtype.

Here: the statistics of a comparison. Elsewhere: which elements exceed their tolerance (compare.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.verdict import ErrorStats

# Elements at a time: so many float64 values and a few temporaries of them stay in the cache.
BLOCK = 2**15


def blocks(size: int) -> Iterator[slice]:
    """Slices of at most BLOCK elements that cover so many."""
    return (slice(start, start + BLOCK) for start in range(0, size, BLOCK))


def error_stats(
    error: Float64Array,
    reference: Float64Array,
    dtype: str,
    *,
    exceeding: int,
    undetermined: Array,
    allowed: Float64Array | None = None,
) -> ErrorStats:
    """Statistics over the elements that are judged and whose error is finite.

    error and reference are flat float64 arrays, undetermined holds the indices of elements that do not
    count. Percentiles are elements of error (the next larger); a relative error is of |reference| > 0.
    allowed is each element's tolerance where it was asked for, and 0 or None where half an ulp was enough.
    An error is measured in the ulp of max(|reference|, allowed): beside a reference that may as well be 0,
    the reference's own ulp is no unit.
    """
    count = error.size
    counts = {"count": count, "num_exceeding": exceeding, "num_undetermined": undetermined.size}
    judged = np.isfinite(error)
    judged[undetermined] = False
    if not judged.all():
        error, reference = error[judged], reference[judged]
        allowed = allowed if allowed is None else allowed[judged]
    if not error.any():
        return ErrorStats(**counts)
    sums: list[tuple[float, float, float]] = []
    max_rel = max_ulp = 0.0
    nonzero = 0
    for block in blocks(error.size):
        size = np.abs(reference[block])
        at = size if allowed is None else np.maximum(size, allowed[block])
        ulps = error[block] / (dtypes.ulp(at, dtype) if dtypes.is_floating(dtype) else 1.0)
        relative = np.divide(error[block], size, out=np.zeros(size.size), where=size > 0)
        nonzero += int(np.count_nonzero(size))
        max_rel, max_ulp = max(max_rel, float(relative.max())), max(max_ulp, float(ulps.max()))
        sums.append((float(error[block].sum()), float(relative.sum()), float(ulps.sum())))
    total_abs, total_rel, total_ulp = (_sum(parts) for parts in zip(*sums, strict=True))
    p50, p90, p99 = _percentiles(error, (0.5, 0.9, 0.99))
    return ErrorStats(
        **counts,
        max_abs=float(error.max()),
        mean_abs=total_abs / error.size,
        p50_abs=p50,
        p90_abs=p90,
        p99_abs=p99,
        max_rel=max_rel,
        mean_rel=total_rel / nonzero if nonzero else 0.0,
        max_ulp=max_ulp,
        mean_ulp=total_ulp / error.size,
    )


def _sum(parts: Sequence[float]) -> float:
    """The exact sum, rounded once; inf where it is beyond float64."""
    try:
        return math.fsum(parts)
    except OverflowError:
        return math.inf


def _percentiles(error: Float64Array, shares: tuple[float, ...]) -> list[float]:
    ranks = [math.ceil(share * (error.size - 1)) for share in shares]
    ordered = np.partition(error, ranks)
    return [float(ordered[rank]) for rank in ranks]
