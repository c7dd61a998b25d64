"""docs/artifacts.md documents each figure, limit and pattern that a lint has."""

from dataclasses import fields
from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.data import KernelMetrics, Limits
from pytest_gpuemu.engine.artifacts.patterns import PATTERNS
from pytest_gpuemu.engine.config.sections import ARTIFACT_CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "artifacts.md").read_text()


@pytest.mark.parametrize("figure", [field.name for field in fields(KernelMetrics) if field.name != "sources"])
def test_each_figure_is_documented(figure):
    assert f"`{figure}`" in PAGE


@pytest.mark.parametrize("key", [key.name for key in ARTIFACT_CHECKS.keys])
def test_each_limit_of_gpuemu_toml_is_documented(key):
    assert f"| `{key}` |" in PAGE


@pytest.mark.parametrize(
    ("limit", "default"), [("max_registers", 64), ("max_spills", 0), ("max_local_bytes", 0)]
)
def test_the_documented_defaults_are_those_of_the_lint(limit, default):
    assert getattr(Limits(), limit) == default
    assert f"| `{limit}` | {default} |" in PAGE


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_each_pattern_is_documented_with_what_and_why(pattern):
    assert f"| `{pattern.name}` | {pattern.what} | {pattern.why} |" in PAGE
