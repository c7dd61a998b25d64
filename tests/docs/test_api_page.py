"""docs/api.md shows every public name and every method of the client at work."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import pytest_gpuemu

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
METHODS = [name for name, _ in inspect.getmembers(pytest_gpuemu.Client, inspect.isfunction) if name[0] != "_"]
# shut_down ends the daemon, as `gpuemu daemon stop` does.
EXAMPLES = [name for name in METHODS if name not in ("close", "shut_down")]


@pytest.mark.parametrize("name", pytest_gpuemu.__all__)
def test_every_public_name_is_on_the_page(name):
    assert re.search(rf"\b{name}\b", PAGE)


@pytest.mark.parametrize("method", EXAMPLES)
def test_every_method_of_the_client_is_called_on_the_page(method):
    assert re.search(rf"(client|Client\(\))\.{method}\(", PAGE)
