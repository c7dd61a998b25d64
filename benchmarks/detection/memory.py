"""Memory as a GPU kernel sees it: an address and flat offsets, with a mask for each lane.

Kernels of the corpus read and write through `Pointer`, so that a wrong stride, a missing mask or a
wrong bound does what it does on a GPU: it reads or writes a neighbour. Lanes that leave the
allocation read STRAY and write nothing, so that a bug never harms the benchmark itself.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

BLOCK = 32  # columns of a row at a time
FLAT = 256  # elements of a program of an elementwise kernel
STRAY = 1.5
Array = np.ndarray[Any, Any]


def _allocation(array: Array) -> tuple[int, int]:
    """First and last + 1 address of the allocation that an array lies in."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return np.lib.array_utils.byte_bounds(array) if hasattr(np.lib, "array_utils") else np.byte_bounds(array)


def strides(array: Array) -> tuple[int, ...]:
    """The strides in elements, as a launcher passes them."""
    return tuple(stride // array.itemsize for stride in array.strides)


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """Fresh device memory: whatever an earlier tensor left there."""
    return np.empty(shape, dtype)


class Pointer:
    """The address of an array's first element. Floats are loaded as float32, integers as int64."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.dtype = array.dtype
        self.address = array.ctypes.data
        low, high = _allocation(array)
        size = array.itemsize
        first, last = -((self.address - low) // size), (high - self.address) // size
        raw = (ctypes.c_char * ((last - first) * size)).from_address(self.address + first * size)
        self.memory = np.frombuffer(raw, self.dtype)  # the whole allocation
        self._first = self.address + first * size
        floating = not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_
        self.register = np.dtype(np.float32) if floating else np.dtype(np.int64)
        if array.dtype == np.float64:
            self.register = np.dtype(np.float64)
        self._stray = np.asarray(STRAY, self.register)

    def _lanes(self, offsets: Any, mask: Any) -> tuple[Array, Array]:
        """The places of the lanes in the memory (those outside count as 0), and which lanes are inside."""
        places = np.asarray(offsets) + (self.address - self._first) // self.dtype.itemsize
        inside = (places >= 0) & (places < self.memory.size) & np.asarray(mask, bool)
        return np.where(inside, places, 0), inside

    def load(self, offsets: Any, mask: Any = True, other: float = 0.0) -> Array:
        places, inside = self._lanes(offsets, mask)
        if not self.memory.size:
            return np.where(mask, self._stray, np.full(inside.shape, other, self.register))
        lanes = self.memory[places].astype(self.register)
        if inside.all():
            return lanes
        return np.where(inside, lanes, np.where(mask, self._stray, np.asarray(other, self.register)))

    def store(self, offsets: Any, values: Any, mask: Any = True) -> None:
        """Write the lanes under the mask; of two lanes with one offset, the last one wins."""
        places, inside = self._lanes(offsets, mask)
        with np.errstate(all="ignore"):
            written = np.broadcast_to(values, inside.shape)[inside].astype(self.dtype)
        self.memory[places[inside]] = written

    def atomic_add(self, offsets: Any, values: Any, mask: Any = True) -> None:
        """Add the lanes under the mask one after the other, rounding to the memory's dtype each time."""
        places, inside = self._lanes(offsets, mask)
        with np.errstate(all="ignore"):
            added = np.broadcast_to(values, inside.shape)[inside].astype(self.dtype)
            np.add.at(self.memory, places[inside], added)
