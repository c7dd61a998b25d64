"""The daemon's workers: persistent processes that build and judge cases, and run what gpuemu.toml names.

Here: the pool, its time limit, and replacing a worker that hung or died. Elsewhere: what a worker does
(jobs.py). A reference that crashes takes its worker with it, never the daemon.
"""

from __future__ import annotations

import queue
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.processes import how_it_ended, killed_after, last_words

FRAME = struct.Struct("<Q")
_START_S = 60.0


class Pool:
    """Up to `size` workers, each started when it is first needed. run() may be called from many threads."""

    def __init__(self, config: Path | None, root: Path, *, size: int, memory_mb: int) -> None:
        self._command = [sys.executable, "-m", "pytest_gpuemu.engine.jobs", str(memory_mb), str(root)]
        if config is not None:
            self._command.append(str(config))
        self._root = root
        self._free: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)
        self._all: set[_Worker] = set()

    def run(self, message: bytes, *, limit_s: float) -> bytes:
        """Let a worker answer a message (both in protocol 2). ReferenceFailed where it hung or died."""
        worker = self._free.get()
        try:
            if worker is not None and not worker.is_alive:
                self._all.discard(worker)  # it died between two messages
                worker = None
            if worker is None:
                worker = _Worker(self._command, self._root)
                self._all.add(worker)
            return worker.run(message, limit_s)
        except ReferenceFailed:
            if worker is not None:
                self._all.discard(worker)
            worker = None
            raise
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End every worker, busy or not."""
        for worker in list(self._all):
            worker.kill()


class _Worker:
    def __init__(self, command: list[str], root: Path) -> None:
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, cwd=root
        )
        self._is_ready = False

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def run(self, message: bytes, limit_s: float) -> bytes:
        late = threading.Event()
        if not self._is_ready:
            with killed_after(_START_S, self._process, late):
                self._is_ready = self._wait_until_ready()
        if self._is_ready:
            with killed_after(limit_s, self._process, late):
                answer = self._exchange(message)
            if answer is not None:
                return answer
        ended = how_it_ended(self._process)
        if late.is_set():
            raise ReferenceFailed(
                f"the reference took longer than {limit_s:g} s, and its process was replaced; "
                "reference_timeout_s under [validation] in gpuemu.toml sets the limit"
            )
        last = last_words(self._stderr)
        raise ReferenceFailed(
            f"the process that ran the reference {ended}, and was replaced\n{last}".rstrip()
        )

    def _wait_until_ready(self) -> bool:
        """The empty frame that a worker sends once it has loaded what it needs: no reference's time."""
        assert self._process.stdout is not None
        return len(self._process.stdout.read(FRAME.size)) == FRAME.size

    def _exchange(self, message: bytes) -> bytes | None:
        """None where the process ended before its answer was complete."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(FRAME.pack(len(message)))
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        head = self._process.stdout.read(FRAME.size)
        if len(head) < FRAME.size:
            return None
        (length,) = FRAME.unpack(head)
        body = self._process.stdout.read(length)
        return body if len(body) == length else None
