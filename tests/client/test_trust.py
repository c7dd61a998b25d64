"""What no request makes the daemon do: import, run or read what the config does not name, talk to a network,
unpickle.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pytest_gpuemu
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.client.transport import NngTransport
from pytest_gpuemu.engine.protocol.requests import REQUESTS
from pytest_gpuemu.engine.wire_arrays import to_tensor

SOURCE = Path(pytest_gpuemu.__file__).parent
CONFIG = """
[[ops]]
name = "named"
reference = "canary_named:twice"
schema = "x[N] -> y[N]"
"""
CANARIES = {
    "canary_named.py": "def twice(x): return 2 * x\n",
    "canary_module.py": "raise SystemExit('imported')\n",
    "canary_script.py": "print('run')\n",
    "canary_secret.txt": "secret\n",
}
# A parent and its child exchange a file in a folder that only this user can enter; no request leads there.
OWN_PROCESS = ("fresh_process.py: pickle",)
ARRAY = to_tensor(np.zeros(3, np.float32))


@pytest.fixture
def audited(tmp_path, audit_log):
    """A daemon with an audit hook in all its processes: what sends a message, the log's path, the project."""
    project = tmp_path / "project"
    project.mkdir()
    for name, text in CANARIES.items():
        (project / name).write_text(text, encoding="utf-8")
    (project / "gpuemu.toml").write_text(CONFIG, encoding="utf-8")
    daemon = start_daemon(project, project / ".gpuemu", config=project / "gpuemu.toml")
    transport = NngTransport(daemon.socket_path, timeout_ms=60_000)
    yield transport.request, audit_log, project
    transport.close()
    daemon.stop()


def hostile_texts(project: Path) -> list[str]:
    return [
        "canary_module:f",
        "canary_script.py",
        str(project / "canary_secret.txt"),
        "__import__('canary_module')",
    ]


def messages(text: str) -> Iterator[dict[str, object]]:
    """Every request with this text wherever a text may stand, and under keys that name code elsewhere."""
    keys = (
        "reference",
        "op_script",
        "module",
        "library",
        "schema",
        "where",
        "inputs",
        "dims",
        "params",
        "values",
    )
    fuzz_configs: list[dict[str, object]] = [{key: text} for key in keys]
    fuzz_configs += [{key: [text]} for key in keys] + [{key: {text: text}} for key in keys]
    fuzz_configs += [
        {"op_schema": text},
        {
            "op_schema": {
                "reference": text,
                "inputs": [{"name": "x", "dims": [text]}],
                "output": {"dims": [text]},
            }
        },
        {"inputs": {"input": {"low": text, "kind": text}}},
    ]
    for op_name in (text, "softmax"):
        yield {"type": "ValidateOp", "op_name": op_name, "inputs": {text: ARRAY}, "output": ARRAY}
        for kwargs in ({"dim": text}, {text: text}):
            yield {
                "type": "ValidateOp",
                "op_name": op_name,
                "inputs": {"input": ARRAY},
                "output": ARRAY,
                "kwargs": kwargs,
            }
        yield {"type": "SubmitOutput", "op_name": op_name, "seed": 1, "output": ARRAY, "edits": text}
        for fuzz_config in fuzz_configs if op_name == "softmax" else fuzz_configs[:1]:
            yield {"type": "GetTestCase", "op_name": op_name, "fuzz_config": {"seed": 1, **fuzz_config}}
        yield {"type": "FuzzOp", "op_name": op_name, "fuzz_config": {"seed": 1}, "iterations": 1}
        yield {"type": "Minimize", "op_name": op_name, "seed": 1, "strategy": text, "max_iters": 1}
        for kind in ("GetResult", "Reproduce"):
            yield {"type": kind, "seed": 1, "op_name": op_name, "edits": text}
    for kind in REQUESTS:
        if kind != "Shutdown":
            for key in ("tag", "name", "path", "file", "kernel_name", "ptx_content", "source", "op_name"):
                yield {"type": kind, key: text}
    yield {"type": "LintKernel", "kernel_name": text, "ptx_content": text}
    yield {"type": "StoreBaseline", "tag": text}
    yield {"type": "CompareBaseline", "tag": text}
    yield {"type": text}


def test_no_request_makes_the_daemon_touch_what_the_config_does_not_name(audited):
    request, log, project = audited
    before = sorted(path.name for path in project.rglob("*") if ".gpuemu" not in path.parts)
    sent = 0
    for text in hostile_texts(project):
        for message in messages(text):
            assert isinstance(request(message)["type"], str)
            sent += 1

    assert sent > 300
    assert log.read_text() == ""
    after = sorted(path.name for path in project.rglob("*") if ".gpuemu" not in path.parts)
    assert after == before

    # The hook does see what is touched: the reference that the config names is.
    answer = request({"type": "ValidateOp", "op_name": "named", "inputs": {"x": ARRAY}, "output": ARRAY})
    assert answer["type"] == "ValidationResult"
    touched = log.read_text()
    assert "canary_named" in touched
    assert not any(name in touched for name in ("canary_module", "canary_script", "canary_secret"))


def test_a_failure_of_a_campaign_makes_the_daemon_touch_nothing(audited):
    """A stored failure names an op, a test and overrides, which are texts until a config knows them."""
    request, log, project = audited
    for text in hostile_texts(project):
        stored = request(
            {
                "type": "RecordFailure",
                "test_id": text,
                "op_name": text,
                "seed": 1,
                "generator": 1,
                "shape": [3],
                "strides": [4],
                "dtype": text,
                "layout": text,
                "values": text,
                "fuzz_config": {"reference": text, "op_schema": text, "library": text},
                "findings": [{"kind": text, "message": text}],
                "text": text,
                "timestamp": 1.0,
                "duration_ms": 1.0,
            }
        )
        assert stored["type"] == "Ok"
        for kind in ("Reproduce", "GetResult"):
            assert isinstance(request({"type": kind, "seed": 1, "op_name": text})["type"], str)

    assert log.read_text() == ""


def test_the_daemon_has_no_socket_of_a_network(tmp_path):
    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    try:
        inodes = {
            os.readlink(f"/proc/{daemon.pid}/fd/{name}").removeprefix("socket:[").rstrip("]")
            for name in os.listdir(f"/proc/{daemon.pid}/fd")
            if os.readlink(f"/proc/{daemon.pid}/fd/{name}").startswith("socket:")
        }
        local = {line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines()[1:]}
        networks = {
            line.split()[9]
            for table in ("tcp", "tcp6", "udp", "udp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        }
    finally:
        daemon.stop()

    assert inodes
    assert inodes <= local
    assert not inodes & networks


def test_nothing_is_unpickled_and_no_text_is_evaluated():
    """So that a message or a stored row cannot become code."""
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module).split(".")[0]]
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("eval", "exec")
            ):
                found.append(f"{path.name}:{node.lineno}: {node.func.id}")
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                found.append(f"{path.name}: allow_pickle")
            found += [f"{path.name}: {name}" for name in names if name in forbidden]

    assert [place for place in found if place not in OWN_PROCESS] == []
