"""A daemon for this process: started, watched, restarted when it dies, and ended with us.

Here: the process. Elsewhere: what it runs (engine/__main__.py), talking to it (client.py, recorder.py).
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.sockets import Claim, check_length, log_path, private_socket

_READY_S = 20.0
_RESTARTS = 5


def daemon_command(socket: Path, *, root: Path, store: Path, config: Path | None) -> list[str]:
    """The command line of a daemon."""
    command = [sys.executable, "-m", "pytest_gpuemu.engine", "--socket", str(socket), "--store", str(store)]
    command += ["--root", str(root)]
    return command if config is None else [*command, "--config", str(config)]


def wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the daemon answers. Raises ClientError with the end of its log where it does not."""
    assert process.stdout is not None
    deadline = time.monotonic() + _READY_S
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(left):
                if process.stdout.readline() == b"ready\n":
                    return
                break
    process.kill()
    process.wait()
    said = log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
    raise ClientError(f"the gpuemu daemon did not start: {said or f'exit status {process.returncode}'}")


def wait_until_ended(socket: Path, within_s: float) -> bool:
    """Whether the daemon that listened at a socket has gone, waiting for that: it holds a lock till then."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            Claim(socket).close()
        except ClientError:
            time.sleep(0.02)
        else:
            return True
    return False


class Daemon:
    """A running daemon of this process. It ends when this process does, however that ends."""

    def __init__(self, *, root: Path, store: Path, config: Path | None, socket: Path | None) -> None:
        self._owns_folder = socket is None
        self.socket_path = private_socket() if socket is None else socket
        self._command = daemon_command(self.socket_path, root=root, store=store, config=config)
        self._command += ["--parent-pipe"] + ["--remove-folder"] * self._owns_folder
        self._root = root
        self._log = log_path(self.socket_path)
        self._lock = threading.RLock()
        self._stopping = False
        self._restarts = 0
        check_length(self.socket_path)
        try:
            self._process = self._start()
        except ClientError:
            if self._owns_folder:
                self._remove_folder()
            raise
        self._watcher = threading.Thread(target=self._watch, name="gpuemu daemon", daemon=True)
        self._watcher.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def ensure_running(self) -> bool:
        """Start it again if it has died; False where that fails, or has been needed too often."""
        with self._lock:
            if self._process.poll() is None:
                return True
            if self._stopping or self._restarts >= _RESTARTS:
                return False
            self._restarts += 1
            _close_streams(self._process)
            try:
                self._process = self._start()
            except ClientError:
                self._restarts = _RESTARTS
                return False
            return True

    def stop(self) -> None:
        """End it, and wait for that. May be called twice."""
        with self._lock:
            self._stopping = True
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(10)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            _close_streams(self._process)
        self._watcher.join(10)
        if self._owns_folder:
            self._remove_folder()

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            self.socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            log: IO[bytes]
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=self._root,
                    start_new_session=True,  # Ctrl-C is pytest's: the daemon stores what it then reports
                )
        except OSError as error:
            raise ClientError(f"the gpuemu daemon did not start: {error}") from error
        try:
            wait_until_ready(process, self._log)
        except ClientError:
            _close_streams(process)
            raise
        return process

    def _watch(self) -> None:
        while True:
            self._process.wait()
            if self._stopping or not self.ensure_running():
                return

    def _remove_folder(self) -> None:
        """What a daemon that was killed left in its private folder."""
        for path in (
            self.socket_path,
            self._log,
            self.socket_path.with_name(self.socket_path.name + ".lock"),
        ):
            path.unlink(missing_ok=True)
        if self.socket_path.parent.is_dir() and not os.listdir(self.socket_path.parent):
            self.socket_path.parent.rmdir()


def _close_streams(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def start_daemon(
    root: Path, store: Path, *, config: Path | None = None, socket: Path | None = None
) -> Daemon:
    """Start a daemon that ends with this process, and return once it answers (about 0.2 s).

    root is the config's folder, store the store's (`root / ".gpuemu"`), config the file itself, if any.
    Without a socket path it gets a private one. A store that cannot be opened does not keep it from starting:
    Recorder.store_error() tells. Raises ClientError where it does not start.
    """
    return Daemon(root=root, store=store, config=config, socket=socket)
