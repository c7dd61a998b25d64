"""NumPy arrays to tensors of the wire and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import ProtocolError, did_you_mean
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.protocol.tensor import ITEM_BYTES, Tensor


def to_tensor(array: Array) -> Tensor:
    """The elements in C order. Raises ProtocolError for a dtype that the wire has no name for."""
    name = str(array.dtype.newbyteorder("="))
    if name not in ITEM_BYTES:
        raise ProtocolError(
            f"an array of dtype {array.dtype} cannot be sent; {did_you_mean(name, ITEM_BYTES)}"
        )
    return Tensor(tuple(array.shape), name, array.astype(array.dtype.newbyteorder("="), copy=False).tobytes())


def to_array(tensor: Tensor) -> Array:
    """A writable C-contiguous array of its own."""
    array: Array = np.frombuffer(tensor.data, numpy_dtype(tensor.dtype)).reshape(tensor.shape).copy()
    return array


def to_arrays(given: Tensor | Mapping[str, Tensor] | tuple[Tensor, ...]) -> Any:
    """One array, a tuple of them, or a dict of them by name."""
    if isinstance(given, Tensor):
        return to_array(given)
    if isinstance(given, tuple):
        return tuple(map(to_array, given))
    return {name: to_array(tensor) for name, tensor in given.items()}
