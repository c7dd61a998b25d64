"""A table with known keys, as a kind of value: how it is read, and the same as JSON Schema.

Here: keys, rules between them, and the nearest right name for a wrong one. Elsewhere: the other kinds
(kinds.py), the tables that gpuemu.toml has (sections.py, op_keys.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_gpuemu.engine.config.kinds import Kind, wrong
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean, shortened


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table: what it holds, and a line about it for an editor and the template.

    field is its name in the table's record, where that is another one.
    """

    name: str
    kind: Kind
    text: str
    field: str = ""
    required: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """Where key has one of these values, one of the keys in needs must be there; way says what to write."""

    key: str
    values: tuple[str, ...]
    needs: tuple[str, ...]
    way: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table with known keys. It is read to a dict of the fields that the file gives; what it leaves out is
    the record's to say, whose defaults an editor is shown. exactly_one names keys that exclude each other."""

    keys: tuple[Key, ...]
    text: str = ""
    record: type[Any] | None = None
    word: str = "key"
    at_least: int = 0
    exactly_one: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    expected: str = "a table"

    def has_type_of(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def read(self, place: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise wrong(place, value, self.expected)
        names = [key.name for key in self.keys]
        for name in value:
            if name not in names:
                raise ConfigError(
                    f"{place}: unknown {self.word} {name!r} (= {shortened(value[name])}); "
                    f"{did_you_mean(name, names)}"
                )
        if len(value) < self.at_least:
            raise wrong(place, value, f"a table with one or more of {', '.join(names)}")
        for key in self.keys:
            if key.required and key.name not in value:
                raise ConfigError(f"{place}: {key.name} is missing: expected {key.kind.expected}")
        if self.exactly_one and sum(key in value for key in self.exactly_one) != 1:
            raise ConfigError(f"{place}: give exactly one of {', '.join(self.exactly_one)}")
        found = {
            key.field or key.name: key.kind.read(f"{place}: {key.name}", value[key.name])
            for key in self.keys
            if key.name in value
        }
        for rule in self.rules:
            if value.get(rule.key) in rule.values and not any(key in value for key in rule.needs):
                raise ConfigError(f"{place}: {rule.key} = {value[rule.key]!r} needs {rule.way}")
        return found

    def schema(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": "object"}
        if self.text:
            found["description"] = self.text
        found["additionalProperties"] = False
        found["properties"] = {key.name: self._described(key) for key in self.keys}
        if self.at_least:
            found["minProperties"] = self.at_least
        required = [key.name for key in self.keys if key.required]
        if required:
            found["required"] = required
        if self.exactly_one:
            found["oneOf"] = [{"required": [key]} for key in self.exactly_one]
        if self.rules:
            found["allOf"] = [
                {
                    "if": {"properties": {rule.key: {"enum": [*rule.values]}}, "required": [rule.key]},
                    "then": {"anyOf": [{"required": [key]} for key in rule.needs]},
                }
                for rule in self.rules
            ]
        return found

    def default(self, key: Key) -> Any:
        """What holds where the file leaves the key out; None where nothing can be said."""
        if self.record is None:
            return None
        fields = {field.name: field.default for field in dataclasses.fields(self.record)}
        found = fields.get(key.field or key.name, dataclasses.MISSING)
        return None if found is dataclasses.MISSING or dataclasses.is_dataclass(found) else found

    def _described(self, key: Key) -> dict[str, Any]:
        default = self.default(key)
        found = {"description": key.text} | key.kind.schema()
        return found if default is None or default == () else found | {"default": _plain(default)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
