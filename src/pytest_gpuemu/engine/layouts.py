"""Layouts: where the elements of an array lie in memory.

Here: the strides of each layout, and the place of the array inside its allocation.
Elsewhere: the memory itself, its guard bands and gaps (buffers.py), drawing a layout (plan.py).

    contiguous     C order
    strided        gaps: between the elements of an axis, or at the end of the rows
    transposed     the axes in memory in another order, the last two swapped more often than not
    channels_last  axis 1 is the one that runs fastest
    offset         C order, starting some elements behind an aligned address
    reversed       a negative stride along one axis or all
    broadcast      stride 0 along one axis
    huge           the last slice of one axis begins 2**31 elements and 2**32 bytes after the first, or more
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.rng import SeededRng

Indices: TypeAlias = npt.NDArray[np.intp]

# No int32 holds such an offset in elements, and no uint32 one in bytes.
HUGE_ELEMENTS = 2**31
HUGE_BYTES = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an array lies in an allocation of `total` bytes; everything here is in bytes.

    first is where element [0, ..., 0] begins and lowest where the lowest element does; span is the
    distance from there to behind the highest element. Around every region of `slab` bytes, which are
    `apart` bytes from each other, the guard on both sides is watched; all layouts but huge have one.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    first: int
    lowest: int
    span: int
    guard: int
    total: int
    regions: int = 1
    slab: int = 0
    apart: int = 0
    axis: int = 0

    def view(self, base: Array, dtype: np.dtype[Any]) -> Array:
        """The array in its allocation base."""
        array: Array = np.ndarray(self.shape, dtype, base, self.first, self.strides)
        return array

    def watched(self, base: Array) -> Array:
        """The watched bytes of base, [regions, bytes]."""
        if self.regions == 1:
            return base.reshape(1, -1)
        start = base[self.lowest - self.guard :]
        return as_strided(start, (self.regions, self.slab + 2 * self.guard), (self.apart, 1))

    def view_of(self, copied: Array, dtype: np.dtype[Any]) -> Array:
        """The array in a contiguous copy of the watched bytes."""
        if self.regions == 1:
            return self.view(copied.reshape(-1), dtype)
        strides = list(self.strides)
        strides[self.axis] = copied.shape[1]
        array: Array = np.ndarray(self.shape, dtype, copied.reshape(-1), self.guard, tuple(strides))
        return array

    def address_of(self, regions: Indices, columns: Indices) -> Indices:
        """How far watched bytes lie from the array's lowest address."""
        if self.regions == 1:
            return columns - self.lowest
        return regions * self.apart + columns - self.guard


def place(shape: tuple[int, ...], itemsize: int, layout: str, guard: int, seed: int) -> Placement:
    """Where an array of this shape and layout lies, with guard bytes before and behind it.

    guard is a multiple of every alignment; seed decides what the layout leaves open. The layout must
    fit the shape (plan.layout_fits).
    """
    rng = SeededRng(seed)
    if layout == "huge":
        return _place_huge(shape, itemsize, guard, rng)
    steps, shift = _element_strides(shape, layout, rng), 0
    if layout == "offset":
        shift = rng.choice((1, 1, 3, 4, 7, 16))
    behind = [(size - 1) * step for size, step in zip(shape, steps, strict=True)]
    count = 0 if 0 in shape else 1 + sum(abs(far) for far in behind)
    lowest = guard + shift * itemsize
    first = lowest + itemsize * sum(-far for far in behind if far < 0) * (count > 0)
    total = lowest + count * itemsize + guard
    return Placement(
        shape=shape,
        strides=tuple(step * itemsize for step in steps),
        first=first,
        lowest=lowest,
        span=count * itemsize,
        guard=guard,
        total=total + -total % 8,  # a whole number of elements of every dtype
    )


def is_laid_out(array: Array, layout: str) -> bool:
    """Whether an array of any origin has that layout, as far as its strides tell.

    transposed is any order of the axes without gaps; strided, offset, reversed and huge are any strides,
    but no element may share its memory with another; broadcast is any strides at all.
    """
    if array.size <= 1 or layout == "broadcast":
        return True
    if layout == "contiguous":
        return array.flags.c_contiguous
    if layout == "channels_last":
        return array.ndim < 2 or np.moveaxis(array, 1, -1).flags.c_contiguous
    if layout == "transposed":
        order = sorted(range(array.ndim), key=lambda axis: -array.strides[axis])
        return bool(array.transpose(order).flags.c_contiguous)
    return all(step or size == 1 for size, step in zip(array.shape, array.strides, strict=True))


def _element_strides(shape: tuple[int, ...], layout: str, rng: SeededRng) -> tuple[int, ...]:
    """The strides in elements."""
    rank = len(shape)
    if layout == "strided":
        return _gapped(shape, rng)
    if layout == "transposed":
        return _in_memory_order(shape, _transposition(rank, rng))
    if layout == "channels_last":
        return _in_memory_order(shape, (0, *range(2, rank), 1))
    steps = list(c_strides(shape))
    if layout in ("reversed", "broadcast"):
        axes = [axis for axis, size in enumerate(shape) if size > 1]
        axis = rng.choice(axes)
        if layout == "broadcast":
            steps = list(c_strides([1 if other == axis else size for other, size in enumerate(shape)]))
            steps[axis] = 0
        else:
            chosen = axes if rng.gen_range(0, 4) == 0 else [axis]
            steps = [-step if axis in chosen else step for axis, step in enumerate(steps)]
    return tuple(steps)


def c_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides in elements of a C-contiguous array; an axis of length 0 counts as 1."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= max(size, 1)
    return tuple(reversed(steps))


def _gapped(shape: tuple[int, ...], rng: SeededRng) -> tuple[int, ...]:
    """Every second or third element of an axis (the last more often than not), or longer rows, or both."""
    rank = len(shape)
    kind = rng.gen_range(0, 3) if rank > 1 else 0
    last_axis, any_axis = rng.gen_range(0, 3) > 0, rng.gen_range(0, rank)
    axis = rank - 1 if last_axis else any_axis
    step = rng.choice((2, 2, 3))
    pad = rng.choice((1, 3, 8))
    larger = list(shape)
    if kind != 1:
        larger[axis] *= step
    if kind != 0:
        larger[-1] += pad
    steps = list(c_strides(larger))
    if kind != 1:
        steps[axis] *= step
    return tuple(steps)


def _transposition(rank: int, rng: SeededRng) -> tuple[int, ...]:
    """The axes in the order of memory, the slowest first; never the C order."""
    swapped = (*range(rank - 2), rank - 1, rank - 2)
    luck = rng.gen_range(0, 5)
    if luck < 3 or rank == 2:
        return swapped
    if luck == 3:
        return tuple(reversed(range(rank)))
    order = list(range(rank))
    rng.shuffle(order)
    return swapped if order == list(range(rank)) else tuple(order)


def _in_memory_order(shape: tuple[int, ...], order: Sequence[int]) -> tuple[int, ...]:
    packed = c_strides([shape[axis] for axis in order])
    steps = [0] * len(shape)
    for axis, step in zip(order, packed, strict=True):
        steps[axis] = step
    return tuple(steps)


def _place_huge(shape: tuple[int, ...], itemsize: int, guard: int, rng: SeededRng) -> Placement:
    """The slices along the shortest axis of two or more, so far apart that the last is out of reach.

    As much address space lies before the first slice: an offset that wrapped around to a negative number
    leads there, to zeros, so that a kernel which reads it gives a wrong result instead of a crash.
    """
    axis = huge_axis(shape)
    rest = tuple(1 if other == axis else size for other, size in enumerate(shape))
    slab = prod(rest) * itemsize
    reach = max(HUGE_ELEMENTS * itemsize, HUGE_BYTES)
    least = -(-(reach // itemsize) // (shape[axis] - 1)) * itemsize
    apart = max(least, slab + 2 * guard) + rng.gen_range(1, 64) * 8
    apart += -apart % 8
    strides = [step * itemsize for step in c_strides(rest)]
    strides[axis] = apart
    lowest = reach + guard
    span = (shape[axis] - 1) * apart + slab
    total = lowest + span + guard
    return Placement(
        shape=shape,
        strides=tuple(strides),
        first=lowest,
        lowest=lowest,
        span=span,
        guard=guard,
        total=total + -total % 8,
        regions=shape[axis],
        slab=slab + -slab % 8,
        apart=apart,
        axis=axis,
    )


def huge_axis(shape: Sequence[int]) -> int:
    """The axis whose neighbours the huge layout moves apart: the shortest of two or more."""
    return min((axis for axis, size in enumerate(shape) if size > 1), key=lambda axis: (shape[axis], axis))
