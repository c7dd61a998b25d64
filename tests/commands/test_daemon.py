"""gpuemu daemon start|stop|status|logs, as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest


@pytest.fixture
def gpuemu(tmp_path):
    """Runs the command in a project, with a home of its own; ends what it started."""
    (tmp_path / "project").mkdir()
    environ = {key: value for key, value in os.environ.items() if not key.startswith("GPUEMU_")}
    environ["HOME"] = str(tmp_path)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest_gpuemu", *arguments],
            cwd=tmp_path / "project",
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
        )

    yield run
    run("daemon", "stop")


def test_a_daemon_is_started_looked_at_and_stopped(gpuemu, tmp_path):
    socket = tmp_path / ".gpuemu" / "gpuemu.sock"
    (tmp_path / "project" / "gpuemu.toml").write_text("[fuzz]\ncases = 3\n", encoding="utf-8")

    started = gpuemu("daemon", "start")
    assert started.returncode == 0, started.stderr
    assert started.stdout.startswith(f"the gpuemu daemon listens at {socket} (process ")

    status = gpuemu("daemon", "status")
    assert status.returncode == 0
    assert f"config   {tmp_path / 'project' / 'gpuemu.toml'}" in status.stdout
    assert f"store    {tmp_path / 'project' / '.gpuemu' / 'gpuemu.db'}" in status.stdout

    again = gpuemu("daemon", "start")
    assert again.returncode == 1
    assert again.stderr.startswith(f"gpuemu: a daemon already listens at {socket}; use it, end it with: ")

    assert f"listening at {socket}" in gpuemu("daemon", "logs").stdout

    stopped = gpuemu("daemon", "stop")
    assert (stopped.returncode, stopped.stdout) == (0, f"the gpuemu daemon at {socket} has ended\n")
    assert not socket.exists()
    assert "Traceback" not in gpuemu("daemon", "logs").stdout


def test_a_daemon_leaves_other_files_beside_its_socket_alone(gpuemu, tmp_path):
    results = tmp_path / "project" / "results.log"
    results.write_text("mine", encoding="utf-8")

    started = gpuemu("daemon", "start", "--socket", "results")
    logged = gpuemu("daemon", "logs", "--socket", "results").stdout
    gpuemu("daemon", "stop", "--socket", "results")

    assert started.returncode == 0, started.stderr
    assert "listening at " in logged
    assert results.read_text(encoding="utf-8") == "mine"


def test_without_a_daemon_each_command_says_so(gpuemu, tmp_path):
    path = str(tmp_path / "other.sock")

    status = gpuemu("daemon", "status", "--socket", path)
    assert (status.returncode, status.stdout.split(":")[0]) == (1, f"no gpuemu daemon answers at {path}")

    stop = gpuemu("daemon", "stop", "--socket", path)
    assert stop.returncode == 1
    assert stop.stderr == (
        f"gpuemu: Cannot connect to daemon at {path}: is it running? Start it with: gpuemu daemon start\n"
    )

    logs = gpuemu("daemon", "logs", "--socket", path)
    assert (logs.returncode, logs.stderr.split(";")[0]) == (
        1,
        f"gpuemu: there is no log at {tmp_path / 'other.sock.daemon.log'}",
    )


def test_in_the_foreground_it_runs_until_interrupted(tmp_path):
    path = tmp_path / "s.sock"
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_gpuemu", "daemon", "start", "--foreground", "--socket", str(path)],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    os.killpg(process.pid, signal.SIGINT)
    _, log = process.communicate(timeout=20)

    assert process.returncode == 0
    assert b"ended" in log
    assert b"Traceback" not in log
    assert not path.exists()


def test_a_wrong_config_is_said(gpuemu, tmp_path):
    (tmp_path / "project" / "gpuemu.toml").write_text("[fuzz]\ncase = 3\n", encoding="utf-8")

    started = gpuemu("daemon", "start")

    assert started.returncode == 1
    assert started.stderr.endswith("[fuzz]: unknown key 'case' (= 3); did you mean 'cases'?\n")
