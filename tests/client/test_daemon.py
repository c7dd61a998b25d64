"""The daemon's process: ready, private, restarted, never outliving its parent, and losing nothing."""

from __future__ import annotations

import gc
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import warnings

import pynng
import pytest
from one_failure import failure
from waiting import DEADLINE_S, is_alive, wait_until

from pytest_gpuemu.client import Client, ClientError
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.client.recorder import Recorder
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.protocol.requests.stored import PassedCase
from pytest_gpuemu.engine.store import known_failures


def passed(seed: int) -> PassedCase:
    return PassedCase(test_id="t", op_name="softmax", seed=seed, timestamp=1.5)


@pytest.fixture
def daemon(tmp_path):
    running = start_daemon(tmp_path, tmp_path / ".gpuemu")
    yield running
    running.stop()


@pytest.fixture
def recorder(daemon):
    found = Recorder(daemon.socket_path)
    yield found
    found.close()


def test_it_loads_no_numpy_so_that_it_answers_soon(daemon):
    with open(f"/proc/{daemon.pid}/maps", encoding="utf-8") as maps:
        assert "_multiarray_umath" not in maps.read()


def test_the_socket_is_private(daemon):
    assert stat.S_IMODE(daemon.socket_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.socket_path.parent.stat().st_mode) == 0o700


def test_a_failure_comes_back_whole(daemon, recorder):
    recorder.failure(failure(2**64 - 1))

    with Client(daemon.socket_path) as client:
        (found,) = client.list_failures()
    assert (found.seed, found.test_id, found.op_name) == (2**64 - 1, "t.py::test", "softmax")
    assert (found.failures[0].kind, found.failures[0].index) == ("NaNDetected", (1, 2))
    assert (found.text, found.duration_ms, float(found.timestamp)) == ("the whole report", 3, 1.0)
    assert found.repro_info.fuzz_config == {"dims": {"rows": {"min": 1, "max": 300}}}


def test_a_failure_that_passes_is_forgotten(recorder, tmp_path):
    recorder.failure(failure(1))
    recorder.failure(failure(2))
    recorder.forget("t.py::test", "softmax", 1)

    assert [row.seed for row in known_failures(tmp_path / ".gpuemu")] == [2]


def test_a_failure_of_an_op_that_a_test_defines_says_where_to_reproduce_it(daemon, recorder):
    import dataclasses

    recorder.failure(dataclasses.replace(failure(8), op="defined_in_a_test"))

    with Client(daemon.socket_path) as client, pytest.raises(ClientError) as caught:
        client.reproduce(8)
    assert caught.value.code == "OpNotFound"
    assert "t.py::test" in str(caught.value)
    assert "pytest --gpuemu-reproduce=8" in str(caught.value)


def test_kill_9_in_the_middle_of_a_busy_run_loses_nothing_acknowledged(daemon, tmp_path):
    acknowledged: list[int] = []
    stop = threading.Event()

    def write(first: int) -> None:
        recorder = Recorder(daemon.socket_path)
        seed = first
        while not stop.is_set():
            recorder.failure(failure(seed))
            acknowledged.append(seed)
            recorder.passed([passed(seed + 10_000_000 + i) for i in range(5)])
            seed += 1
        recorder.close()

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1_000_000)]
    for writer in writers:
        writer.start()
    for _ in range(3):
        before, killed = len(acknowledged), daemon.pid
        wait_until(lambda before=before: len(acknowledged) > before + 10)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda killed=killed: daemon.pid != killed)
    before = len(acknowledged)
    wait_until(lambda: len(acknowledged) > before + 10)
    stop.set()
    for writer in writers:
        writer.join(DEADLINE_S)

    assert set(acknowledged) <= {row.seed for row in known_failures(tmp_path / ".gpuemu")}


def test_a_restart_leaves_no_pipe_of_the_dead_daemon_open(daemon):
    killed = daemon.pid
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: daemon.pid != killed)
        assert daemon.ensure_running()
        gc.collect()

    assert [str(w.message) for w in warned if w.category is ResourceWarning] == []


def test_ensure_running_gives_up_after_stop(daemon):
    daemon.stop()

    assert not daemon.ensure_running()


def test_it_ends_when_its_parent_is_killed(tmp_path):
    code = (
        "import sys, signal; from pathlib import Path\n"
        "from pytest_gpuemu.client.launch import start_daemon\n"
        "daemon = start_daemon(Path(sys.argv[1]), Path(sys.argv[1]) / '.gpuemu')\n"
        "print(daemon.pid, daemon.socket_path, flush=True); signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid, path = parent.stdout.readline().split()
    assert is_alive(int(pid))

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    wait_until(lambda: not is_alive(int(pid)))
    assert not os.path.exists(os.path.dirname(path))


def test_stop_leaves_no_folder(tmp_path):
    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    daemon.stop()
    daemon.stop()

    assert not daemon.socket_path.parent.exists()


def test_a_socket_that_a_daemon_holds_is_said(daemon, tmp_path):
    with pytest.raises(ClientError) as caught:
        start_daemon(tmp_path, tmp_path / ".gpuemu", socket=daemon.socket_path)

    assert f"a daemon already listens at {daemon.socket_path}" in str(caught.value)
    assert "gpuemu daemon stop" in str(caught.value)


def test_a_socket_that_somebody_else_listens_at_is_said(tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(ClientError, match="a daemon already listens"):
            start_daemon(tmp_path, tmp_path / ".gpuemu", socket=path)
    assert path.exists()


def test_the_socket_of_a_daemon_that_died_is_taken_over(tmp_path):
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu", socket=path)
    with Client(path) as client:
        assert client.ping() == "pong"
    daemon.stop()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "s.sock"
    path.write_text("mine", encoding="utf-8")

    with pytest.raises(ClientError, match="is no socket"):
        start_daemon(tmp_path, tmp_path / ".gpuemu", socket=path)
    with pytest.raises(ClientError, match="is no socket"):
        Client(path).ping()
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
def test_the_socket_of_another_user_is_refused(daemon):
    os.chown(daemon.socket_path, 12345, -1)

    with pytest.raises(ClientError, match=r"belongs to user 12345, you are user 0: refused"):
        Client(daemon.socket_path).ping()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a folder to another user")
def test_a_folder_of_another_user_is_no_place_for_a_socket(daemon):
    """Guards: its owner could put a socket of theirs in place of ours after it was looked at."""
    os.chown(daemon.socket_path.parent, 12345, 12345)
    with (
        Client(daemon.socket_path) as client,
        pytest.raises(ClientError, match=r"the folder .* belongs to user 12345, you are user 0: refused"),
    ):
        client.ping()


@pytest.mark.parametrize(("mode", "is_refused"), [(0o777, True), (0o1777, False)], ids=["open", "sticky"])
def test_a_folder_that_everybody_may_write_is_no_place_for_a_socket(tmp_path, mode, is_refused):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)

    if is_refused:
        with pytest.raises(ClientError, match=r"every user of this machine can write to .*: refused"):
            start_daemon(tmp_path, tmp_path / ".gpuemu", socket=folder / "s.sock")
    else:
        daemon = start_daemon(tmp_path, tmp_path / ".gpuemu", socket=folder / "s.sock")
        with Client(daemon.socket_path) as client:
            assert client.ping()
        daemon.stop()


def test_a_path_too_long_for_a_socket_is_said(tmp_path):
    with pytest.raises(ClientError, match=r"has \d+ bytes, and a Unix socket's may have 103"):
        start_daemon(tmp_path, tmp_path / ".gpuemu", socket=tmp_path / ("x" * 120))


def test_a_wrong_config_keeps_it_from_starting_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    config = tmp_path / "gpuemu.toml"
    config.write_text("[fuzz]\ncase = 3\n", encoding="utf-8")

    with pytest.raises(ClientError, match=r"did not start: .*unknown key 'case'"):
        start_daemon(tmp_path, tmp_path / ".gpuemu", config=config)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[", b"\0GE2", b"\xff" * 1000, b'{"type":"Pink"}', b'{"type":"GetResult","seed":-1}'],
)
def test_a_bad_message_gets_an_error_and_the_next_is_answered(daemon, data):
    with pynng.Req0(dial=f"ipc://{daemon.socket_path}", recv_timeout=10_000) as connection:
        connection.send(data)
        assert framing.decode(connection.recv())["code"] == "InvalidRequest"

        connection.send(b'{"type":"Ping"}')
        assert framing.decode(connection.recv())["type"] == "Pong"


def test_many_clients_are_served_at_once(daemon):
    answers: list[str] = []

    def ask() -> None:
        with Client(daemon.socket_path) as client:
            for _ in range(5):
                answers.append(str(client.ping()))

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)

    assert answers == ["pong"] * 250


def test_a_client_that_vanishes_leaves_the_daemon_serving(daemon):
    for _ in range(20):
        with pynng.Req0(dial=f"ipc://{daemon.socket_path}") as connection:
            connection.send(b'{"type":"ListResults"}')

    with Client(daemon.socket_path) as client:
        assert client.ping() == "pong"
