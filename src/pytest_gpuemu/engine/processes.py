"""Our processes: what each does at its start, and what is asked of one that is waited for.

Here: ending with the parent, staying within its memory; a time limit, how it ended, its last words.
Elsewhere: what is said to the processes that run references and ops (workers.py, scripts.py).
"""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_CHECK_EVERY_S = 0.2
_LAST_WORDS_S = 2.0
_KEPT_STDERR = 4000


def end_with_parent() -> None:
    """End this process soon after its parent has ended, also when that was killed or this one is busy."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_CHECK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


def limit_memory(megabytes: int, *, kind: int = resource.RLIMIT_AS) -> None:
    """Bound the address space, or what else a kind of limit counts: code that takes too much gets a
    MemoryError, not the machine.

    RLIMIT_DATA counts the memory that can be written: CUDA reserves far more addresses than any machine has
    memory, and never writes to most of them.
    """
    wanted = megabytes * 2**20
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(kind, (wanted, hard))


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """How a process ended that has closed its pipes; it is killed where it has not ended by itself."""
    try:
        code = process.wait(_LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"


@contextmanager
def killed_after(limit_s: float, process: subprocess.Popen[bytes], late: threading.Event) -> Iterator[None]:
    """Kill the process, and set late, where the block takes longer: reading from its pipes then ends."""

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(limit_s, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def last_words(stderr: IO[bytes]) -> str:
    """The end of what a process wrote to the file that is its stderr."""
    stderr.seek(0, 2)
    stderr.seek(max(0, stderr.tell() - _KEPT_STDERR))
    return stderr.read().decode(errors="replace")
