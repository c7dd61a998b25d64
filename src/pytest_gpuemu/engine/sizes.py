"""Sizes: which numbers the dims of a case may have.

Here: the boundary-rich candidates of a dim, the class that a size belongs to for coverage, and the
bytes of a case. Elsewhere: drawing one size a dim (draw_sizes.py), the grammar of dims (schema.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.op import Input, Op, Range
from pytest_gpuemu.engine.schema import DimExpr

Sizes: TypeAlias = dict[str, int]
ByteCount: TypeAlias = Callable[[Mapping[str, int]], int]

SIZE_CLASSES = ("0", "1", "small", "aligned", "off by one", "odd", "large", "long")
LARGE, LONG = 300, 4096
# What a size leaves in the last of its blocks, for blocks of any power of two up to these.
REMAINDERS = ("1 above 1024s", "1 above 128s", "1 below 128s")

_POWERS = [2**k for k in range(17)]
_PRIMES = (2, 3, 5, 7, 11, 13, 19, 23, 29, 37, 47, 61, 83, 97, 113, 151, 193, 251, 383, 509, 769, 1021, 2039)
_ROUND = (
    6,
    10,
    12,
    20,
    24,
    48,
    80,
    96,
    100,
    160,
    192,
    200,
    320,
    384,
    640,
    768,
    1000,
    1536,
    3072,
    10000,
    50000,
)
BOUNDARIES = tuple(
    sorted({n + d for n in _POWERS for d in (-1, 0, 1) if n + d >= 1} | {*_PRIMES, *_ROUND, 70001})
)


def size_class(size: int) -> str:
    """The class of a size for coverage: one of SIZE_CLASSES."""
    if size < 2:
        return str(size)
    if size < 16:
        return "small"
    if size >= LARGE:
        return "large" if size <= LONG else "long"
    if size % 16 == 0:
        return "aligned"
    return "off by one" if size & (size + 1) == 0 or (size - 1) & (size - 2) == 0 else "odd"


def remainder(size: int) -> str:
    """Which of REMAINDERS a size has, or "": a grid or a loop that is one block short, or reads one too many.

    1 above 1024s is 1 above every smaller power of two as well.
    """
    if size > 1024 and size % 1024 == 1:
        return REMAINDERS[0]
    if size > 128 and size % 128 == 1:
        return REMAINDERS[1]
    return REMAINDERS[2] if size % 128 == 127 else ""


@lru_cache(maxsize=512)
def candidates(given: tuple[int, ...] | Range | None) -> tuple[int, ...]:
    """The rising sizes that a dim given so is drawn from; for a range and for None the likelier ones."""
    if given is None:
        return BOUNDARIES
    if isinstance(given, tuple):
        return tuple(sorted(set(given)))
    low, high = given.low, given.high
    edges = {low, high, min(low + 1, high), max(high - 1, low)}
    return tuple(sorted(edges.union(size for size in BOUNDARIES if low <= size <= high)))


def is_allowed(given: tuple[int, ...] | Range | None, size: int) -> bool:
    """Whether a dim given so may have this size."""
    if given is None:
        return size >= 1
    return given.low <= size <= given.high if isinstance(given, Range) else size in given


def input_dtype(x: Input, dtype: str) -> str:
    """The dtype of an input in a case of this floating dtype."""
    if x.dtype is not None:
        return x.dtype
    return {"values": dtype, "mask": "bool"}.get(x.kind, "int64")


def case_bytes(op: Op, dtype: str, sizes: Mapping[str, int]) -> int:
    """The bytes of all inputs and outputs (those with `[...]` left out) of a case with these sizes."""
    return sum(nbytes(sizes) for nbytes in byte_counts(op, dtype))


def byte_counts(op: Op, dtype: str) -> list[ByteCount]:
    """For each input, and each output with dims, the function from sizes to its bytes."""
    return [_bytes_of(x.dims, _itemsize(input_dtype(x, dtype))) for x in op.inputs] + [
        _bytes_of(y.dims, _itemsize(y.dtype or dtype)) for y in op.outputs if y.dims is not None
    ]


@lru_cache(maxsize=1024)
def _bytes_of(dims: tuple[DimExpr, ...], itemsize: int) -> ByteCount:
    names = [dim.names[0] for dim in dims if str(dim) in dim.names]
    others = [dim for dim in dims if str(dim) not in dim.names]

    def nbytes(sizes: Mapping[str, int]) -> int:
        count = itemsize
        for name in names:
            count *= sizes[name]
        for dim in others:
            count *= dim.evaluate(sizes)
        return count

    return nbytes


@lru_cache(maxsize=64)
def _itemsize(dtype: str) -> int:
    return int(numpy_dtype(dtype).itemsize)
