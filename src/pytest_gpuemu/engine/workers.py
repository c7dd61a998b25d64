"""The daemon's workers: persistent processes that judge cases and run what gpuemu.toml names.

Here: the pool, its time limit, and replacing a worker that hung or died. Elsewhere: what the workers do
(jobs/ judges and runs references, op_host.py runs ops under test). What crashes takes its worker with it,
never the daemon.
"""

from __future__ import annotations

import queue
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pytest_gpuemu.engine.errors import WorkerLost
from pytest_gpuemu.engine.processes import how_it_ended, killed_after, last_words

FRAME = struct.Struct("<Q")
# A frame's length has this bit where it is a question that the worker asks before it can answer.
QUESTION = 2**63
JUDGES = "pytest_gpuemu.engine.jobs"
OPS = "pytest_gpuemu.engine.op_host"
_START_S = 60.0


class Pool:
    """Up to `size` workers that run one module, each started when it is first needed. run() may be called
    from many threads."""

    def __init__(self, module: str, config: Path | None, root: Path, *, size: int, memory_mb: int) -> None:
        self._command = [sys.executable, "-m", module, str(memory_mb), str(root)]
        if config is not None:
            self._command.append(str(config))
        self._root = root
        self._free: queue.LifoQueue[_Worker | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)
        self._all: set[_Worker] = set()

    def run(self, message: bytes, *, limit_s: float, answer: Callable[[bytes], bytes] | None = None) -> bytes:
        """Let a worker answer a message (both in protocol 2). WorkerLost where it hung or died.

        answer replies to what the worker asks meanwhile; each stretch of the worker's own has limit_s.
        """
        worker = self._free.get()
        try:
            if worker is not None and not worker.is_alive:
                self._drop(worker)  # it died between two messages
                worker = None
            if worker is None:
                worker = _Worker(self._command, self._root)
                self._all.add(worker)
            return worker.run(message, limit_s, answer)
        except BaseException:
            # Also where answer raised: the worker still waits for it, and would take the next job for it.
            if worker is not None:
                self._drop(worker)
            worker = None
            raise
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End every worker, busy or not."""
        for worker in list(self._all):
            worker.kill()

    def _drop(self, worker: _Worker) -> None:
        self._all.discard(worker)
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

    def run(self, message: bytes, limit_s: float, answer: Callable[[bytes], bytes] | None) -> bytes:
        late = threading.Event()
        if not self._is_ready:
            with killed_after(_START_S, self._process, late):
                self._is_ready = self._wait_until_ready()
        while self._is_ready:
            with killed_after(limit_s, self._process, late):
                found = self._exchange(message)
            if found is None:
                break
            is_question, body = found
            if not is_question:
                return body
            assert answer is not None
            message = answer(body)
        ended = how_it_ended(self._process)
        if late.is_set():
            raise WorkerLost(f"took longer than {limit_s:g} s, and its process was replaced", is_late=True)
        last = last_words(self._stderr)
        raise WorkerLost(
            f"took its process with it, which {ended}, and was replaced\n{last}".rstrip(), is_late=False
        )

    def _wait_until_ready(self) -> bool:
        """The empty frame that a worker sends once it has loaded what it needs: no job's time."""
        assert self._process.stdout is not None
        return len(self._process.stdout.read(FRAME.size)) == FRAME.size

    def _exchange(self, message: bytes) -> tuple[bool, bytes] | None:
        """Whether the worker asks, and what it says; None where it ended before that was complete."""
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
        is_question = bool(length & QUESTION)
        length &= ~QUESTION
        body = self._process.stdout.read(length)
        return (is_question, body) if len(body) == length else None
