"""docs/threat-model.md: every promise names tests, and each of them is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
ROWS = [
    row.strip("|").split("|") for row in PAGE.splitlines() if row.startswith("| ") and " test |" not in row
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_every_promise_names_a_test():
    assert len(ROWS) > 20
    assert [promise for promise, tests in ROWS if not NAMED.search(tests)] == []


def test_every_test_that_is_named_is_there():
    functions: dict[str, set[str]] = {}
    missing = []
    for file, name in NAMED.findall(PAGE):
        if file not in functions:
            path = ROOT / file
            tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
            functions[file] = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        if name not in functions[file]:
            missing.append(f"{file}::{name}")

    assert missing == []


def test_nothing_else_in_the_tables_looks_like_a_test():
    """Guards: a name that is misspelt in a way that the pattern above passes over."""
    told = re.findall(r"`(tests/[^`]*)`", PAGE)

    assert told == [f"{file}::{name}" for file, name in NAMED.findall(PAGE)]
