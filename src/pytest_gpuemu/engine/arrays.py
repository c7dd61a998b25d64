"""Arrays of other libraries: from a kernel's output to NumPy, and from a case's input to the kernel's.

Here: NumPy, torch, CuPy, JAX, and whatever speaks DLPack or __array__; bfloat16 and float8 are moved
as bits and never through another type. Elsewhere: what memory a case's arrays lie in, and how much of it
belongs to a torch storage (buffers.py).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from pytest_gpuemu.engine.buffers import Buffer
from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import CannotRunHere, OutputError
from pytest_gpuemu.engine.op import LIBRARIES, Array

# torch's name of each dtype that NumPy has no type of its own for, and integers of the same size.
_AS_BITS = {
    "bfloat16": (ml_dtypes.bfloat16, "int16"),
    "float8_e4m3fn": (ml_dtypes.float8_e4m3fn, "uint8"),
    "float8_e5m2": (ml_dtypes.float8_e5m2, "uint8"),
}
# A span of more bytes is not copied, where an array has elements at few places of it.
_LARGEST_COPY = 2**28


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
    if library == "torch" or _is_instance_of(x, "torch", "Tensor"):
        return _from_torch(x, giver)
    for method in ("copy_to_host", "get"):  # Numba's device arrays, CuPy's
        if hasattr(x, "__cuda_array_interface__") and hasattr(x, method):
            return np.asarray(getattr(x, method)())
    return _through_protocols(x, giver)


def from_numpy(array: Array, library: str, device: Any = None, *, storage_offset: int = 0) -> Any:
    """The same values, with the same strides, as an array of library ("numpy", "torch", "cupy", "jax").

    torch on the CPU shares the memory, so that the guard bands around it stay in force. storage_offset
    is the number of elements before the array's first that belong to its torch storage, and are copied to a
    device with it, for torch and CuPy; they must lie in the same allocation. Raises CannotRunHere where the
    library or the platform cannot hold it.
    """
    if library not in LIBRARIES:
        raise ValueError(f"library {library!r} is none of {LIBRARIES}")
    if library == "numpy":
        return array
    if library == "torch":
        return _to_torch(array, device, storage_offset)
    return _to_cupy(array, device, storage_offset) if library == "cupy" else _to_jax(array, device)


def view_of_bytes(memory: Any, dtype: str, shape: Sequence[int], strides: Sequence[int], first: int) -> Any:
    """An array over 1-d uint8 memory of torch or CuPy; strides, and where its first element is, in bytes.

    Raises CannotRunHere where the library has no such array.
    """
    if not _is_instance_of(memory, "torch", "Tensor"):
        cupy = _import("cupy")
        try:
            return cupy.ndarray(shape, cupy.dtype(numpy_dtype(dtype)), memory.data + first, strides=strides)
        except (TypeError, ValueError) as error:
            raise CannotRunHere(f"cupy {cupy.__version__} cannot hold dtype {dtype}: {error}") from error
    kind, itemsize = _torch_dtype(dtype), numpy_dtype(dtype).itemsize
    return memory.view(kind).as_strided(shape, _torch_strides(strides, itemsize), first // itemsize)


def share_memory(one: Any, other: Any) -> bool:
    """Whether two arrays lie in the same memory, on the host or on a device."""
    if _is_instance_of(one, "torch", "Tensor") and _is_instance_of(other, "torch", "Tensor"):
        address = one.untyped_storage().data_ptr()
        if address and address == other.untyped_storage().data_ptr():
            return True
    if all(type(x).__module__.split(".")[0] == "cupy" for x in (one, other)):
        return bool(_import("cupy").may_share_memory(one, other))
    return np.may_share_memory(to_numpy(one), to_numpy(other))


def handed_over(
    views: Mapping[str, Array], buffers: Mapping[str, Buffer], library: str, device: Any = None
) -> dict[str, Any]:
    """Arrays by name, as those of library; one that has a buffer begins its torch storage where that says.

    Raises CannotRunHere as from_numpy does.
    """
    return {
        name: from_numpy(
            array, library, device, storage_offset=buffers[name].storage_offset if name in buffers else 0
        )
        for name, array in views.items()
    }


def device_of(x: Any) -> str:
    """Where an array lies, such as "cpu" or "cuda:0"."""
    if _is_instance_of(x, "torch", "Tensor"):
        return str(x.device)
    if type(x).__module__.split(".")[0] == "cupy":
        return f"cuda:{x.device.id}"
    if hasattr(x, "devices") and _is_instance_of(x, "jax", "Array"):
        platforms = sorted(f"{device.platform}:{device.id}" for device in x.devices())
        return ",".join(platforms).replace("cpu:0", "cpu").replace("gpu:", "cuda:")
    return "cuda" if hasattr(x, "__cuda_array_interface__") else "cpu"


def is_array_of(x: Any, library: str) -> bool:
    """Whether x is an array of "torch" or "jax"."""
    return _is_instance_of(x, library, "Tensor" if library == "torch" else "Array")


def _from_torch(tensor: Any, giver: str) -> Array:
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
            import torch

            as_bits: Array = dense.view(getattr(torch, bits)).numpy()
            return as_bits.view(dtype)
        plain: Array = dense.numpy()
        return plain
    except (TypeError, RuntimeError) as error:
        raise OutputError(
            f"{giver} returned a torch tensor of dtype {name}, which NumPy cannot read: {error}"
        ) from error


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


def _to_torch(array: Array, device: Any, storage_offset: int) -> Any:
    torch = _import("torch")
    dtype, strides = _torch_dtype(str(array.dtype)), _torch_strides(array.strides, array.itemsize)
    # Bytes of the storage, from its first element to behind the last; then the strides over them, so
    # that neither the dtype nor gaps and overlaps pass through NumPy's and torch's conversions.
    memory = _span(array, storage_offset)
    if not memory.flags.writeable:
        memory = memory.copy()
    flat = torch.from_numpy(memory)
    if _is_sparse(array, memory):
        if device is not None and torch.device(device).type != "cpu":
            raise CannotRunHere(_too_sparse(memory, device))
        _spare_storage_copies(flat)
    if device is not None:
        try:
            flat = flat.to(device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
            raise CannotRunHere(f"torch cannot use the device {device!r}: {error}") from error
    if array.size == 0:
        return torch.empty(array.shape, dtype=dtype, device=flat.device)
    return flat.view(dtype).as_strided(array.shape, strides, storage_offset)


def _torch_dtype(name: str) -> Any:
    torch = _import("torch")
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


def _to_cupy(array: Array, device: Any, elements_before: int) -> Any:
    cupy = _import("cupy")
    try:
        dtype = cupy.dtype(array.dtype)
        with cupy.cuda.Device(0 if device is None else device):
            span = _span(array, elements_before)
            if _is_sparse(array, span):
                raise CannotRunHere(_too_sparse(span, "a GPU"))
            memory = cupy.asarray(span)
            first = memory.data + _bytes_before_first(array) + elements_before * array.itemsize
            return cupy.ndarray(array.shape, dtype, first, strides=array.strides)
    except (TypeError, ValueError) as error:
        raise CannotRunHere(f"cupy {cupy.__version__} cannot hold dtype {array.dtype}: {error}") from error
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise CannotRunHere(f"cupy finds no usable GPU: {error}") from error


def _to_jax(array: Array, device: Any) -> Any:
    jax = _import("jax")
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


def _span(array: Array, elements_before: int) -> Array:
    """The memory from the lowest to behind the highest address of array, as bytes, shared.

    It starts elements_before elements earlier. Where array is no view of a larger allocation this
    cannot be, and ValueError says so.
    """
    before = _bytes_before_first(array) + elements_before * array.itemsize
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


def _is_sparse(array: Array, span: Array) -> bool:
    """Whether most of an array's span has no memory: layout "huge". A copy of the span would need it all."""
    return span.nbytes > max(_LARGEST_COPY, 64 * array.nbytes)


def _too_sparse(span: Array, device: Any) -> str:
    return (
        f"layout 'huge' spans {span.nbytes / 2**30:.0f} GiB of addresses with memory at few of them, "
        f"which {device} cannot do"
    )


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


def _bytes_before_first(array: Array) -> int:
    """How far below element [0, ..., 0] the lowest address of array lies: > 0 for reversed axes."""
    return sum(
        -(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True) if stride < 0
    )


def _address(array: Array) -> int:
    return int(array.ctypes.data)


def _import(library: str) -> Any:
    try:
        return __import__(library)
    except ImportError as error:
        raise CannotRunHere(f"{library} is not installed here: {error}") from error


def _is_instance_of(x: Any, library: str, name: str) -> bool:
    """isinstance without importing the library: what it made cannot exist before it is imported."""
    module = sys.modules.get(library)
    cls = getattr(module, name, None)
    return isinstance(cls, type) and isinstance(x, cls)


def _brief(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else text[:57] + "..."
