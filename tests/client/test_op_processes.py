"""The processes that run ops under test: what they may touch, what they cannot reach, and when they end.

Elsewhere: what comes of an op that hangs, crashes or eats memory (test_fuzz_op.py).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pynng
import pytest
from waiting import is_alive, wait_until

from pytest_gpuemu.client import Client
from pytest_gpuemu.client.launch import Daemon, start_daemon
from pytest_gpuemu.client.transport import NngTransport
from pytest_gpuemu.engine.protocol import framing

CONFIG = """
[[ops]]
name = "named"
reference = "canary_named:twice"
module = "canary_op:twice"
execution_mode = "daemon_orchestrated"
schema = "x[N] -> y[N]"
dims = { N = [1, 7] }
dtypes = ["float32"]

[[ops]]
name = "scripted"
reference = "canary_named:twice"
op_script = "canary_run.py"
execution_mode = "script_based"
schema = "x[N] -> y[N]"
dims = { N = [1, 7] }
dtypes = ["float32"]

[[ops]]
name = "only_checked"
reference = "canary_named:twice"
module = "canary_other:twice"
schema = "x[N] -> y[N]"

[[ops]]
name = "spoils"
reference = "canary_named:twice"
module = "canary_op:spoils"
execution_mode = "daemon_orchestrated"
schema = "x[N] -> y[N]"
dims = { N = [7] }
dtypes = ["float32"]

[[ops]]
name = "sleeps"
reference = "canary_named:twice"
module = "canary_op:sleeps"
execution_mode = "daemon_orchestrated"
schema = "x[N] -> y[N]"
dims = { N = [7] }
dtypes = ["float32"]
"""
FILES = {
    "canary_named.py": "def twice(x): return 2 * x\n",
    "canary_op.py": """
import os, pathlib, time

def twice(x): return 2 * x

def spoils(x):
    import canary_named
    from pytest_gpuemu.engine import judge
    canary_named.twice = judge.judge = lambda *_, **__: None
    return 3 * x

def sleeps(x):
    pathlib.Path("asleep").write_text(str(os.getpid()))
    time.sleep(1000)
""",
    "canary_run.py": """
import base64, json, sys
import numpy as np

x = json.load(sys.stdin)["inputs"]["x"]
y = np.frombuffer(base64.b64decode(x["data"]), x["dtype"]) * 2
print(json.dumps({"shape": x["shape"], "dtype": x["dtype"], "data": base64.b64encode(y.tobytes()).decode()}))
""",
    "canary_other.py": "raise SystemExit('imported')\n",
    "canary_script.py": "raise SystemExit('run')\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "gpuemu.toml").write_text(CONFIG, encoding="utf-8")
    return folder


def started(project: Path) -> Daemon:
    return start_daemon(project, project / ".gpuemu", config=project / "gpuemu.toml")


def hostile(text: str) -> list[dict[str, object]]:
    """What narrows a case, with this text in each place that a case has."""
    keys = (
        "reference",
        "module",
        "op_script",
        "execution_mode",
        "library",
        "dims",
        "params",
        "where",
        "inputs",
    )
    return [
        *({key: text} for key in keys),
        *({key: {text: text}} for key in keys),
        {"op_schema": text},
        {"op_schema": f"{text} -> y[N]"},
    ]


def test_an_op_process_runs_what_the_config_names_and_touches_nothing_else(audit_log, project):
    daemon = started(project)
    transport = NngTransport(daemon.socket_path, timeout_ms=60_000)
    try:
        for op_name in ("named", "scripted", "only_checked", "canary_other:twice", "canary_script.py"):
            for text in ("canary_other:twice", "canary_script.py", str(project / "canary_script.py")):
                for keys in hostile(text):
                    said = {"op_name": op_name, "fuzz_config": {"seed": 1, **keys}, "iterations": 1}
                    assert isinstance(transport.request({"type": "FuzzOp", **said})["type"], str)
        refused = audit_log.read_text()
        ran = [
            transport.request(
                {"type": "FuzzOp", "op_name": name, "fuzz_config": {"seed": 1}, "iterations": 2}
            )
            for name in ("named", "scripted")
        ]
    finally:
        transport.close()
        daemon.stop()

    assert [reply["passed"] for reply in ran] == [2, 2]
    touched = audit_log.read_text()
    assert all(name in touched for name in ("canary_named", "canary_op", "canary_run"))
    assert not any(name in refused + touched for name in ("canary_other", "canary_script"))


def test_an_op_that_spoils_its_process_changes_no_verdict(project):
    """The reference and the verdict are computed where no op under test has been."""
    daemon = started(project)
    try:
        with Client(daemon.socket_path) as client:
            spoiled = [client.fuzz_op("spoils", seed, 2) for seed in (1, 2)]
            assert [(found.failed, found.total) for found in spoiled] == [(2, 2), (2, 2)]
            assert {str(failure.failures[0].kind) for failure in spoiled[1].failures} == {"ToleranceExceeded"}
    finally:
        daemon.stop()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_an_op_process_ends_with_the_daemon_also_in_the_middle_of_an_op(project, end):
    daemon = started(project)
    message = {"type": "FuzzOp", "op_name": "sleeps", "fuzz_config": {"seed": 1}, "iterations": 1}
    asleep = project / "asleep"
    try:
        with pynng.Req0(dial=f"ipc://{daemon.socket_path}", send_timeout=5000) as asking:
            asking.send(framing.encode(message, 2))
            wait_until(lambda: asleep.is_file() and asleep.read_text() != "")
            pid = int(asleep.read_text())
            assert is_alive(pid)

            os.kill(daemon.pid, end)

            wait_until(lambda: not is_alive(pid))
    finally:
        daemon.stop()
