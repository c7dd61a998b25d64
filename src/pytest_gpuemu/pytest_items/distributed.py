"""pytest-xdist: what its controller decides for all workers, and what it prints for them.

All workers must collect the same tests, also one that replaces a crashed one: the controller reads the
known seeds once, and chooses the master seed. It owns the daemon, which no worker's crash ends. Imports
nothing heavy: hand_over runs before anybody knows whether a test is marked.
"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_gpuemu.pytest_items.session import fuzz_session

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
    }


def begin_in_controller(config: pytest.Config) -> None:
    """A worker has collected marked tests: start the daemon and print the lines that need no items."""
    if config.stash.get(_BEGUN, False):
        return
    config.stash[_BEGUN] = True
    from pytest_gpuemu.pytest_items.reporter import Reporter

    session = fuzz_session(config)
    reporter = Reporter(session, [])
    config.pluginmanager.register(reporter, "gpuemu-reporter")
    if not config.getoption("collectonly"):
        session.start_recording()
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and config.getoption("verbose") >= 0:
        for line in reporter.header():
            terminal.write_line(line)
