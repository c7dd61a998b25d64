"""A tensor on the wire: shape, dtype and the C-ordered bytes.

Here: checking that the three fit. Elsewhere: from and to NumPy arrays (wire_arrays.py, engine/jobs/).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError, did_you_mean, shortened
from pytest_gpuemu.engine.protocol import MAX_MESSAGE_BYTES

MAX_RANK = 32
ITEM_BYTES = {
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "uint8": 1,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
    "bool": 1,
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """data holds the elements in C order and in this machine's byte order (little-endian)."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes | memoryview

    def to_json(self) -> dict[str, Any]:
        """The form of protocol 1. The strides are those of C order; they say nothing more."""
        return {
            "shape": list(self.shape),
            "strides": c_strides(self.shape, ITEM_BYTES[self.dtype]),
            "dtype": self.dtype,
            "data": base64.b64encode(self.data).decode("ascii"),
        }


def read_tensor(place: str, given: Any) -> Tensor:
    """Check a tensor of protocol 1 (a JSON object) or one that framing.py has read. Raises ProtocolError."""
    if isinstance(given, Tensor):
        return given
    if not isinstance(given, Mapping):
        raise ProtocolError(f"{place} is no tensor: expected {{shape, dtype, data}}, got {shortened(given)}")
    for key in ("shape", "dtype", "data"):
        if key not in given:
            raise ProtocolError(f"{place} has no {key!r}: a tensor is {{shape, dtype, data}}")
    shape, nbytes = read_form(place, given["shape"], given["dtype"])
    if not isinstance(given["data"], str):
        raise ProtocolError(f"{place}.data is {shortened(given['data'])}: expected base64 text")
    try:
        data = base64.b64decode(given["data"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProtocolError(f"{place}.data is not base64: {error}") from None
    if len(data) != nbytes:
        raise ProtocolError(
            f"{place} has {len(data)} bytes, but shape {list(shape)} of {given['dtype']} takes {nbytes}"
        )
    return Tensor(shape, given["dtype"], data)


def read_form(place: str, shape: Any, dtype: Any) -> tuple[tuple[int, ...], int]:
    """Check a shape and a dtype. Returns the shape and the bytes that such a tensor takes."""
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ProtocolError(
            f"{place}.dtype = {shortened(dtype)} is not a dtype; {did_you_mean(str(dtype)[:40], ITEM_BYTES)}"
        )
    if not isinstance(shape, list) or len(shape) > MAX_RANK:
        raise ProtocolError(
            f"{place}.shape = {shortened(shape)}: expected a list of at most {MAX_RANK} sizes"
        )
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**63:
            raise ProtocolError(f"{place}.shape has {shortened(size)}: expected whole numbers >= 0")
    nbytes = prod(shape) * ITEM_BYTES[dtype]
    if nbytes > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"{place}: shape {shortened(shape)} of {dtype} takes {nbytes} bytes; "
            f"at most {MAX_MESSAGE_BYTES} fit"
        )
    return tuple(shape), nbytes


def c_strides(shape: tuple[int, ...], item_bytes: int) -> list[int]:
    """The strides in bytes of a C-contiguous array."""
    strides, step = [], item_bytes
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return strides[::-1]
