"""A project with references of its own, and daemons for it that end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_gpuemu.client import Client
from pytest_gpuemu.client.launch import Daemon, start_daemon

CONFIG = """
[validation]
reference_timeout_s = 2

[[ops]]
name = "twice"
reference = "client_test_references:twice"
schema = "x[N] -> y[N]"

[[ops]]
name = "twice_of_nine"
reference = "client_test_references:twice"
module = "client_test_references"
execution_mode = "daemon_orchestrated"
schema = "x[N] -> y[N]"
dims = { N = { min = 1, max = 40 } }

[[ops]]
name = "twice_in_place"
reference = "client_test_references:twice"
schema = "x[N] -> y[N]"
inplace = { y = "x" }

[[ops]]
name = "shapeless"
reference = "client_test_references:negative"

[[ops]]
name = "hangs"
reference = "client_test_references:hangs"

[[ops]]
name = "crashes"
reference = "client_test_references:crashes"

[[ops]]
name = "eats"
reference = "client_test_references:eats"

[[ops]]
name = "raises"
reference = "client_test_references:raises"
"""
REFERENCES = """
import os, time
import numpy as np

def twice(x): return 2 * x
def twice_of_nine(x): return np.where(np.arange(len(x)) < 9, 2 * x, x - 1)
def negative(input): return -input
def hangs(input): time.sleep(1000)
def crashes(input): os.abort()
def eats(input): return np.ones(2**50)
def raises(input): raise ValueError("no answer")
"""

# Loaded by every Python process that the daemon is or starts: notes the files, modules and programs touched.
AUDIT = """
import os, sys

_LOG = os.environ["GPUEMU_TEST_AUDIT"]
_EVENTS = ("open", "import", "exec", "os.", "subprocess.", "shutil.", "ctypes.dlopen", "sqlite3.", "socket.")


def _note(event, args):
    if event.startswith(_EVENTS):
        said = repr(args)
        if "canary" in said and _LOG not in said:
            with open(_LOG, "a") as log:
                log.write(f"{event} {said[:300]}\\n")


sys.addaudithook(_note)
"""


@pytest.fixture
def audit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where every Python process that starts from now on notes what it touches that is called a canary."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
    log = tmp_path / "audit.log"
    log.touch()
    monkeypatch.setenv("PYTHONPATH", str(hook))
    monkeypatch.setenv("GPUEMU_TEST_AUDIT", str(log))
    return log


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "gpuemu.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "client_test_references.py").write_text(REFERENCES, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def daemon(project: Path) -> Iterator[Daemon]:
    """One daemon for the tests of a module that leave it as it is."""
    running = start_daemon(project, project / ".gpuemu", config=project / "gpuemu.toml")
    yield running
    running.stop()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.socket_path) as connected:
        yield connected
