"""The way to the daemon, where an answer takes long or does not come."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pytest_gpuemu.client import Client, ClientError, transport
from pytest_gpuemu.client.launch import daemon_command, start_daemon, wait_until_ready

X = np.ones((2, 3), np.float32)
CONFIG = "[[ops]]\nname = 'slow'\nreference = 'slow_reference:slow'\n"
SLOW = """
import time
def slow(input):
    open('calls', 'a').write('.')
    time.sleep(SECONDS)
    return input
"""


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon at tmp_path/socket that nobody restarts, whose op `slow` takes a minute."""
    (tmp_path / "gpuemu.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "slow_reference.py").write_text(SLOW.replace("SECONDS", "60"), encoding="utf-8")
    folder, log = tmp_path / ".gpuemu", tmp_path / "log"
    command = daemon_command(
        tmp_path / "socket", root=tmp_path, store=folder, config=tmp_path / "gpuemu.toml"
    )
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, cwd=tmp_path)
    wait_until_ready(process, log)
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def killed_meanwhile(client: Client, daemon: subprocess.Popen[bytes], folder: Path) -> ClientError:
    """What a client says whose daemon is killed while it judges."""

    def kill() -> None:
        while not (folder / "calls").exists():
            time.sleep(0.02)
        daemon.kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(ClientError) as caught:
        client.validate_op("slow", {"input": X}, X)
    return caught.value


@pytest.mark.parametrize(("timeout_ms", "restart_s"), [(600_000, 0.3), (12_000, 600.0)])
def test_a_daemon_that_dies_and_does_not_come_back_is_said(
    lonely, tmp_path, monkeypatch, timeout_ms, restart_s
):
    """Guards: a request to a dead daemon waited for all of its time-out, and then asked for a longer one."""
    monkeypatch.setattr(transport, "_RESTART_S", restart_s)

    with Client(tmp_path / "socket", timeout_ms=timeout_ms) as client:
        error = killed_meanwhile(client, lonely, tmp_path)
        with pytest.raises(ClientError) as after:
            client.ping()

    assert str(error) == (
        f"the daemon at {tmp_path / 'socket'} ended before it answered ValidateOp, and none has started "
        "in its place; start one with: gpuemu daemon start"
    )
    assert "Cannot connect to daemon" in str(after.value)


def test_a_request_that_takes_long_is_done_once(tmp_path):
    """Guards: the transport sent a request again each second, and the daemon did it each time."""
    (tmp_path / "gpuemu.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "slow_reference.py").write_text(SLOW.replace("SECONDS", "1.2"), encoding="utf-8")
    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu", config=tmp_path / "gpuemu.toml")

    with Client(daemon.socket_path) as client:
        assert client.validate_op("slow", {"input": X}, X).passed
        assert client.validate_op("slow", {"input": X}, X).passed

    daemon.stop()
    assert (tmp_path / "calls").read_text(encoding="utf-8") == ".."


def test_a_client_that_is_closed_waits_for_nobody(tmp_path):
    """Guards: a thread that waited for the next daemon after each close()."""
    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    before = threading.active_count()

    for _ in range(5):
        with Client(daemon.socket_path) as client:
            assert client.ping() == "pong"

    assert threading.active_count() == before
    daemon.stop()
