"""The pytest plugin: hooks only, each a few lines that hand over to pytest_items.

A suite without marked tests pays a stash look-up here and there: nothing heavy is imported at import
time, and the hooks that run once per test are registered only after a marked test was collected
(pytest_items/runner.py).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_gpuemu.pytest_items import kernel_options, options
from pytest_gpuemu.pytest_items.ids import MARKER, param_of

if TYPE_CHECKING:
    from pytest_gpuemu.client import Client
    from pytest_gpuemu.pytest_items.fuzz_case import FuzzCase
    from pytest_gpuemu.pytest_items.kernel_artifact import KernelArtifact


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)
    kernel_options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", options.MARKER_HELP)
    config.addinivalue_line("markers", kernel_options.MARKER_HELP)
    if kernel_options.baseline_mode(config) is not None:
        from pytest_gpuemu.pytest_items import baselines

        baselines.register(config)
    if kernel_options.lints(config):
        from pytest_gpuemu.pytest_items import kernel_items

        kernel_items.add_argument(config)
    options.check_options(config)
    if options.wants_report(config):
        from pytest_gpuemu.pytest_items import report_files

        report_files.register(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The kernels of gpuemu.toml are items of that file, where they are asked for."""
    if not kernel_options.may_name_kernels(parent, file_path):
        return None
    from pytest_gpuemu.pytest_items import kernel_items

    return kernel_items.collect_file(file_path, parent)


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A marked test becomes its known failing seeds and a campaign; trylast, so that [fuzz=N] comes last."""
    if "fuzz_case" not in metafunc.fixturenames or metafunc.definition.get_closest_marker(MARKER) is None:
        return
    from pytest_gpuemu.pytest_items import collect
    from pytest_gpuemu.pytest_items.session import fuzz_session

    collect.generate_tests(metafunc, fuzz_session(metafunc.config))


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> Generator[None, Any, Any]:
    """Leave out the known seeds that belong to another parametrization of the same function."""
    made = yield
    if isinstance(made, list) and any(param_of(item) is not None for item in made):
        from pytest_gpuemu.pytest_items import collect
        from pytest_gpuemu.pytest_items.session import fuzz_session

        return collect.own_seeds_only(made, fuzz_session(collector.config))
    return made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("gpuemu_reproduce") or config.getoption("gpuemu_minimize"):
        from pytest_gpuemu.pytest_items import collect
        from pytest_gpuemu.pytest_items.session import fuzz_session

        collect.select_reproduced(config, items, fuzz_session(config))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Register what runs campaigns, only where the session has marked tests."""
    marked = [item for item in session.items if param_of(item) is not None or item.get_closest_marker(MARKER)]
    if any(item.get_closest_marker(kernel_options.MARKER) is not None for item in session.items):
        from pytest_gpuemu.pytest_items.kernel_artifact import KernelHooks

        session.config.pluginmanager.register(KernelHooks(), "gpuemu-kernels")
    if marked:
        from pytest_gpuemu.pytest_items.session import fuzz_session

        fuzz_session(session.config).begin(marked)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist's controller hands each worker what it decided and read once, so that all collect the same."""
    from pytest_gpuemu.pytest_items import distributed

    distributed.hand_over(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    """Start the session's daemon in the controller, before the first test is sent to a worker."""
    from pytest_gpuemu.pytest_items import distributed

    distributed.begin_in_controller(node.config, [str(nodeid) for nodeid in ids])


@pytest.fixture
def fuzz_case(request: pytest.FixtureRequest) -> FuzzCase:
    """The case under test: inputs, params and outputs for the kernel, and check() to judge its output.

    Needs the marker gpuemu_op. In a campaign the test function is called once per case; the fixtures
    of the test are set up once for all of them.
    """
    from pytest_gpuemu.pytest_items import fixture

    return fixture.fuzz_case(request)


@pytest.fixture
def kernel_artifact(request: pytest.FixtureRequest) -> Iterator[KernelArtifact]:
    """The kernel that the marker gpuemu_kernel names, compiled without a GPU for each of its architectures:
    ptx, metrics and reports by architecture, and check() for its limits and its baseline.
    """
    from pytest_gpuemu.pytest_items import kernel_artifact as made

    yield from made.kernel_artifact(request)


@pytest.fixture(scope="session")
def gpuemu_daemon(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The daemon of this session, started where it is not yet running; `.socket_path` is its socket."""
    from pytest_gpuemu.pytest_items import fixture

    yield from fixture.daemon(request.config)


@pytest.fixture
def gpuemu_client(gpuemu_daemon: Any) -> Iterator[Client]:
    """A client that is connected to the session's daemon."""
    from pytest_gpuemu.pytest_items import fixture

    yield from fixture.client(gpuemu_daemon)
