"""Buffers: the memory around an array of a case, with its guard bands and poisoned gaps.

Here: allocating an array inside memory of ours, and finding out afterwards what a kernel did to it.
Elsewhere: where the elements of each layout lie (layouts.py), which values they get (values.py).

What poison cannot tell: every bit pattern of a bool or an integer is a legitimate value, and
float8_e4m3fn has no NaN but the two that poison uses. There an element that holds the poison is
unwritten for certain only if it held the other poison in another run, too.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.layouts import Placement, place
from pytest_gpuemu.engine.op import Array

# A tile stored without its mask overruns by up to a block of 1024 elements, or by many rows.
GUARD_BYTES = 4096
_MAX_EXTRA_GUARD = 2**16
# Layouts of x[1:] and x[:, ::2]. The others are those of whole tensors, whose storage begins with them.
_PARTS = ("offset", "strided")
_ALIGNMENT = 256

# Two bit patterns a dtype: quiet NaNs with payloads that no arithmetic makes, of either sign.
_POISONS = {
    "float16": (0x7F55, 0xFF2B),
    "bfloat16": (0x7FD5, 0xFFEB),
    "float32": (0x7FD5A5A5, 0xFFEBC3C3),
    "float64": (0x7FFD5A5AA5A5C3C3, 0xFFFEC3C35A5AA5A5),
    "float8_e5m2": (0x7D, 0xFD),
    "float8_e4m3fn": (0x7F, 0xFF),
    "bool": (0x01, 0x00),
}
_INTEGER_POISONS = (0xA5A5A5A5A5A5A5A5, 0x5A5A5A5A5A5A5A5A)
_UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardDamage:
    """Bytes outside of an array that changed: so many before its first element, between its elements
    and after its last. first is where the first one lies, in bytes from the array's lowest address.
    """

    before: int
    between: int
    after: int
    first: int

    @property
    def nbytes(self) -> int:
        return self.before + self.between + self.after


@dataclass(slots=True, kw_only=True)
class Buffer:
    """A view with a layout inside a larger allocation of ours.

    base is the whole allocation as bytes (1-d uint8, kept alive by the view), view the array that a
    kernel gets. watched are the bytes whose changes are noticed, [regions, bytes]: all of base, except
    in the huge layout, where they are the surroundings of each slice that has memory. pristine holds
    them as they were when the buffer was last filled.
    """

    base: Array
    view: Array
    layout: str
    watched: Array
    pristine: Array
    old: Array
    placement: Placement
    poisoned: int | None = None

    def fill(self, values: Array) -> None:
        """Give the view these values, of its own shape and dtype, and put everything else in order."""
        bits(self.view)[...] = bits(values)
        self.poisoned = None
        self._remember()

    def poison(self, which: int = 0) -> None:
        """Fill the view with one of the two poisons, 0 or 1."""
        bits(self.view)[...] = poison_bits(str(self.view.dtype), which)
        self.poisoned = which
        self._remember()

    def restore(self) -> None:
        """Put every watched byte back to what it was when the buffer was last filled."""
        self.watched[...] = self.pristine

    def unwritten(self) -> npt.NDArray[np.bool_]:
        """The mask of the elements that still hold the poison; all False where the view holds values."""
        if self.poisoned is None:
            return np.zeros(self.view.shape, dtype=bool)
        poison = poison_bits(str(self.view.dtype), self.poisoned)
        return cast("npt.NDArray[np.bool_]", np.asarray(bits(self.view) == poison))

    @property
    def storage_offset(self) -> int:
        """How many elements before the view its torch storage has: all of the allocation's where the layout
        is that of a part of a larger tensor, so that a kernel which ignores the offset reads poison.
        """
        if self.layout not in _PARTS or not self.view.size:
            return 0
        return self.placement.first // self.view.dtype.itemsize

    @property
    def is_poison_certain(self) -> bool:
        """Whether a kernel cannot have written the poison itself, other than by copying it."""
        return is_poison_certain(str(self.view.dtype))

    def modified(self) -> npt.NDArray[np.bool_]:
        """The mask of the view's elements whose bits changed since the buffer was filled."""
        return cast("npt.NDArray[np.bool_]", np.asarray(bits(self.view) != bits(self.old)))

    def guard_damage(self) -> GuardDamage | None:
        """What changed outside of the view since the buffer was filled: guard bands and gaps. Else None."""
        if np.array_equal(self.watched, self.pristine):
            return None
        # The pristine bytes with the view's present values: what still differs lies outside of the view.
        should_be = self.pristine.copy()
        bits(self.placement.view_of(should_be, self.view.dtype))[...] = bits(self.view)
        regions, columns = np.nonzero(self.watched != should_be)
        if not len(regions):
            return None
        at = self.placement.address_of(regions, columns)
        size = self.placement.span
        before, after = int(np.count_nonzero(at < 0)), int(np.count_nonzero(at >= size))
        return GuardDamage(before=before, between=len(at) - before - after, after=after, first=int(at[0]))

    def _remember(self) -> None:
        np.copyto(self.pristine, self.watched)


def allocate(
    shape: Sequence[int], dtype: str, layout: str, seed: int = 0, *, gap: int | None = None
) -> Buffer:
    """A buffer whose view has this shape, dtype and layout, filled with poison 0.

    seed decides which axes, gaps and offsets the layout has. Guard bands and gaps hold poison 0 as
    well, or the integer gap where given: an index that was read from a gap should be wrong, but
    not crash. Raises CannotRunHere where the huge layout cannot be mapped.
    """
    kind = numpy_dtype(dtype)
    nbytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    guard = -(-(GUARD_BYTES + min(nbytes, _MAX_EXTRA_GUARD)) // _ALIGNMENT) * _ALIGNMENT
    if layout == "huge":
        guard = _ALIGNMENT  # around each slice: larger ones would touch more pages
    placement = place(tuple(shape), kind.itemsize, layout, guard, seed)
    base = _sparse_memory(placement) if layout == "huge" else _memory(placement.total)
    watched = placement.watched(base)
    surround = (
        poison_bits(dtype, 0) if gap is None else _UNSIGNED[kind.itemsize](gap % 2 ** (8 * kind.itemsize))
    )
    watched.view(_UNSIGNED[kind.itemsize])[...] = surround
    pristine = np.empty(watched.shape, dtype=np.uint8)
    buffer = Buffer(
        base=base,
        view=placement.view(base, kind),
        layout=layout,
        watched=watched,
        pristine=pristine,
        old=placement.view_of(pristine, kind),
        placement=placement,
    )
    buffer.poison(0)
    return buffer


def bits(array: Array) -> Array:
    """The same elements as unsigned integers, which compare and copy bit by bit, NaNs too."""
    return array.view(_UNSIGNED[array.dtype.itemsize])


def poison_bits(dtype: str, which: int) -> np.unsignedinteger[Any]:
    """The bit pattern of poison 0 or 1 of a dtype, as an unsigned integer of its size."""
    itemsize = numpy_dtype(dtype).itemsize
    pattern = _POISONS.get(dtype, _INTEGER_POISONS)[which]
    unsigned: np.unsignedinteger[Any] = _UNSIGNED[itemsize](pattern & (2 ** (8 * itemsize) - 1))
    return unsigned


def is_poison_certain(dtype: str) -> bool:
    """Whether the poison of a dtype is a pattern that no arithmetic makes."""
    return dtype in _POISONS and dtype not in ("bool", "float8_e4m3fn")


def _memory(nbytes: int) -> Array:
    raw = np.empty(nbytes + _ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + nbytes]


def _sparse_memory(placement: Placement) -> Array:
    """Address space without memory: a page gets some when it is first touched."""
    if sys.platform != "linux":
        raise CannotRunHere(f"layout 'huge' needs Linux's sparse mappings, this is {sys.platform}")
    no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)  # named from Python 3.11 on
    try:
        mapping = mmap.mmap(-1, placement.total, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | no_reserve)
        mapping.madvise(mmap.MADV_NOHUGEPAGE)  # else each touched page could cost 2 MiB
    except (OSError, OverflowError, ValueError) as error:
        raise CannotRunHere(
            f"layout 'huge' needs {placement.total} bytes of address space, which cannot be mapped: {error}"
        ) from error
    return np.frombuffer(mapping, dtype=np.uint8)
