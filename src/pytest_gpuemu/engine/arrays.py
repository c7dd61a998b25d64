"""Arrays of other libraries: from a kernel's output to NumPy, and from a case's input to the kernel's.

Here: NumPy, torch, CuPy, JAX, and whatever speaks DLPack or __array__; bfloat16 and float8 are moved
as bits and never through another type. Elsewhere: what memory a case's arrays lie in, and how much of it
belongs to a torch storage (buffers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine import torch_arrays
from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import CannotRunHere, OutputError
from pytest_gpuemu.engine.libraries import import_library, is_instance_of
from pytest_gpuemu.engine.op import LIBRARIES, Array
from pytest_gpuemu.engine.spans import bytes_before_first, is_sparse, span_of, too_sparse


def to_numpy(x: Any, giver: str = "the kernel") -> Array:
    """The same values as a NumPy array, with ml_dtypes for bfloat16 and float8.

    Shares memory with x where x lies in CPU memory and its library allows it. Raises OutputError
    for what is no array: the message says what giver returned.
    """
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, np.generic):
        return np.asarray(x)
    if x is None:
        hint = "return the output"
        if giver == "the kernel":
            hint += ", or write into fuzz_case.outputs and call check() without an argument"
        raise OutputError(f"{giver} returned None: {hint}")
    if isinstance(x, (bool, int, float, complex)):
        raise OutputError(
            f"{giver} returned {x!r}, a Python {type(x).__name__} without a dtype: return a 0-d array"
        )
    if isinstance(x, (list, tuple, dict, str, bytes)):
        raise OutputError(f"{giver} returned a {type(x).__name__}, not an array: {_brief(x)}")
    library = type(x).__module__.split(".")[0]
    if library == "torch" or is_instance_of(x, "torch", "Tensor"):
        return torch_arrays.from_torch(x, giver)
    for method in ("copy_to_host", "get"):  # Numba's device arrays, CuPy's
        if hasattr(x, "__cuda_array_interface__") and hasattr(x, method):
            return np.asarray(getattr(x, method)())
    return _through_protocols(x, giver)


def from_numpy(array: Array, library: str, device: Any = None, *, storage_offset: int = 0) -> Any:
    """The same values, with the same strides, as an array of library ("numpy", "torch", "cupy", "jax").

    torch on the CPU shares the memory, so that the guard bands around it stay in force. storage_offset
    is the number of elements before the array's first that belong to its torch storage; they must lie in the
    same allocation. Raises CannotRunHere where the library or the platform cannot hold it.
    """
    if library not in LIBRARIES:
        raise ValueError(f"library {library!r} is none of {LIBRARIES}")
    if library == "numpy":
        return array
    if library == "torch":
        return torch_arrays.to_torch(array, device, storage_offset)
    return _to_cupy(array, device) if library == "cupy" else _to_jax(array, device)


def view_of_bytes(memory: Any, dtype: str, shape: Sequence[int], strides: Sequence[int], first: int) -> Any:
    """An array over 1-d uint8 memory of torch or CuPy; strides, and where its first element is, in bytes.

    Raises CannotRunHere where the library has no such array.
    """
    if not is_instance_of(memory, "torch", "Tensor"):
        cupy = import_library("cupy")
        try:
            return cupy.ndarray(shape, cupy.dtype(numpy_dtype(dtype)), memory.data + first, strides=strides)
        except (TypeError, ValueError) as error:
            raise CannotRunHere(f"cupy {cupy.__version__} cannot hold dtype {dtype}: {error}") from error
    return torch_arrays.view_of_bytes(memory, dtype, shape, strides, first)


def share_memory(one: Any, other: Any) -> bool:
    """Whether two arrays lie in the same memory, on the host or on a device."""
    if is_instance_of(one, "torch", "Tensor") and is_instance_of(other, "torch", "Tensor"):
        address = one.untyped_storage().data_ptr()
        if address and address == other.untyped_storage().data_ptr():
            return True
    if all(type(x).__module__.split(".")[0] == "cupy" for x in (one, other)):
        return bool(import_library("cupy").may_share_memory(one, other))
    return np.may_share_memory(to_numpy(one), to_numpy(other))


def device_of(x: Any) -> str:
    """Where an array lies, such as "cpu" or "cuda:0"."""
    if is_instance_of(x, "torch", "Tensor"):
        return str(x.device)
    if type(x).__module__.split(".")[0] == "cupy":
        return f"cuda:{x.device.id}"
    if hasattr(x, "devices") and is_instance_of(x, "jax", "Array"):
        platforms = sorted(f"{device.platform}:{device.id}" for device in x.devices())
        return ",".join(platforms).replace("cpu:0", "cpu").replace("gpu:", "cuda:")
    return "cuda" if hasattr(x, "__cuda_array_interface__") else "cpu"


def is_array_of(x: Any, library: str) -> bool:
    """Whether x is an array of "torch" or "jax"."""
    return is_instance_of(x, library, "Tensor" if library == "torch" else "Array")


def _through_protocols(x: Any, giver: str) -> Array:
    try:
        array = np.asarray(x) if hasattr(x, "__array__") else np.from_dlpack(x)
    except (TypeError, ValueError, RuntimeError, BufferError, AttributeError) as error:
        if not hasattr(x, "__array__") and not hasattr(x, "__dlpack__"):
            raise OutputError(
                f"{giver} returned {type(x).__module__}.{type(x).__qualname__} ({_brief(x)}), "
                "which is no array: neither __array__ nor __dlpack__"
            ) from error
        raise OutputError(
            f"{giver} returned {type(x).__module__}.{type(x).__qualname__}, which NumPy cannot read: {error}"
        ) from error
    if array.dtype == object:
        raise OutputError(
            f"{giver} returned {type(x).__module__}.{type(x).__qualname__}, "
            "which NumPy reads as Python objects, not as numbers"
        )
    return array


def _to_cupy(array: Array, device: Any) -> Any:
    cupy = import_library("cupy")
    try:
        with cupy.cuda.Device(0 if device is None else device):
            span = span_of(array)
            if is_sparse(array, span):
                raise CannotRunHere(too_sparse(span, "a GPU"))
            memory = cupy.asarray(span)
            return view_of_bytes(
                memory, str(array.dtype), array.shape, array.strides, bytes_before_first(array)
            )
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise CannotRunHere(f"cupy finds no usable GPU: {error}") from error


def _to_jax(array: Array, device: Any) -> Any:
    jax = import_library("jax")
    if not array.flags.c_contiguous:
        raise CannotRunHere(
            f"jax arrays have no strides: an array of shape {list(array.shape)} and strides {array.strides} "
            "bytes cannot be one (only the contiguous layout)"
        )
    if not jax.config.jax_enable_x64 and str(array.dtype) in ("float64", "int64", "uint64"):
        raise CannotRunHere(f"jax holds no {array.dtype} unless jax_enable_x64 is set")
    try:
        placed = device if device is None or not isinstance(device, str) else jax.devices(device)[0]
        return jax.device_put(np.array(array), placed)  # a copy: a jax array never changes
    except (TypeError, RuntimeError) as error:
        raise CannotRunHere(f"jax {jax.__version__} cannot hold dtype {array.dtype}: {error}") from error


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else text[:57] + "..."
