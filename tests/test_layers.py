"""The direction of imports: plugin -> pytest_items -> client -> engine, and nothing back; no module needs
another to be imported before it.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pytest_gpuemu

SOURCE = Path(pytest_gpuemu.__file__).parent
MODULES = sorted(SOURCE.rglob("*.py"))
# A layer may import itself and the layers before it.
LAYERS = ("engine", "client", "report", "pytest_items", "plugin")
SOCKETS = ("server.py", "daemon.py")
# Modules that import a library which need not be there.
OPTIONAL = {
    "pytest_gpuemu.engine.trace.torch_gradient": ("torch",),
    "pytest_gpuemu.engine.trace.torch_trace": ("torch",),
    "pytest_gpuemu.engine.triton_probe": ("torch", "triton"),
}
# Imports each module named on the command line as the first of the package, in one process: NumPy stays.
# A module that its parent package has imported already is that package's import once more, and left out.
IMPORT_EACH_ALONE = """
import functools, importlib, sys, traceback
from importlib.machinery import SourceFileLoader

SourceFileLoader.get_code = functools.cache(SourceFileLoader.get_code)  # compile once, execute often

def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "pytest_gpuemu"]:
        del sys.modules[name]

with_parent = {}
for name in sys.argv[1:]:
    parent = name.rpartition(".")[0]
    try:
        if parent and parent not in with_parent:
            forget()
            importlib.import_module(parent)
            with_parent[parent] = set(sys.modules)
        if name not in with_parent.get(parent, ()):
            forget()
            importlib.import_module(name)
    except Exception as error:
        print(f"{name}: {traceback.format_exception_only(error)[-1].strip()}")
"""


def imports(path: Path) -> Iterator[str]:
    """Every absolute module name that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def broken_imports(names: list[str]) -> str:
    """A line for each of these modules that cannot be imported as the first of the package."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_EACH_ALONE, *names], capture_output=True, text=True, check=False
    )
    return ended.stdout + ended.stderr


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
    "path", sorted((SOURCE / "engine").rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE))
)
def test_the_engine_knows_neither_pytest_nor_sockets(path):
    foreign = {"pytest", "_pytest"} if path.name in SOCKETS else {"pytest", "_pytest", "pynng"}
    assert [name for name in imports(path) if name.split(".")[0] in foreign] == []


def test_every_module_imports_alone():
    """Guards: a cycle of imports that one order of importing hides and another one shows."""
    names = [module_name(path) for path in MODULES]
    assert OPTIONAL.keys() <= set(names)

    assert broken_imports([name for name in names if name not in OPTIONAL]) == ""


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_module_over_an_optional_library_imports_alone(name):
    for library in OPTIONAL[name]:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")

    assert broken_imports([name]) == ""
