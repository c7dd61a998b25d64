"""The journal: which case a process is running, written before the kernel gets it.

A crash of the process (a segmentation fault, `os._exit`, kill -9) leaves the record behind, and the next
reader names the test and the seed. Here: writing one record per process, and reading what dead processes
left. Elsewhere: turning it into a failure or a line of the report (pytest_items).

One file a process, held under an exclusive lock that the system releases when the process ends, however it
ends. The file is written with one `pwrite` a call: the kernel of the operating system has it then, so the
record outlives the process (not a power cut, which no kernel under test causes).
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

_RUNNING, _IDLE = b"R", b"I"
_HEADER = struct.Struct("<cII")
_MAX_TEXT = 2**20


@dataclass(frozen=True, slots=True)
class Leftover:
    """The case that a process was running when it died. path is its journal, to be unlinked when told."""

    test_id: str
    case_id: str
    path: Path


class Journal:
    """The journal of this process, in a folder. Costs a system call for begin() and one for end()."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor, name = tempfile.mkstemp(prefix=f"{os.getpid()}-", suffix=".journal", dir=folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)  # a reader took it for a dead process's before the lock was ours
        self.path = Path(name)
        self._descriptor = descriptor

    def begin(self, test_id: str, case_id: str) -> None:
        """Note that this case is about to run. test_id may be any text; both are kept in full."""
        test, case = test_id.encode("utf-8", "surrogateescape"), case_id.encode()
        os.pwrite(self._descriptor, _HEADER.pack(_RUNNING, len(test), len(case)) + test + case, 0)

    def end(self) -> None:
        """Note that the case has ended, whatever its verdict."""
        os.pwrite(self._descriptor, _IDLE, 0)

    def close(self) -> None:
        """End the journal; an orderly end leaves no file."""
        if self._descriptor >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def leftovers(folder: Path) -> list[Leftover]:
    """The cases that processes were running when they died, oldest first. Journals of dead processes that
    ran nothing are removed; those of living processes are left alone."""
    found = []
    for path in sorted(folder.glob("*.journal"), key=_age):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            record = _read(descriptor)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        if record is None:
            path.unlink(missing_ok=True)
        else:
            found.append(Leftover(*record, path))
    return found


def _age(path: Path) -> tuple[float, str]:
    try:
        return path.stat().st_mtime, path.name
    except FileNotFoundError:
        return 0.0, path.name


def _read(descriptor: int) -> tuple[str, str] | None:
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        return None
    state, test_length, case_length = _HEADER.unpack(header)
    if state != _RUNNING or max(test_length, case_length) > _MAX_TEXT:
        return None
    body = os.pread(descriptor, test_length + case_length, _HEADER.size)
    if len(body) < test_length + case_length:
        return None
    test, case = body[:test_length], body[test_length:]
    return test.decode("utf-8", "surrogateescape"), case.decode("utf-8", "replace")
