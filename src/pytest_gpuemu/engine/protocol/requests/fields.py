"""The fields of requests: the check of each kind of value, and reading a data class from an object.

Here: from what JSON holds to what Python holds, or a ProtocolError that names the field and its value.
Elsewhere: which request has which fields (the families beside this module), tensors (../tensor.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, TypeAlias, get_args, get_type_hints

from pytest_gpuemu.engine.errors import ProtocolError, did_you_mean, shortened
from pytest_gpuemu.engine.protocol.tensor import Tensor, read_tensor

MAX_SEED = 2**64 - 1
MAX_COUNT = 100_000
MAX_TENSORS = 256
MAX_NAME = 4_096
MAX_TEXT = 16 * 2**20

Reader: TypeAlias = Callable[[str, Any], Any]


def _text(place: str, value: Any) -> str:
    return _bounded_text(place, value, MAX_TEXT)


def _name(place: str, value: Any) -> str:
    return _bounded_text(place, value, MAX_NAME)


def _tag(place: str, value: Any) -> str:
    if not _name(place, value).strip():
        raise ProtocolError(f"{place} = {value!r}: expected a name, such as 'v1'")
    return str(value)


def _bounded_text(place: str, value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"{place} = {shortened(value)}: expected a text")
    if len(value) > limit:
        raise ProtocolError(f"{place} has {len(value)} characters; at most {limit} are taken")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ProtocolError(f"{place} = {shortened(value)} has a lone surrogate, which is no text")
    return value


def _flag(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ProtocolError(f"{place} = {shortened(value)}: expected true or false")
    return value


def _seed(place: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
        raise ProtocolError(f"{place} = {shortened(value)}: expected a whole number from 0 to 2**64 - 1")
    return value


def _count(place: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise ProtocolError(f"{place} = {shortened(value)}: expected a whole number from 0 to {MAX_COUNT}")
    return value


def _number(place: str, value: Any) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or value != value
        or (isinstance(value, int) and abs(value) > 2**1000)
    ):
        raise ProtocolError(f"{place} = {shortened(value)}: expected a number")
    return float(value)


def _whole(place: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not abs(value) < 2**63:
        raise ProtocolError(f"{place} = {shortened(value)}: expected a whole number")
    return value


def _table(place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{place} = {shortened(value)}: expected an object")
    _no_tensors(place, value)
    return value


def _no_tensors(place: str, value: Any) -> None:
    if isinstance(value, Tensor):
        raise ProtocolError(f"{place}: a tensor stands where none may be")
    for found in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _no_tensors(place, found)


def _param(place: str, value: Any) -> Any:
    if isinstance(value, float):
        return _number(place, value)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, list):
        return [_param(place, entry) for entry in value]
    return _text(place, value)


def _output(place: str, value: Any) -> Tensor | dict[str, Tensor] | tuple[Tensor, ...]:
    """One tensor, or in protocol 2 several: by name, or in the op's order."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(found, Tensor) for found in value):
        return tuple(value)
    if isinstance(value, dict) and value and all(isinstance(found, Tensor) for found in value.values()):
        return {_name(place, key): found for key, found in value.items()}
    return read_tensor(place, value)


def optional(read: Reader) -> Reader:
    """null, or what read takes."""
    return lambda place, value: None if value is None else read(place, value)


def list_of(read: Reader) -> Reader:
    """A list of at most MAX_COUNT entries, each as read takes it."""

    def read_list(place: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > MAX_COUNT:
            raise ProtocolError(
                f"{place} = {shortened(value)}: expected a list of at most {MAX_COUNT} entries"
            )
        return tuple(read(f"{place}[{i}]", entry) for i, entry in enumerate(value))

    return read_list


def by_name(read: Reader) -> Reader:
    """An object of at most MAX_TENSORS entries, each value as read takes it."""

    def read_table(place: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MAX_TENSORS:
            raise ProtocolError(
                f"{place} = {shortened(value)}: expected an object of at most {MAX_TENSORS} entries"
            )
        return {_name(place, key): read(f"{place}.{key[:80]}", found) for key, found in value.items()}

    return read_table


# The types of the fields: what Python holds, and how it is read from the wire.
Text = Annotated[str, _text]
Name = Annotated[str, _name]
Tag = Annotated[str, _tag]
OptionalName = Annotated[str | None, optional(_name)]
Flag = Annotated[bool, _flag]
Seed = Annotated[int, _seed]
OptionalSeed = Annotated[int | None, optional(_seed)]
OptionalSeeds = Annotated[tuple[int, ...] | None, optional(list_of(_seed))]
Count = Annotated[int, _count]
OptionalCount = Annotated[int | None, optional(_count)]
Number = Annotated[float, _number]
OptionalNumber = Annotated[float | None, optional(_number)]
Whole = Annotated[int, _whole]
Shape = Annotated[tuple[int, ...], list_of(_whole)]
Table = Annotated[Mapping[str, Any], _table]
OptionalTable = Annotated[Mapping[str, Any] | None, optional(_table)]
Tables = Annotated[tuple[Mapping[str, Any], ...], list_of(_table)]
Tensors = Annotated[Mapping[str, Tensor], by_name(read_tensor)]
OptionalTensors = Annotated[Mapping[str, Tensor] | None, optional(by_name(read_tensor))]
OutputTensors = Annotated[Tensor | Mapping[str, Tensor] | tuple[Tensor, ...], _output]
Params = Annotated[Mapping[str, Any] | None, optional(by_name(_param))]


def read_fields(kind: type[Any], place: str, given: Any) -> Any:
    """The data class of that kind which an object is. Each field's type names its reader (see above)."""
    if not isinstance(given, Mapping):
        raise ProtocolError(f"{place} = {shortened(given)}: expected an object")
    readers = _readers(kind)  # type: ignore[arg-type] # a class is hashable
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in given:
        if key not in fields:
            raise ProtocolError(f"{place}: unknown field {shortened(key)}; {did_you_mean(key[:40], fields)}")
    values = {}
    for name, field in fields.items():
        if name in given:
            values[name] = readers[name](f"{place}.{name}", given[name])
        elif field.default is dataclasses.MISSING:
            raise ProtocolError(f"{place}: the field {name!r} is missing")
    return kind(**values)


def record(kind: type[Any]) -> Reader:
    """An object, read as a data class of that kind."""
    return lambda place, value: read_fields(kind, place, value)


@cache
def _readers(kind: type[Any]) -> dict[str, Reader]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: get_args(hint)[-1] for name, hint in hints.items()}
