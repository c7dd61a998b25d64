"""Integers and bools, and the inputs that point into a dim: index, offsets, lengths, permutation, mask.

Here: what is drawn for them. A distribution's name means for integers what it can mean there; the
inputs that point into a dim have patterns of their own, chosen by the seed.
Elsewhere: floating values (distributions.py), the call that picks between the two (values.py).
"""

from __future__ import annotations

from math import isqrt, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.op import Array, Input
from pytest_gpuemu.engine.rng import SeededRng, UInt64Array

_INDEX_PATTERNS = ("random", "random", "few", "constant", "rising", "falling", "ends", "ignored")
_LENGTH_PATTERNS = ("random", "random", "zero", "full", "ends")
_OFFSET_PATTERNS = ("random", "random", "few", "first", "last")
_PERMUTATION_PATTERNS = ("random", "random", "identity", "reversed", "rotated")
_MASK_PATTERNS = ("random", "random", "mostly", "rarely", "all", "none", "causal", "prefix", "empty rows")


def fill_kind(x: Input, shape: tuple[int, ...], dtype: str, of: int | None, rng: SeededRng) -> Array:
    """The array of an input that points into a dim of size `of`, or of a mask. ConfigError without `of`."""
    if x.kind == "mask":
        return _mask(shape, rng).astype(numpy_dtype(dtype))
    if x.kind == "permutation":
        return _permutation(shape, rng).astype(numpy_dtype(dtype))
    if of is None:
        raise ConfigError(f"input {x.name!r}: kind {x.kind!r} needs `of`, the dim that it points into")
    if x.kind == "index":
        return _index(x, shape, dtype, of, rng)
    counts = _lengths(shape, of, rng) if x.kind == "lengths" else _offsets(shape, of, rng)
    return counts.astype(numpy_dtype(dtype))


def fill_integers(
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    distribution: str,
    low: float | None,
    high: float | None,
    rng: SeededRng,
) -> Array:
    """Integers of low <= value < high within the dtype, or bools. ConfigError where there is none."""
    if dtype == "bool":
        return _bools(shape, distribution, rng)
    limits = np.iinfo(numpy_dtype(dtype))
    least = limits.min if low is None else max(limits.min, _ceil(low))
    most = limits.max if high is None else min(limits.max, _ceil(high) - 1)
    if least > most:
        raise ConfigError(f"input {name!r}: no {dtype} is >= low = {low!r} and < high = {high!r}")
    wrapped = _integers(shape, distribution, int(least), int(most), limits.bits, rng)
    return (
        wrapped.view(np.uint64 if dtype == "uint64" else np.int64).astype(numpy_dtype(dtype)).reshape(shape)
    )


def _integers(
    shape: tuple[int, ...], distribution: str, least: int, most: int, bits: int, rng: SeededRng
) -> UInt64Array:
    """Flat values in [least, most], modulo 2**64."""
    n = prod(shape)
    if distribution in ("zeros", "ones"):
        return np.full(n, _nearest(int(distribution == "ones"), least, most) % 2**64, dtype=np.uint64)
    if distribution == "wide":
        return _wide(n, least, most, bits, rng)
    if distribution in ("nonfinite", "nonfinite_rows"):
        values = _between(n, least, most, rng)
        edges = [value % 2**64 for value in {least, most, *(_nearest(v, least, most) for v in (-1, 0, 1))}]
        edges.sort()
        if distribution == "nonfinite" and n:
            for _ in range(rng.gen_range(1, 2 + min(n // 16, 7))):
                values[rng.gen_range(0, n)] = rng.choice(edges)
        elif n:
            cols = shape[-1] if shape else 1
            for row in values.reshape(-1, cols):
                if rng.gen_range(0, 2):
                    row[:] = rng.choice(edges)
        return values
    if distribution == "sparse":
        kept = rng.gen_u64s(n) % np.uint64(8) == 0
        return np.where(kept, _between(n, least, most, rng), np.uint64(_nearest(0, least, most) % 2**64))
    return _between(n, *_part(distribution, least, most, rng), rng)


def _part(distribution: str, least: int, most: int, rng: SeededRng) -> tuple[int, int]:
    """The part of [least, most] that a distribution draws from; all of it where they do not meet."""
    if distribution in ("normal", "near_equal"):
        centre, width = least + rng.gen_u64() % (most - least + 1), 100 if distribution == "normal" else 3
        wanted = (centre - width, centre + width)
    elif distribution == "one_signed":
        wanted = (1, most) if rng.gen_range(0, 2) or least >= 0 else (least, -1)
    elif distribution == "root":
        size = isqrt(max(abs(least), abs(most)))
        wanted = (
            (size - size // 4, size + 1)
            if rng.gen_range(0, 2) or least >= 0
            else (-size - 1, -size + size // 4)
        )
    elif distribution == "integers":
        wanted = (-3, 3)
    elif distribution == "tiny":
        wanted = (-1, 1)
    elif distribution == "large":
        eighth = (most - least) // 8
        wanted = (most - eighth, most) if rng.gen_range(0, 2) else (least, least + eighth)
    else:
        wanted = (least, most)
    low, high = max(least, wanted[0]), min(most, wanted[1])
    return (low, high) if low <= high else (least, most)


def _between(n: int, least: int, most: int, rng: SeededRng) -> UInt64Array:
    """[n] integers in [least, most], modulo 2**64."""
    drawn, span = rng.gen_u64s(n), most - least + 1
    offsets = drawn if span == 2**64 else drawn % np.uint64(span)
    return np.asarray(offsets + np.uint64(least % 2**64))


def _wide(n: int, least: int, most: int, bits: int, rng: SeededRng) -> UInt64Array:
    """Log-uniform magnitudes of both signs, or distances from the end that is nearest 0."""
    magnitude = rng.gen_u64s(n) >> (np.uint64(64 - bits) + rng.gen_u64s(n) % np.uint64(bits))
    up = np.uint64(max(least, 0) % 2**64) + _wrap(magnitude, most - max(least, 0))
    down = np.uint64(min(most, 0) % 2**64) - _wrap(magnitude, min(most, 0) - least)
    if least >= 0:
        return np.asarray(up)
    if most <= 0:
        return np.asarray(down)
    return np.asarray(np.where(rng.gen_u64s(n) >> np.uint64(63), up, down))


def _wrap(magnitude: UInt64Array, largest: int) -> UInt64Array:
    if largest < 0:
        return np.zeros_like(magnitude)
    return np.asarray(magnitude if largest >= 2**64 - 1 else magnitude % np.uint64(largest + 1))


def _bools(shape: tuple[int, ...], distribution: str, rng: SeededRng) -> npt.NDArray[np.bool_]:
    """Half of them true, nearly all or none, all, none, or whole rows of one."""
    n = prod(shape)
    if distribution in ("zeros", "ones", "large", "tiny"):
        return np.full(shape, distribution in ("ones", "large"))
    if distribution == "one_signed":
        return np.full(shape, bool(rng.gen_range(0, 2)))
    drawn = rng.gen_u64s(n).reshape(shape)
    if distribution == "nonfinite_rows" and shape:
        drawn = np.broadcast_to(drawn[..., :1], shape) if shape[-1] else drawn
    share = {"sparse": 1, "near_equal": 15}.get(distribution, 8)
    return np.ascontiguousarray(drawn % np.uint64(16) < share).reshape(shape)


def _index(x: Input, shape: tuple[int, ...], dtype: str, of: int, rng: SeededRng) -> Array:
    """Indices below `of`: spread, repeated, constant, sorted, at the ends; some or all of them `ignore`."""
    n = prod(shape)
    limits = np.iinfo(numpy_dtype(dtype))
    if x.ignore is not None and not limits.min <= x.ignore <= limits.max:
        raise ConfigError(f"input {x.name!r}: ignore = {x.ignore} does not fit {dtype}")
    pattern, some = rng.choice(_INDEX_PATTERNS), rng.gen_range(0, 2)
    if x.ignore is not None and (pattern == "ignored" or of == 0):
        return np.full(shape, x.ignore, dtype=numpy_dtype(dtype))
    count = min(of, int(limits.max) + 1)
    if count == 0:
        if n:
            raise ConfigError(
                f"input {x.name!r}: no index lies below {x.of} = 0; set `ignore`, or a size above 0"
            )
        return np.zeros(shape, dtype=numpy_dtype(dtype))
    drawn = (rng.gen_u64s(n) % np.uint64(count)).astype(np.int64).reshape(shape)
    if pattern == "few":
        few = np.array([rng.gen_range(0, count) for _ in range(3)], dtype=np.int64)
        drawn = few[drawn % 3]
    elif pattern == "constant":
        drawn = np.full(shape, rng.choice((0, count - 1, rng.gen_range(0, count))), dtype=np.int64)
    elif pattern in ("rising", "falling"):
        drawn = np.sort(drawn.reshape(-1)).reshape(shape)
        drawn = drawn if pattern == "rising" else np.flip(drawn)
    elif pattern == "ends":
        drawn = np.where(rng.gen_u64s(n).reshape(shape) >> np.uint64(63), count - 1, 0)
    if x.ignore is not None and some:
        drawn = np.where(rng.gen_u64s(n).reshape(shape) % np.uint64(4) == 0, x.ignore, drawn)
    return np.ascontiguousarray(drawn.astype(numpy_dtype(dtype))).reshape(shape)


def _lengths(shape: tuple[int, ...], of: int, rng: SeededRng) -> npt.NDArray[np.int64]:
    """Numbers in [0, of]: spread, all 0, all `of`, or 0, 1, of - 1 and `of`."""
    pattern, n = rng.choice(_LENGTH_PATTERNS), prod(shape)
    if pattern in ("zero", "full"):
        return np.full(shape, of if pattern == "full" else 0, dtype=np.int64)
    drawn = rng.gen_u64s(n)
    if pattern == "ends":
        ends = np.array([0, min(1, of), max(of - 1, 0), of], dtype=np.int64)
        return np.asarray(ends[(drawn % np.uint64(4)).astype(np.int64)]).reshape(shape)
    return np.asarray(drawn % np.uint64(of + 1)).astype(np.int64).reshape(shape)


def _offsets(shape: tuple[int, ...], of: int, rng: SeededRng) -> npt.NDArray[np.int64]:
    """Along the last axis numbers that never fall, from 0 to `of`: equal neighbours are empty groups.

    A single offset is 0.
    """
    if not shape or shape[-1] == 0:
        return np.zeros(shape, dtype=np.int64)
    pattern, n = rng.choice(_OFFSET_PATTERNS), prod(shape)
    inner = (rng.gen_u64s(n) % np.uint64(of + 1)).astype(np.int64).reshape(shape)
    if pattern == "few":
        few = np.array([0, of // 2, of, rng.gen_range(0, of + 1)], dtype=np.int64)
        inner = few[inner % 4]
    elif pattern in ("first", "last"):  # the only group that is not empty
        inner = np.full(shape, of if pattern == "first" else 0, dtype=np.int64)
    offsets = np.sort(inner, axis=-1)
    offsets[..., -1] = of
    offsets[..., 0] = 0
    return offsets


def _permutation(shape: tuple[int, ...], rng: SeededRng) -> npt.NDArray[np.int64]:
    """Along the last axis each of 0 … n-1 once: shuffled, in order, reversed or rotated."""
    if not shape:
        return np.zeros(shape, dtype=np.int64)
    pattern, cols = rng.choice(_PERMUTATION_PATTERNS), shape[-1]
    if pattern == "random":
        keys = rng.gen_u64s(prod(shape)).reshape(shape)
        return np.argsort(keys, axis=-1, kind="stable").astype(np.int64)
    order = np.arange(cols, dtype=np.int64)
    if pattern == "reversed":
        order = order[::-1]
    elif pattern == "rotated" and cols:
        order = np.roll(order, rng.gen_range(0, cols))
    return np.ascontiguousarray(np.broadcast_to(order, shape))


def _mask(shape: tuple[int, ...], rng: SeededRng) -> npt.NDArray[np.bool_]:
    """True where something counts: half, most, few, all or none, a triangle, a prefix, rows without any."""
    pattern = rng.choice(_MASK_PATTERNS)
    if pattern in ("all", "none"):
        return np.full(shape, pattern == "all")
    drawn = rng.gen_u64s(prod(shape)).reshape(shape) % np.uint64(16)
    mask: npt.NDArray[Any] = drawn < {"mostly": 15, "rarely": 1}.get(pattern, 8)
    if not shape or shape[-1] == 0:
        return np.asarray(mask)
    cols = np.arange(shape[-1])
    if pattern == "causal" and len(shape) >= 2:
        # The last query sees every key, as with a cache of earlier keys.
        rows = np.arange(shape[-2])[:, None] + (shape[-1] - shape[-2])
        mask = np.broadcast_to(cols <= rows, shape)
    elif pattern == "prefix":
        mask = cols.astype(np.uint64) < rng.gen_u64s(prod(shape[:-1])).reshape(*shape[:-1], 1) % np.uint64(
            shape[-1] + 1
        )
    elif pattern == "empty rows":
        empty = rng.gen_u64s(prod(shape[:-1])).reshape(*shape[:-1], 1) >> np.uint64(63) == 0
        mask = mask & ~empty
    return np.ascontiguousarray(mask).reshape(shape)


def _nearest(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _ceil(value: float) -> int:
    return -int(-value // 1)
