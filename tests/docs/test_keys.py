"""Every key and option is in the docs, on the page that a user would look at."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.engine import op
from pytest_gpuemu.engine.config.find import tomllib
from pytest_gpuemu.engine.config.json_schema import json_schema
from pytest_gpuemu.engine.config.read import read_config
from pytest_gpuemu.engine.define import MARKER_KEYS
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.pytest_items.options import add_options

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted([DOCS.parent / "README.md", *DOCS.glob("*.md")])
# A block, fenced or indented, that begins by naming the file.
_TOML = re.compile(
    r"^(?P<body>(?P<space> *)# gpuemu\.toml\n(?:(?P=space)(?!```).*\n|\n(?=(?P=space)[^`\n]))*)", re.M
)
# docs/configuration.md shows what is said of this one.
_MEANT_WRONG = "unknown key 'sed'"


@pytest.mark.parametrize("key", MARKER_KEYS)
def test_every_key_of_the_marker_is_documented(key):
    assert f"| `{key}` |" in (DOCS / "ops.md").read_text()


@pytest.mark.parametrize(
    "name",
    [*op.LAYOUTS, *op.VALUES, *op.INPUT_KINDS[1:], *op.COMPUTE_TYPES, *op.ROUNDINGS, *op.SCALES, *op.CHECKS],
)
def test_every_name_that_a_key_takes_is_documented(name):
    assert re.search(rf"\b{re.escape(name)}\b", (DOCS / "ops.md").read_text())


class Declared:
    """Stands for pytest's parser and option group, and keeps the names declared to it."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def getgroup(self, *_: str) -> Declared:
        return self

    def addoption(self, name: str, **_: object) -> None:
        self.names.append(name)

    def addini(self, name: str, *_: object, **__: object) -> None:
        self.names.append(name)


def test_every_option_is_documented():
    declared = Declared()
    add_options(declared)
    page = (DOCS / "campaigns.md").read_text()

    assert len(declared.names) > 5
    assert [name for name in declared.names if name not in page] == []


def names_in(schema: Mapping[str, Any]) -> Iterator[str]:
    """Every table and key of a JSON Schema, down to the keys of a kernel's artifact_checks."""
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from names_in(inner.get("items", inner))


def tables_in_docs() -> Iterator[tuple[str, str]]:
    """Each block of a gpuemu.toml in README.md and docs/, with its place."""
    for page in PAGES:
        for number, block in enumerate(_TOML.finditer(page.read_text()), 1):
            yield f"{page.name} {number}", textwrap.dedent(block["body"])


@pytest.mark.parametrize("text", [pytest.param(text, id=place) for place, text in tables_in_docs()])
def test_every_gpuemu_toml_in_the_docs_is_read_without_an_error(text, tmp_path):
    """Guards: a key that is documented under another name than it has."""
    try:
        read_config(tomllib.loads(text), tmp_path / "gpuemu.toml")
    except ConfigError as error:
        if _MEANT_WRONG not in str(error):
            raise


def test_there_are_tables_to_read():
    assert len({place.split()[0] for place, _ in tables_in_docs()}) > 4


def test_every_key_that_the_docs_name_with_its_table_is_one():
    """Guards: `[fuzz] time_s` in a table of options, where the key is `time`."""
    sections = json_schema()["properties"]
    named = {
        (page.name, section, key)
        for page in PAGES
        for section, key in re.findall(r"`\[+(\w+)\]+ (\w+)(?: = [^`]*)?`", page.read_text())
    }
    unknown = [
        (page, section, key)
        for page, section, key in sorted(named)
        if key not in sections.get(section, {}).get("items", sections.get(section, {})).get("properties", {})
    ]

    assert len(named) > 3
    assert unknown == []


def test_every_table_and_key_of_gpuemu_toml_is_documented():
    page = (DOCS / "configuration.md").read_text()
    names = set(names_in(json_schema())) - set(MARKER_KEYS)

    assert len(names) > 40
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", page)] == []
