"""The daemon's Unix socket: where it lies, who owns it, and whether it is free.

Here: the paths and their permissions. Elsewhere: what is said through it (server.py, client/transport.py).
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pytest_gpuemu.engine.errors import ClientError

# sockaddr_un.sun_path has 104 bytes on macOS and the BSDs, 108 on Linux, with the final zero.
MAX_PATH_BYTES = 103


def default_socket(environ: Mapping[str, str] = os.environ) -> Path:
    """`GPUEMU_SOCKET`, else ~/.gpuemu/gpuemu.sock."""
    named = environ.get("GPUEMU_SOCKET")
    return Path(named).expanduser() if named else Path.home() / ".gpuemu" / "gpuemu.sock"


def private_socket() -> Path:
    """A path in a new folder that only this user can enter, short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="gpuemu-"))
    if len(os.fsencode(folder / "gpuemu.sock")) > MAX_PATH_BYTES:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix="gpuemu-", dir="/tmp"))
    return folder / "gpuemu.sock"


def log_path(socket: Path) -> Path:
    """The log of a daemon in the background: the socket's name with `.daemon.log` after it.

    Not `.log`: beside a socket called `results`, results.log may be the user's.
    """
    return socket.with_name(socket.name + ".daemon.log")


def check_length(path: Path) -> None:
    """Raise ClientError where no socket can have this path."""
    length = len(os.fsencode(path))
    if length > MAX_PATH_BYTES:
        raise ClientError(
            f"the socket path {str(path)!r} has {length} bytes, and a Unix socket's may have "
            f"{MAX_PATH_BYTES}; give a shorter one (--socket, --gpuemu-socket or GPUEMU_SOCKET)"
        )


def check_owner(path: Path) -> None:
    """Raise ClientError unless path is a socket of this user's, in a folder where it stays so.
    FileNotFoundError where there is nothing."""
    found = path.stat()
    check_folder(path.parent)
    if not stat.S_ISSOCK(found.st_mode):
        raise ClientError(f"{path} is no socket; give the path of the daemon's socket")
    if found.st_uid != os.geteuid():
        raise ClientError(
            f"the socket {path} belongs to user {found.st_uid}, you are user {os.geteuid()}: refused, since "
            "its owner could read and answer everything; start a daemon of your own"
        )


def check_folder(folder: Path) -> None:
    """Raise ClientError where another user could put a socket of theirs in place of ours: the folder is
    theirs, or everybody may write to it and remove what others put there (no sticky bit, unlike /tmp)."""
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise ClientError(
            f"the folder {folder} of the socket belongs to user {found.st_uid}, you are user {os.geteuid()}: "
            "refused, since its owner could replace the socket; give a path in a folder of yours"
        )
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise ClientError(
            f"every user of this machine can write to {folder}: refused, since they could replace the "
            f"socket; chmod o-w {folder}, or give a path in a folder of yours"
        )


class Claim:
    """The right to listen at a path, held until close() or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Claim it, removing the socket of a daemon that died. Raises ClientError where one is alive."""
        check_length(path)
        self.path = path
        self._lock_path = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_folder(path.parent)
            self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ClientError(f"no daemon can listen at {path}: {error.strerror}: {error.filename}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(self._lock), os.stat(self._lock_path)):
                raise BlockingIOError  # another has removed this file and locked the next
            self._remove_stale()
        except (BlockingIOError, FileNotFoundError):
            os.close(self._lock)
            raise ClientError(_taken(path)) from None
        except ClientError:
            os.close(self._lock)
            raise

    def _remove_stale(self) -> None:
        try:
            check_owner(self.path)
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(os.fspath(self.path))
            except ConnectionRefusedError:
                self.path.unlink()
                return
        raise ClientError(_taken(self.path))

    def close(self) -> None:
        """Give the path back, and remove what lies at it."""
        self.path.unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)
        os.close(self._lock)


def _taken(path: Path) -> str:
    return (
        f"a daemon already listens at {path}; use it, end it with: gpuemu daemon stop --socket {path}, "
        "or give another path with --socket"
    )
