"""The fixtures: what a test's setup gets before its first case.

Here: fuzz_case of a campaign item and of a case item, gpuemu_daemon and gpuemu_client, and the errors of a
test that is put together wrongly. Elsewhere: the case itself (fuzz_case.py), the loop (campaign.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

from pytest_gpuemu.engine.errors import GpuemuError
from pytest_gpuemu.pytest_items.fuzz_case import FuzzCase
from pytest_gpuemu.pytest_items.ids import MARKER, Seed, test_id_of
from pytest_gpuemu.pytest_items.running import CASES, RunningCases
from pytest_gpuemu.pytest_items.session import fuzz_session


def fuzz_case(request: pytest.FixtureRequest) -> FuzzCase:
    """The object of the test: bound to its case in a case item, in a campaign from the first case on."""
    param = getattr(request, "param", None)
    item = request.node
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        _refuse(
            f"{test_id_of(item)} takes the fixture fuzz_case, but has no marker that names its op: "
            f'write @pytest.mark.{MARKER}("softmax") above it'
        )
    session = fuzz_session(item.config)
    case = FuzzCase()
    wrong: GpuemuError | None = None
    try:
        op = session.op_of(marker)
        item.stash[CASES] = RunningCases(session, item, op, case)
        if isinstance(param, Seed):
            item.stash[CASES].bind(param.case_id)
    except GpuemuError as error:
        wrong = error
    if wrong is not None:  # outside the handler, so that the report shows one error
        _refuse(str(wrong))
    return case


def refuse_without_fixture(item: pytest.Item) -> NoReturn:
    """Fail the setup of a marked test that cannot get a case."""
    if not isinstance(item, pytest.Function) or getattr(item.cls, "setUp", None):
        reason = "unittest.TestCase methods get no fixtures: write it as a function, or in a plain class"
    else:
        reason = "it checks nothing: give it the argument fuzz_case, and call fuzz_case.check(output)"
    _refuse(f"{item.nodeid} has the marker {MARKER}, but not the fixture fuzz_case; {reason}")


def daemon(config: pytest.Config) -> Iterator[Any]:
    """The daemon of the session; started here where no campaign has started it."""
    session = fuzz_session(config)
    if session.error is not None:
        _refuse(str(session.error))
    session.start_recording()
    running = session.recording.daemon
    if running is None:
        _refuse(f"no gpuemu daemon: {session.recording.note}")
    yield running


def client(running: Any) -> Iterator[Any]:
    from pytest_gpuemu.client import Client

    connected = Client(running.socket_path)
    yield connected
    connected.close()


def _refuse(message: str) -> NoReturn:
    pytest.fail(message, pytrace=False)
