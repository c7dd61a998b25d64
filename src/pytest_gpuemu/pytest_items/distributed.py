"""pytest-xdist: what its controller decides for all workers, and what it prints for them.

All workers must collect the same tests, also one that replaces a crashed one: the controller reads the
known seeds once, and chooses the master seed. It owns the daemon, which no worker's crash ends. Imports
nothing heavy: hand_over runs before anybody knows whether a test is marked.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any

import pytest

from pytest_gpuemu.pytest_items.ids import case_part, test_id
from pytest_gpuemu.pytest_items.session import FuzzSession, fuzz_session

_BEGUN = pytest.StashKey[bool]()


def hand_over(node: Any) -> None:
    """Give a worker, before it starts, what it shall not find out by itself."""
    session = fuzz_session(node.config)
    if session.error is not None:
        raise pytest.UsageError(str(session.error))
    node.workerinput["gpuemu"] = {
        "master_seed": session.settings.master_seed,
        "known": session.known,
        "crashed": [[case.test_id, case.case_id, case.path] for case in session.crashed],
        "socket": session.share_socket(),
        "columns": shutil.get_terminal_size(fallback=(80, 24)).columns,
    }


def begin_in_controller(config: pytest.Config, ids: Iterable[str]) -> None:
    """Where a worker has collected marked tests, start the daemon and print the lines that need no items."""
    session = fuzz_session(config)
    if config.stash.get(_BEGUN, False) or not any(_is_ours(nodeid, session) for nodeid in ids):
        return
    config.stash[_BEGUN] = True
    from pytest_gpuemu.pytest_items.reporter import Reporter

    reporter = Reporter(session, [])
    config.pluginmanager.register(reporter, "gpuemu-reporter")
    if not config.getoption("collectonly"):
        session.start_recording()
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and config.getoption("verbose") >= 0:
        for line in reporter.header():
            terminal.write_line(line)


def _is_ours(nodeid: str, session: FuzzSession) -> bool:
    """Whether an item is a campaign or a case, by its id alone: `[seed=5]` may be any test's parameter."""
    name, _, case_id = case_part(nodeid).partition("=")
    if name != "seed":
        return name == "fuzz"
    arguments = session.config.args
    return (
        case_id in session.settings.reproduce
        or case_id in session.known.get(test_id(nodeid), ())
        or any(f"seed={case_id}]" in str(argument) for argument in arguments)
    )
