"""The memory that an array spans: as bytes, gaps and the part of a storage before it included.

Elsewhere: arrays of other libraries over such bytes (arrays.py, torch_arrays.py).
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.op import Array

# A span of more bytes is not copied, where an array has elements at few places of it.
_LARGEST_COPY = 2**28


def span_of(array: Array, elements_before: int = 0) -> Array:
    """The memory from the lowest to behind the highest address of array, as bytes, shared.

    It starts elements_before elements earlier. Where array is no view of a larger allocation this
    cannot be, and ValueError says so.
    """
    before = bytes_before_first(array) + elements_before * array.itemsize
    if array.size == 0:
        return np.empty(0, np.uint8)
    nbytes = (
        before
        + array.itemsize
        + sum(
            (size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True) if stride > 0
        )
    )
    if elements_before:
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        offset = _address(array) - before - _address(root)
        if offset < 0 or offset + nbytes > root.nbytes:
            raise ValueError(f"storage_offset {elements_before} reaches outside of the array's allocation")
    turned = (slice(None, None, -1) if stride < 0 else slice(None) for stride in array.strides)
    upwards = (..., *turned)  # the ellipsis keeps an array of no dims an array
    first = array[upwards]
    whole = _Memory(_address(first) - elements_before * array.itemsize, nbytes, array)
    return np.asarray(whole)


def is_sparse(array: Array, span: Array) -> bool:
    """Whether most of an array's span has no memory: layout "huge". A copy of the span would need it all."""
    return span.nbytes > max(_LARGEST_COPY, 64 * array.nbytes)


def too_sparse(span: Array, device: object) -> str:
    return (
        f"layout 'huge' spans {span.nbytes / 2**30:.0f} GiB of addresses with memory at few of them, "
        f"which {device} cannot do"
    )


class _Memory:
    """nbytes of memory from an address, through NumPy's array interface; keeps its owner alive."""

    def __init__(self, address: int, nbytes: int, owner: Array) -> None:
        self.owner = owner
        self.__array_interface__ = {
            "shape": (nbytes,),
            "typestr": "|u1",
            "data": (address, not owner.flags.writeable),
            "version": 3,
        }


def bytes_before_first(array: Array) -> int:
    """How far below element [0, ..., 0] the lowest address of array lies: > 0 for reversed axes."""
    return sum(
        -(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True) if stride < 0
    )


def _address(array: Array) -> int:
    return int(array.ctypes.data)
