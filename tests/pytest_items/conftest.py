"""Fixtures of the tests that run pytest: nothing to import late, and a suite that needs no daemon."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
import suites

import pytest_gpuemu


@pytest.fixture(scope="session", autouse=True)
def imported() -> None:
    """pytester forgets the modules that a run inside this process imports, and NumPy loads only once."""
    importlib.import_module("hypothesis")
    importlib.import_module("ml_dtypes")
    for module in pkgutil.walk_packages(pytest_gpuemu.__path__, "pytest_gpuemu."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as absent:
                if absent.name not in (
                    "torch",
                    "triton",
                    "bokeh",
                    "jinja2",
                ):  # which some modules are only for
                    raise


@pytest.fixture(autouse=True)
def not_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest's short summary holds whole messages where it finds itself on CI, which tests count lines of."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def kernels(request: pytest.FixtureRequest) -> None:
    """The module `kernels` for the suite, and a file where the store would be: no daemon is started."""
    if "pytester" in request.fixturenames:
        pytester = request.getfixturevalue("pytester")
        pytester.makepyfile(kernels=suites.KERNELS)
        pytester.path.joinpath(".gpuemu").touch()
        pytester.makeini(
            "[pytest]\naddopts = -p no:randomly -p no:asyncio -p no:hypothesispytest --strict-markers"
        )
