"""The JSON Schema of gpuemu.toml says what the reader says, and the file in docs/ is the current one."""

from __future__ import annotations

import copy
import datetime
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from every_key import EVERY_KEY
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_gpuemu.engine.config import read_config
from pytest_gpuemu.engine.config.json_schema import json_schema, json_schema_text
from pytest_gpuemu.engine.define import MARKER_KEYS
from pytest_gpuemu.engine.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
WHOLE: dict[str, Any] = tomllib.loads(EVERY_KEY)
# TOML tells 3.0 from 3, JSON does not: this validator sees what a TOML editor's user wrote.
TYPES = jsonschema.Draft7Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)
VALIDATOR = jsonschema.validators.extend(jsonschema.Draft7Validator, type_checker=TYPES)(json_schema())

SCALARS = st.one_of(
    st.sampled_from([True, False, 0, 1, -1, 3.0, 0.5, -0.5, float("inf"), 2**64, 10**400, 1025]),
    st.sampled_from(
        ["", "x", "float16", "fp16", "sm_80", "sm_x", "torch", "row", "index", "a:b", "a.py", "f/g"]
    ),
    st.just(datetime.date(2020, 1, 1)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["atol", "min", "max", "dtype", "float16", "x"]), inner, max_size=2),
    ),
    max_leaves=4,
)


def reader_takes(data: dict[str, Any]) -> bool:
    try:
        read_config(data, Path("gpuemu.toml"))
    except ConfigError:
        return False
    return True


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of each value in a file, as the keys and indices that lead to it."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield (*path, key)
        yield from paths(value[key], (*path, key))


PATHS = sorted(paths(WHOLE), key=repr)


def place_of(data: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    """The table or list at a path and the last key; a key of None where an earlier change took it away."""
    for key in path[:-1]:
        if not fits(data, key) or (isinstance(data, dict) and key not in data):
            return data, None
        data = data[key]
    return data, path[-1] if fits(data, path[-1]) else None


def fits(data: Any, key: str | int) -> bool:
    """Whether the table or list can have a value at this key."""
    if isinstance(key, str):
        return isinstance(data, dict)
    return isinstance(data, list) and key < len(data)


@st.composite
def mutated_files(draw: st.DrawFn) -> dict[str, Any]:
    """The whole file with one to three values changed, left out or added."""
    data = copy.deepcopy(WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS))
        table, key = place_of(data, path)
        change = draw(st.sampled_from(["set", "set", "set", "remove", "add"]))
        if change == "set" and key is not None:
            table[key] = draw(VALUES)
        elif change == "remove" and isinstance(table, dict):
            table.pop(key, None)
        elif change == "add" and isinstance(table, dict):
            table[draw(st.sampled_from(["atoll", "name", "schema", "tolerance", "outputs"]))] = draw(VALUES)
    return data


def test_the_whole_file_has_every_key_of_the_schema():
    """So that the mutations below reach every table and key."""

    def names(schema: dict[str, Any], place: str) -> Iterator[str]:
        for name, inner in schema.get("properties", {}).items():
            yield f"{place}.{name}"
            yield from names(inner, f"{place}.{name}")
        for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
            if isinstance(inner, dict):
                yield from names(inner, place)

    def written(value: Any) -> Iterator[str]:
        for path in paths(value):
            yield from (key for key in path if isinstance(key, str))

    wanted = {name.rpartition(".")[2] for name in names(json_schema(), "")}
    assert wanted <= set(written(WHOLE))
    assert reader_takes(WHOLE)
    VALIDATOR.validate(WHOLE)


def test_every_key_of_the_marker_may_stand_in_the_file():
    keys = json_schema()["properties"]["ops"]["items"]["properties"]

    assert set(MARKER_KEYS) <= set(keys)


def has_twins(data: dict[str, Any]) -> bool:
    """Whether two ops have one name, which the schema cannot forbid."""
    ops = data.get("ops")
    entries = [entry for entry in ops if isinstance(entry, dict)] if isinstance(ops, list) else []
    names = [entry["name"] for entry in entries if isinstance(entry.get("name"), str)]
    return len(names) != len(set(names))


@settings(max_examples=500)
@given(mutated_files())
def test_what_the_reader_takes_the_schema_takes_and_nothing_else(data):
    assume(not has_twins(data))

    assert reader_takes(data) == VALIDATOR.is_valid(data)


@pytest.mark.parametrize(
    "text",
    [
        "[fuzz]\ncase = 3",
        "[[ops]]\nname = 'x'\nexecution_mode = 'script_based'",
        "[[ops]]\nname = 'x'\n[ops.schema]\ninputs = [{ name = 'x', dims = ['N'] }]",
        "[ops]\nname = 'x'",
        "[[kernels]]\nname = 'x'",
    ],
)
def test_both_refuse_what_is_wrong(text):
    data = tomllib.loads(text)

    assert not reader_takes(data)
    assert not VALIDATOR.is_valid(data)


def test_the_schema_is_a_schema():
    jsonschema.Draft7Validator.check_schema(json_schema())


def test_the_file_in_docs_is_the_current_one():
    """If this fails: gpuemu schema > docs/gpuemu.schema.json"""
    assert (ROOT / "docs" / "gpuemu.schema.json").read_text(encoding="utf-8") == json_schema_text()


def test_an_editor_is_shown_the_defaults():
    fuzz = json_schema()["properties"]["fuzz"]["properties"]

    assert fuzz["cases"] == {
        "description": "cases a marked test",
        "type": "integer",
        "minimum": 0,
        "default": 25,
    }
    assert "default" not in fuzz["seed"]
