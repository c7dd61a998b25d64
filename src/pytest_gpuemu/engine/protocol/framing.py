"""Bytes to message and back, in both protocols.

A message of protocol 2 is MAGIC, the length of its header (4 bytes, little-endian), the header, then the
bytes of its tensors one after another. The header is JSON, {"message": ..., "tensors": [...]}, with the
{shape, dtype} of each tensor; {"@tensor": i} stands in the message for the i-th one. MAGIC begins with 0, as
no JSON does.
"""

from __future__ import annotations

import json
import struct
from numbers import Integral
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError
from pytest_gpuemu.engine.protocol import MAX_MESSAGE_BYTES, VERSION_MISMATCH
from pytest_gpuemu.engine.protocol.tensor import Tensor, read_form

MAGIC = b"\0GE2"
_FAMILY = MAGIC[:-1]
_LENGTH = struct.Struct("<I")
_START = len(MAGIC) + _LENGTH.size
_MARK = "@tensor"
_MAX_TENSORS = 100_000
_MAX_DEPTH = 64


def encode(message: dict[str, Any], version: int) -> bytes:
    """The bytes of a message, in which tensors are Tensor objects anywhere inside dicts and lists.

    Whole numbers of NumPy are numbers. Raises TypeError for what JSON cannot hold.
    """
    if version == 1:
        return json.dumps(message, default=_tensor_to_json, separators=(",", ":")).encode()
    tensors: list[Tensor] = []

    def mark(value: Any) -> dict[str, int] | int:
        if not isinstance(value, Tensor):
            return _whole(value)
        tensors.append(value)
        return {_MARK: len(tensors) - 1}

    body = json.dumps(message, default=mark, separators=(",", ":"))
    forms = json.dumps(
        [{"shape": tensor.shape, "dtype": tensor.dtype} for tensor in tensors], separators=(",", ":")
    )
    header = f'{{"message":{body},"tensors":{forms}}}'.encode()
    return b"".join([MAGIC, _LENGTH.pack(len(header)), header, *(tensor.data for tensor in tensors)])


def version_of(data: bytes) -> int:
    """Which protocol these bytes are in, going by how they begin."""
    return 2 if data[:1] == MAGIC[:1] else 1


def decode(data: bytes) -> dict[str, Any]:
    """The message in these bytes. Raises ProtocolError for anything else.

    In protocol 2 its tensors are Tensor objects whose data are views of these bytes; in protocol 1 they are
    still JSON, since only the request says where one stands (requests.py).
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"the message has {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are read")
    if version_of(data) == 1:
        message = _object(_json(data), "the message")
        if _MARK in _lone_keys(message):
            raise ProtocolError(f"an object with the one key {_MARK!r} is how protocol 2 names a tensor")
        return message
    if data[: len(_FAMILY)] == _FAMILY and data[len(_FAMILY) : len(MAGIC)] not in (b"", MAGIC[-1:]):
        raise ProtocolError(
            f"the message begins with {bytes(data[: len(MAGIC)])!r}: this daemon speaks protocols 1 and 2; "
            "upgrade the older of client and daemon",
            code=VERSION_MISMATCH,
        )
    if len(data) < _START or data[: len(MAGIC)] != MAGIC:
        raise ProtocolError(f"the message begins with {bytes(data[:8])!r}, which is neither protocol 1 nor 2")
    (length,) = _LENGTH.unpack_from(data, len(MAGIC))
    if length > len(data) - _START:
        raise ProtocolError(f"the header should have {length} bytes, but {len(data) - _START} follow")
    header = _object(_json(data[_START : _START + length]), "the header")
    _lone_keys(header)  # neither is it too deep
    forms = header.get("tensors")
    if set(header) != {"message", "tensors"} or not isinstance(forms, list) or len(forms) > _MAX_TENSORS:
        raise ProtocolError("the header is not {message, tensors: [...]}")
    tensors = []
    rest, at = memoryview(data), _START + length
    for i, form in enumerate(forms):
        form = _object(form, f"tensors[{i}]")
        shape, nbytes = read_form(f"tensors[{i}]", form.get("shape"), form.get("dtype"))
        if nbytes > len(data) - at:
            raise ProtocolError(f"tensors[{i}] takes {nbytes} bytes, but {len(data) - at} are left")
        tensors.append(Tensor(shape, form["dtype"], rest[at : at + nbytes]))
        at += nbytes
    if at != len(data):
        raise ProtocolError(f"{len(data) - at} bytes follow the last tensor")
    return _object(_place_tensors(header["message"], tensors), "the message")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the message is not JSON: {error}") from None


def _lone_keys(message: dict[str, Any]) -> set[str]:
    """The keys that are the only one of some object in a message. Raises ProtocolError for a message that is
    nested too deep to be walked by functions that call themselves."""
    found: set[str] = set()
    level: list[Any] = [message]
    for _ in range(_MAX_DEPTH):
        found.update(next(iter(value)) for value in level if isinstance(value, dict) and len(value) == 1)
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return found
    raise ProtocolError(f"the message is nested more than {_MAX_DEPTH} deep")


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{place} is not a JSON object")
    return value


def _place_tensors(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_MARK}:
            index = value[_MARK]
            if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(tensors):
                raise ProtocolError(f"there is no tensor {index!r} among {len(tensors)}")
            return tensors[index]
        return {key: _place_tensors(found, tensors) for key, found in value.items()}
    if isinstance(value, list):
        return [_place_tensors(found, tensors) for found in value]
    return value


def _tensor_to_json(value: Any) -> dict[str, Any] | int:
    return value.to_json() if isinstance(value, Tensor) else _whole(value)


def _whole(value: Any) -> int:
    if not isinstance(value, Integral):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return int(value)
