"""Kinds of values: what a key of gpuemu.toml may hold, how it is read, and the same as JSON Schema.

Here: a class a kind, each with `read`, which checks a value and says what is wrong with it, and `schema`,
which says the same to an editor. Elsewhere: tables with known keys (table.py), which key holds which kind
(sections.py, op_keys.py).

place is where the value stands, such as `gpuemu.toml: [fuzz]: cases`; it begins every message.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean, shortened


class Kind(Protocol):
    """What a value may be. expected finishes the sentence `expected ...` of an error."""

    @property
    def expected(self) -> str: ...

    def has_type_of(self, value: Any) -> bool:
        """Whether the value's type is right, whatever it holds."""
        ...

    def read(self, place: str, value: Any) -> Any:
        """The value as the program keeps it. Raises ConfigError."""
        ...

    def schema(self) -> dict[str, Any]:
        """The JSON Schema (draft 7) of the values that read takes."""
        ...


def wrong(place: str, value: Any, expected: str) -> ConfigError:
    return ConfigError(f"{place} = {shortened(value)}: expected {expected}")


@dataclass(frozen=True, slots=True)
class Flag:
    expected: str = "true or false"

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, bool)

    def read(self, place: str, value: Any) -> bool:
        if not self.has_type_of(value):
            raise wrong(place, value, self.expected)
        return bool(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Text:
    """A text that is not empty; pattern spans all of it, and is one that JSON Schema reads as Python does."""

    expected: str = "a text"
    pattern: str | None = None

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, place: str, value: Any) -> str:
        fits = isinstance(value, str) and value != ""
        if not fits or (self.pattern is not None and re.fullmatch(self.pattern, value) is None):
            raise wrong(place, value, self.expected)
        return str(value)

    def schema(self) -> dict[str, Any]:
        if self.pattern is None:
            return {"type": "string", "minLength": 1}
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number from minimum (above it, where exclusive) to maximum."""

    expected: str = "a number >= 0"
    minimum: float | None = 0.0
    maximum: float | None = None
    exclusive: bool = False

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def read(self, place: str, value: Any) -> float:
        if not self.has_type_of(value) or not self._is_within(value):
            raise wrong(place, value, self.expected)
        return float(value)

    def _is_within(self, value: float) -> bool:
        if abs(value) > sys.float_info.max or math.isnan(value):
            return False
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        return (low < value if self.exclusive else low <= value) and value <= high

    def schema(self) -> dict[str, Any]:
        largest = sys.float_info.max
        low = "exclusiveMinimum" if self.exclusive else "minimum"
        return {
            "type": "number",
            low: -largest if self.minimum is None else self.minimum,
            "maximum": largest if self.maximum is None else self.maximum,
        }


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from minimum to maximum; 3.0 is none."""

    expected: str
    minimum: int | None = 0
    maximum: int | None = None

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    def read(self, place: str, value: Any) -> int:
        if (
            not self.has_type_of(value)
            or (self.minimum is not None and value < self.minimum)
            or (self.maximum is not None and value > self.maximum)
        ):
            raise wrong(place, value, self.expected)
        return int(value)

    def schema(self) -> dict[str, Any]:
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer", **{key: bound for key, bound in bounds.items() if bound is not None}}


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some names; what says which sort they are ("a layout"). aliases are taken too, not suggested."""

    what: str
    names: Sequence[str]
    aliases: Sequence[str] = ()

    @property
    def expected(self) -> str:
        return self.what

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, place: str, value: Any) -> str:
        if value not in self.names and value not in self.aliases:
            near = did_you_mean(value, self.names) if isinstance(value, str) else _all_of(self.names)
            raise wrong(place, value, f"{self.what}; {near}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        return {"enum": [*self.names, *self.aliases]}


def _all_of(names: Sequence[str]) -> str:
    return "known: " + ", ".join(names)


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, each of whose entries is of one kind."""

    entry: Kind
    expected: str
    at_least: int = 1
    at_most: int | None = None

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, list)

    def read(self, place: str, value: Any) -> tuple[Any, ...]:
        too_many = isinstance(value, list) and self.at_most is not None and len(value) > self.at_most
        if not isinstance(value, list) or len(value) < self.at_least or too_many:
            raise wrong(place, value, self.expected)
        return tuple(self.entry.read(f"{place}[{i}]", found) for i, found in enumerate(value))

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "array", "items": self.entry.schema()}
        bounds = {"minItems": self.at_least or None, "maxItems": self.at_most}
        return found | {key: bound for key, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class MapOf:
    """A table whose keys are names that the user chooses, or some of a known list."""

    entry: Kind
    expected: str
    names: OneOf | None = None

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def read(self, place: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise wrong(place, value, self.expected)
        for key in value:
            if self.names is not None and key not in self.names.names:
                raise ConfigError(
                    f"{place}: {key!r} is not {self.names.what}; {did_you_mean(key, self.names.names)}"
                )
        return {key: self.entry.read(f"{place}.{key}", found) for key, found in value.items()}

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "object", "additionalProperties": self.entry.schema()}
        return found if self.names is None else found | {"propertyNames": {"enum": list(self.names.names)}}


@dataclass(frozen=True, slots=True)
class Either:
    """A value of any of several kinds. Where just one has the value's type, its error is the one raised."""

    kinds: tuple[Kind, ...]
    expected: str

    def has_type_of(self, value: Any) -> bool:
        return any(kind.has_type_of(value) for kind in self.kinds)

    def read(self, place: str, value: Any) -> Any:
        fitting = [kind for kind in self.kinds if kind.has_type_of(value)]
        for kind in fitting:
            try:
                return kind.read(place, value)
            except ConfigError:
                if len(fitting) == 1:
                    raise
        raise wrong(place, value, self.expected)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [kind.schema() for kind in self.kinds]}


@dataclass(frozen=True, slots=True)
class Anything:
    expected: str = "any value"

    def has_type_of(self, value: Any) -> bool:
        return True

    def read(self, place: str, value: Any) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {}
