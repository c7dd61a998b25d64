"""The direction of imports: plugin -> pytest_items -> client -> engine, and nothing back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_gpuemu

SOURCE = Path(pytest_gpuemu.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
# A layer may import itself and the layers before it.
LAYERS = ("engine", "client", "pytest_items", "plugin")
SOCKETS = ("server.py", "daemon.py")


def imports(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "pytest_gpuemu" and len(parts) > 1 and parts[1] in LAYERS else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_its_own_layer_and_those_below(path):
    own = layer("pytest_gpuemu." + ".".join(path.relative_to(SOURCE).with_suffix("").parts))
    if own is None:
        pytest.skip("a public module above the layers")

    above = LAYERS[LAYERS.index(own) + 1 :]
    assert [name for name in imports(path) if layer(name) in above] == []


@pytest.mark.parametrize(
    "path", (SOURCE / "engine").rglob("*.py"), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_the_engine_knows_neither_pytest_nor_sockets(path):
    foreign = {"pytest", "_pytest"} if path.name in SOCKETS else {"pytest", "_pytest", "pynng"}
    assert [name for name in imports(path) if name.split(".")[0] in foreign] == []
