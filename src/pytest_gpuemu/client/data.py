"""What the client's methods return.

Here: the data classes, and reading each from the daemon's message. Elsewhere: the methods (client.py), the
messages' form (engine/protocol/results.py).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.wire_arrays import to_array


class Pong(dict[str, Any]):
    """The daemon's answer to a ping, equal to "pong": version, protocol_version, uptime_secs, store ..."""

    def __str__(self) -> str:
        return "pong"

    def __eq__(self, other: object) -> bool:
        return other == "pong" if isinstance(other, str) else dict.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


class Timestamp(str):
    """A moment, as ISO 8601 text in UTC; int() and float() give the seconds since the epoch."""

    __slots__ = ("_seconds",)
    _seconds: float

    def __new__(cls, seconds: float) -> Timestamp:
        text = datetime.fromtimestamp(seconds, timezone.utc).isoformat()
        moment = super().__new__(cls, text)
        moment._seconds = seconds
        return moment

    def __int__(self) -> int:
        return int(self._seconds)

    def __float__(self) -> float:
        return float(self._seconds)


class FailureDescription(str):
    """One thing that is wrong with an output. It is its message; kind, index, expected, actual and output are
    attributes, and also answer to failure["kind"] and so on."""

    _KEYS = ("kind", "message", "index", "expected", "actual", "output")
    kind: str
    message: str
    index: tuple[int, ...] | None  # type: ignore[assignment] # str.index gives way to the wire's
    expected: float | None
    actual: float | None
    output: str | None

    def __new__(cls, found: Mapping[str, Any]) -> FailureDescription:
        failure = super().__new__(cls, found.get("message", ""))
        failure.kind = str(found.get("kind", ""))
        failure.message = str(found.get("message", ""))
        index = found.get("index")
        failure.index = None if index is None else tuple(index)
        failure.expected = found.get("expected")
        failure.actual = found.get("actual")
        failure.output = found.get("output")
        return failure

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._KEYS:
                raise KeyError(key)
            return getattr(self, key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Like dict.get, over the attributes."""
        return getattr(self, key) if key in self._KEYS else default


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproductionInfo:
    """What reproduces a case: its op, seed, edits and fuzz_config; the rest describes its first input.

    input_snapshot holds a caller's own arrays by name, where no seed rebuilds them.
    """

    seed: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    layout: str
    fuzz_config: Mapping[str, Any] = field(default_factory=dict)
    input_snapshot: Mapping[str, Array] | None = None
    edits: str = ""
    values: str = ""
    generator: int = 0

    @classmethod
    def from_wire(cls, body: Mapping[str, Any]) -> ReproductionInfo:
        snapshot = body.get("input_snapshot")
        arrays = None
        if snapshot:
            sent = framing.decode(base64.b64decode(snapshot))["inputs"]
            arrays = {name: to_array(tensor) for name, tensor in sent.items()}
        return cls(
            seed=body["seed"],
            shape=tuple(body["shape"]),
            strides=tuple(body["strides"]),
            dtype=body["dtype"],
            layout=body["layout"],
            fuzz_config=body["fuzz_config"],
            input_snapshot=arrays,
            edits=body["edits"],
            values=body["values"],
            generator=body["generator"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The result of judging one output.

    status is "passed", "failed" or "undetermined" (nothing could be proven: not passed, and not a failure).
    error_stats is the distribution of the error; max_diff and max_rel_diff are its largest values, infinite
    where a failure has none. notes are further sentences, such as: passes under compute="tf32".
    """

    passed: bool
    seed: int
    op_name: str
    max_diff: float
    max_rel_diff: float
    failures: list[FailureDescription]
    timestamp: Timestamp
    duration_ms: int
    repro_info: ReproductionInfo | None = None
    error_stats: Mapping[str, Any] | None = None
    status: str = ""
    edits: str = ""
    test_id: str = ""
    notes: tuple[str, ...] = ()
    text: str = ""

    @property
    def case_id(self) -> str:
        """`seed`, or `seed~edits`: what is accepted wherever a seed is."""
        return f"{self.seed}~{self.edits}" if self.edits else str(self.seed)

    @classmethod
    def from_wire(cls, body: Any) -> ValidationResult:
        """Read a result. Raises ClientError where it is not one."""
        try:
            info = body["repro_info"]
            return cls(
                passed=body["passed"],
                seed=body["seed"],
                op_name=body["op_name"],
                max_diff=body["max_diff"],
                max_rel_diff=body["max_rel_diff"],
                failures=[FailureDescription(found) for found in body["failures"]],
                timestamp=Timestamp(body["timestamp"]),
                duration_ms=body["duration_ms"],
                repro_info=None if info is None else ReproductionInfo.from_wire(info),
                error_stats=body["error_stats"],
                status=body["status"],
                edits=body["edits"],
                test_id=body["test_id"],
                notes=tuple(body["notes"]),
                text=body["text"],
            )
        except (KeyError, TypeError) as error:
            raise ClientError(f"the daemon sent a result that lacks or misspells {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzResults:
    """What a campaign over the client came to, under its master seed; the four counts make up total.

    notes are further sentences: what was ignored, why cases could not run.
    """

    seed: int
    total: int
    passed: int
    failed: int
    failures: list[ValidationResult]
    undetermined: int = 0
    could_not_run: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceResult:
    """A stored failure, and the inputs that it failed for, in their layouts.

    result is what the op makes of them now where it was run (was_run), else what is stored. Nothing is stored
    anew.
    """

    result: ValidationResult
    inputs: dict[str, Array]
    stored: ValidationResult | None = None
    was_run: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)
    inplace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimizeResult:
    """The smallest case that fails as a stored failure does.

    minimized_seed with edits, together case_id, is what reproduces it; minimized_shape is its first input's.
    result is its own failure, iterations how often the op was run. is_complete: nothing smaller was left to
    try; else the search ran out of iterations or time.
    """

    original_seed: int
    minimized_seed: int
    minimized_shape: tuple[int, ...]
    result: ValidationResult
    edits: str = ""
    iterations: int = 0
    is_complete: bool = True

    @property
    def case_id(self) -> str:
        """`seed~edits`: what is accepted wherever a seed is."""
        return f"{self.minimized_seed}~{self.edits}" if self.edits else str(self.minimized_seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineComparison:
    """One result of a baseline beside the one of now. regression: it passed and fails, or its largest error
    grew by more than the warn_threshold of [policies]."""

    test_id: str
    op_name: str
    seed: int
    edits: str
    passed_before: bool
    passed: bool
    max_diff_before: float
    max_diff: float
    regression: bool
