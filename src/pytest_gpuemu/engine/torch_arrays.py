"""torch tensors: from a kernel's output to NumPy, and over a case's memory.

Here: dtypes, strides and storages as torch has them. Elsewhere: which library an array is of (arrays.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes

from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import CannotRunHere, OutputError
from pytest_gpuemu.engine.libraries import import_library
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.spans import is_sparse, span_of, too_sparse

# torch's name of each dtype that NumPy has no type of its own for, and integers of the same size.
_AS_BITS = {
    "bfloat16": (ml_dtypes.bfloat16, "int16"),
    "float8_e4m3fn": (ml_dtypes.float8_e4m3fn, "uint8"),
    "float8_e5m2": (ml_dtypes.float8_e5m2, "uint8"),
}


def from_torch(tensor: Any, giver: str) -> Array:
    if tensor.device.type == "meta":
        raise OutputError(f"{giver} returned a torch tensor on the meta device, which holds no values")
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized:
        kind = "quantized" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise OutputError(f"{giver} returned a {kind} torch tensor: return a dense one (.to_dense())")
    dense = tensor.detach().cpu().resolve_conj().resolve_neg()
    name = str(tensor.dtype).removeprefix("torch.")
    try:
        if name in _AS_BITS:
            dtype, bits = _AS_BITS[name]
            torch = import_library("torch")
            as_bits: Array = dense.view(getattr(torch, bits)).numpy()
            return as_bits.view(dtype)
        plain: Array = dense.numpy()
        return plain
    except (TypeError, RuntimeError) as error:
        raise OutputError(
            f"{giver} returned a torch tensor of dtype {name}, which NumPy cannot read: {error}"
        ) from error


def to_torch(array: Array, device: Any, storage_offset: int) -> Any:
    torch = import_library("torch")
    dtype, strides = _torch_dtype(str(array.dtype)), _torch_strides(array.strides, array.itemsize)
    # Bytes of the storage, from its first element to behind the last; then the strides over them, so
    # that neither the dtype nor gaps and overlaps pass through NumPy's and torch's conversions.
    memory = span_of(array, storage_offset)
    if not memory.flags.writeable:
        memory = memory.copy()
    flat = torch.from_numpy(memory)
    if is_sparse(array, memory):
        if device is not None and torch.device(device).type != "cpu":
            raise CannotRunHere(too_sparse(memory, device))
        _spare_storage_copies(flat)
    if device is not None:
        try:
            flat = flat.to(device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
            raise CannotRunHere(f"torch cannot use the device {device!r}: {error}") from error
    if array.size == 0:
        return torch.empty(array.shape, dtype=dtype, device=flat.device)
    return flat.view(dtype).as_strided(array.shape, strides, storage_offset)


def view_of_bytes(memory: Any, dtype: str, shape: Sequence[int], strides: Sequence[int], first: int) -> Any:
    """A tensor over a 1-d uint8 one; strides, and where its first element is, in bytes."""
    itemsize = numpy_dtype(dtype).itemsize
    elements = memory.view(_torch_dtype(dtype))
    return elements.as_strided(shape, _torch_strides(strides, itemsize), first // itemsize)


def _torch_dtype(name: str) -> Any:
    torch = import_library("torch")
    dtype = getattr(torch, name, None)
    if dtype is None:
        raise CannotRunHere(f"torch {torch.__version__} has no dtype {name}")
    return dtype


def _torch_strides(strides: Sequence[int], itemsize: int) -> list[int]:
    """Strides in elements."""
    if any(stride < 0 for stride in strides):
        raise CannotRunHere(
            f"torch has no negative strides: an array of strides {tuple(strides)} bytes (layout 'reversed') "
            "cannot be a torch tensor"
        )
    if any(stride % itemsize for stride in strides):
        raise CannotRunHere(f"torch strides count elements: {strides} bytes are no multiple of {itemsize}")
    return [stride // itemsize for stride in strides]


def _spare_storage_copies(tensor: Any) -> None:
    """Let a copy of the tensor's storage onto itself do nothing, rather than touch every page of it.

    Triton's interpreter makes one after each launch, of the storage of every argument.
    """
    storage = tensor.untyped_storage()
    copy = storage.copy_

    def copy_(source: Any, non_blocking: bool | None = None) -> Any:
        if source.data_ptr() == tensor.data_ptr():
            return tensor.untyped_storage()
        return copy(source, non_blocking)

    storage.copy_ = copy_
    if tensor.untyped_storage() is not storage:  # an old torch, which makes a new object for each call
        raise CannotRunHere("layout 'huge' needs a torch that keeps one object for each storage (2.1)")
