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
        self.low, self.high = -((self.address - low) // size), (high - self.address) // size
        floating = not np.issubdtype(array.dtype, np.integer) and array.dtype != np.bool_
        self.register = np.dtype(np.float32) if floating else np.dtype(np.int64)
        if array.dtype == np.float64:
            self.register = np.dtype(np.float64)

    def _window(self, offsets: Array) -> tuple[Array, int]:
        """The memory that these offsets span, as a flat array, and the offset of its first element."""
        low, high = int(offsets.min()), int(offsets.max())
        raw = (ctypes.c_char * ((high - low + 1) * self.array.itemsize)).from_address(
            self.address + low * self.array.itemsize
        )
        return np.frombuffer(raw, self.dtype), low

    def _lanes(self, offsets: Any, mask: Any) -> tuple[Array, Array, Array]:
        offsets, mask = np.broadcast_arrays(np.asarray(offsets), np.asarray(mask, bool))
        inside = mask & (offsets >= self.low) & (offsets < self.high)
        return offsets, mask, inside

    def load(self, offsets: Any, mask: Any = True, other: float = 0.0) -> Array:
        offsets, mask, inside = self._lanes(offsets, mask)
        lanes = np.where(mask, np.asarray(STRAY, self.register), np.asarray(other, self.register))
        if inside.any():
            window, low = self._window(offsets[inside])
            lanes[inside] = window[offsets[inside] - low].astype(self.register)
        return lanes

    def store(self, offsets: Any, values: Any, mask: Any = True) -> None:
        """Write the lanes under the mask; of two lanes with one offset, the last one wins."""
        offsets, mask, inside = self._lanes(offsets, mask)
        if inside.any():
            window, low = self._window(offsets[inside])
            with np.errstate(all="ignore"):
                window[offsets[inside] - low] = np.broadcast_to(values, offsets.shape)[inside].astype(
                    self.dtype
                )

    def atomic_add(self, offsets: Any, values: Any, mask: Any = True) -> None:
        """Add the lanes under the mask one after the other, rounding to the memory's dtype each time."""
        offsets, mask, inside = self._lanes(offsets, mask)
        if inside.any():
            window, low = self._window(offsets[inside])
            with np.errstate(all="ignore"):
                np.add.at(
                    window,
                    offsets[inside] - low,
                    np.broadcast_to(values, offsets.shape)[inside].astype(self.dtype),
                )
