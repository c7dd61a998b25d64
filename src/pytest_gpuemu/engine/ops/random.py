"""Operators with random output: dropout, judged by its statistics and not by values.

Here: one right output, what every right output fulfils, and the record. Elsewhere: drawing the case, shape
and dtype, and calling the statistics (attempt.py).

A right kernel fails a case by chance less often than once in 10**9: each count is compared with its
binomial distribution by the Chernoff-Hoeffding bound, P(|K/n - q| >= |k/n - q|) <= 2 exp(-n D(k/n || q)),
where D is the relative entropy of two coins (Hoeffding, J. Amer. Statist. Assoc. 58, 1963, theorem 1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from math import log, log1p
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.rng import SeededRng

ERROR_RATE = 1e-9
# 1 / (1 - p) and the product may each be rounded in the output's type: 1 and 1/2 ulp of the product.
_ALLOWED_ULP = 2.0


def dropout(input: Float64Array, *, p: float = 0.5, training: bool = True) -> Float64Array:
    """0 with probability p, else input / (1 - p), as torch.dropout. At p = 0.5 a scale of 1/p is right too.

    Gives one of the right outputs.
    """
    if not training:
        return input
    kept = SeededRng(input.size).gen_f64s(input.size).reshape(input.shape) >= p
    with np.errstate(all="ignore"):
        return np.where(kept, input / (1 - p), 0.0)


def dropout_statistics(
    outputs: Mapping[str, Array], inputs: Mapping[str, Array], params: Mapping[str, Any]
) -> str | None:
    """What is wrong with the output of a dropout kernel; None where nothing is.

    Each element is 0 or input / (1 - p); as many are kept as p says; and whether one is kept tells nothing
    of its neighbours, at distances of 1, 2, 4, ... elements and of whole rows.
    """
    (output,) = outputs.values()
    (x,) = inputs.values()
    x = np.asarray(x, dtype=np.float64)
    p = float(params["p"]) if params["training"] else 0.0
    form = dtypes.properties(str(output.dtype))
    y = dtypes.to_float64(output)
    with np.errstate(all="ignore"):
        scaled = x / (1.0 - p) if p < 1 else np.zeros_like(x)
        slack = _ALLOWED_ULP * dtypes.ulp(scaled, str(output.dtype))
        as_scaled = np.abs(y - scaled) <= slack
        as_scaled |= np.isinf(y) & (np.sign(y) == np.sign(scaled)) & (np.abs(scaled) + slack > form.max)
        as_scaled |= np.isnan(y) & ~np.isfinite(x)  # torch multiplies by a mask: 0 * inf is NaN
        # A zero is a dropped element, or one that is flushed.
        tells = np.isfinite(x) & (np.abs(scaled) >= form.smallest_normal) & (0 < p < 1)
    dropped = (y == 0) & (p > 0) | (y == 0) & (np.abs(scaled) < form.smallest_normal)
    wrong = ~as_scaled & ~dropped
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        allowed = f"input / (1 - p) = {scaled[index].item()!r}" + (" or 0" if p else "")
        return (
            f"{np.count_nonzero(wrong)} of {wrong.size} elements are neither dropped nor scaled: "
            f"output{list(index)} = {output[index].item()!r} is not {allowed} (p = {p:g})"
        )
    return next(_improbable(tells, y != 0, p), None)


def _improbable(tells: Array, kept: Array, p: float) -> Iterator[str]:
    """Counts that chance alone would not give, of the elements that tell whether they were kept."""
    count, keep = int(np.count_nonzero(tells)), 1.0 - p
    if not count:
        return
    found = int(np.count_nonzero(kept & tells))
    if _chance(found, count, keep) < ERROR_RATE / 2:
        yield (
            f"{found} of {count} elements ({100 * found / count:.1f}%) are kept, where p = {p:g} keeps "
            f"{100 * keep:.1f}%: chance gives that less often than once in 10**9 cases"
        )
    lags, patterns = _lags(kept.shape), []
    expected = keep**2 + p**2
    tells, kept = tells.reshape(-1), kept.reshape(-1)
    for lag in lags:
        # Disjoint pairs are independent: the first of each lies in an even block of lag elements.
        first = np.arange(kept.size - lag)
        first = first[(first // lag) % 2 == 0]
        first = first[tells[first] & tells[first + lag]]
        alike = int(np.count_nonzero(kept[first] == kept[first + lag]))
        if len(first) and _chance(alike, len(first), expected) < ERROR_RATE / 2 / len(lags):
            patterns.append((alike / len(first), -lag, alike, len(first)))
    if patterns:
        # A mask that repeats is alike in full at its period, and by accident of its few bits at others.
        share, lag, alike, pairs = max(patterns)
        yield (
            f"the mask has a pattern: elements {-lag} apart (in C order) are both kept or both dropped in "
            f"{alike} of {pairs} pairs ({100 * share:.1f}%), where p = {p:g} gives {100 * expected:.1f}%: "
            "chance gives that less often than once in 10**9 cases"
        )


def _lags(shape: tuple[int, ...]) -> list[int]:
    """Powers of two, where blocks of a kernel repeat, and the steps from one row to the next."""
    size = int(np.prod(shape, dtype=np.int64))
    powers = {2**power for power in range(size.bit_length())}
    steps = {int(np.prod(shape[axis:], dtype=np.int64)) for axis in range(1, len(shape) + 1)}
    return sorted(lag for lag in powers | steps if 0 < lag < size)


def _chance(found: int, count: int, probability: float) -> float:
    """An upper bound of how likely a count is that lies as far from its mean as this one."""
    share = found / count
    entropy = 0.0
    if share > 0:
        entropy += share * (log(share) - log(probability))
    if share < 1:
        entropy += (1 - share) * (log1p(-share) - log1p(-probability))
    return float(2.0 * np.exp(-count * entropy))


DROPOUT = dataclasses.replace(
    define_op(
        "dropout",
        reference=dropout,
        schema="input[rows,cols] -> [rows,cols]",
        params={"p": 0.5, "training": True},
        origin="built-in",
    ),
    statistics=dropout_statistics,
)

RANDOM = (DROPOUT,)
