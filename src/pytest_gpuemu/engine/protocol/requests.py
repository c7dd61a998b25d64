"""The requests that the daemon answers: their fields, and the check of each.

Here: `read_request`, the one place where what a client sent becomes a data class. Elsewhere: answering it
(server.py), the bytes (framing.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


def _bounded_text(place: str, value: Any, limit: int) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"{place} = {shortened(value)}: expected a text")
    if len(value) > limit:
        raise ProtocolError(f"{place} has {len(value)} characters; at most {limit} are taken")
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ProtocolError(f"{place} = {shortened(value)} has a lone surrogate, which is no text")
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


def _optional(read: Reader) -> Reader:
    return lambda place, value: None if value is None else read(place, value)


def _list(read: Reader) -> Reader:
    def read_list(place: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) > MAX_COUNT:
            raise ProtocolError(
                f"{place} = {shortened(value)}: expected a list of at most {MAX_COUNT} entries"
            )
        return tuple(read(f"{place}[{i}]", entry) for i, entry in enumerate(value))

    return read_list


def _by_name(read: Reader) -> Reader:
    def read_table(place: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MAX_TENSORS:
            raise ProtocolError(
                f"{place} = {shortened(value)}: expected an object of at most {MAX_TENSORS} entries"
            )
        return {_name(place, key): read(f"{place}.{key[:80]}", found) for key, found in value.items()}

    return read_table


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


def _passed_case(place: str, value: Any) -> PassedCase:
    found: PassedCase = _fields(PassedCase, place, value)
    return found


# The types of the fields: what Python holds, and how it is read from the wire.
Text = Annotated[str, _text]
Name = Annotated[str, _name]
OptionalName = Annotated[str | None, _optional(_name)]
Seed = Annotated[int, _seed]
Count = Annotated[int, _count]
Number = Annotated[float, _number]
Shape = Annotated[tuple[int, ...], _list(_whole)]
Table = Annotated[Mapping[str, Any], _table]
Tables = Annotated[tuple[Mapping[str, Any], ...], _list(_table)]
Tensors = Annotated[Mapping[str, Tensor], _by_name(read_tensor)]
OutputTensors = Annotated[Tensor | Mapping[str, Tensor] | tuple[Tensor, ...], _output]
Params = Annotated[Mapping[str, Any] | None, _optional(_by_name(_param))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Answered by Pong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """Answered by Ok; then the daemon ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateOp:
    """Judge a caller's output for the caller's inputs. Answered by ValidationResult."""

    op_name: Name
    inputs: Tensors
    output: OutputTensors
    kwargs: Params = None
    seed: Annotated[int | None, _optional(_seed)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOutput:
    """Judge an output for a case of ours, named by its seed, or for inputs sent along. Answered by
    SubmitResult."""

    op_name: Name
    seed: Seed
    output: OutputTensors
    inputs: Annotated[Mapping[str, Tensor] | None, _optional(_by_name(read_tensor))] = None
    edits: Name = ""
    kwargs: Params = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTestCase:
    """The case of a master seed. Answered by TestCase."""

    op_name: Name
    fuzz_config: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class GetTestBatch:
    """count cases of a master seed, or those of the case seeds given. Answered by TestBatch, which holds as
    many as fit into one reply."""

    op_name: Name
    fuzz_config: Table
    count: Annotated[int | None, _optional(_count)] = None
    seeds: Annotated[tuple[int, ...] | None, _optional(_list(_seed))] = None
    start: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GetResult:
    seed: Seed
    op_name: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListResults:
    limit: Count = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFailures:
    limit: Count = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduce:
    """The stored failure of a seed with its inputs. Answered by ReproduceResult."""

    seed: Seed
    op_name: OptionalName = None
    edits: OptionalName = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreBaseline:
    tag: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareBaseline:
    """The results of now beside those kept under a tag. Answered by BaselineComparison."""

    tag: Name


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFailure:
    """A failure that a campaign found, to be stored. Answered by Ok once it is. Fields: verdict.Failure."""

    test_id: Name
    op_name: Name
    seed: Seed
    edits: Name = ""
    generator: Count
    shape: Shape
    strides: Shape
    dtype: Name
    layout: Name
    values: Name
    fuzz_config: Table
    findings: Tables
    stats: Annotated[Mapping[str, Any] | None, _optional(_table)] = None
    text: Text
    timestamp: Number
    duration_ms: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedCase:
    """One case that passed."""

    test_id: Name
    op_name: Name
    seed: Seed
    edits: Name = ""
    max_abs: Number = 0.0
    max_rel: Number = 0.0
    timestamp: Number
    duration_ms: Number = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPassed:
    """Cases that passed, to be stored. Answered by Ok once all are."""

    cases: Annotated[tuple[PassedCase, ...], _list(_passed_case)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetFailure:
    """A stored failure passes now. Answered by Ok, also where none was stored."""

    test_id: Name
    op_name: Name
    seed: Seed
    edits: Name = ""


REQUESTS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        Ping,
        Shutdown,
        ValidateOp,
        SubmitOutput,
        GetTestCase,
        GetTestBatch,
        GetResult,
        ListResults,
        ListFailures,
        Reproduce,
        StoreBaseline,
        CompareBaseline,
        RecordFailure,
        RecordPassed,
        ForgetFailure,
    )
}


_READERS: dict[type[Any], dict[str, Reader]] = {
    kind: {name: get_args(hint)[-1] for name, hint in get_type_hints(kind, include_extras=True).items()}
    for kind in (*REQUESTS.values(), PassedCase)
}


def read_request(message: Mapping[str, Any]) -> Any:
    """The request that a decoded message is: an object of one of the classes above. Raises ProtocolError."""
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in REQUESTS:
        raise ProtocolError(
            f"type = {shortened(kind)} is no request; {did_you_mean(str(kind)[:40], REQUESTS)}"
        )
    return _fields(REQUESTS[kind], kind, {key: value for key, value in message.items() if key != "type"})


def to_message(request: Any) -> dict[str, Any]:
    """The message that read_request reads back to this object."""
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(request)}
    return {"type": type(request).__name__, **fields}


def _fields(kind: type[Any], place: str, given: Any) -> Any:
    if not isinstance(given, Mapping):
        raise ProtocolError(f"{place} = {shortened(given)}: expected an object")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    readers = _READERS[kind]
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
