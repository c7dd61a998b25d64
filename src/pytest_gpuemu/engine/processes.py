"""What every process of ours does at its start: end when its parent ends, stay within its memory."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time

_CHECK_EVERY_S = 0.2
_LAST_WORDS_S = 2.0


def end_with_parent() -> None:
    """End this process soon after its parent has ended, also when that was killed or this one is busy."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_CHECK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="end with parent").start()


def limit_memory(megabytes: int) -> None:
    """Bound the address space: a reference that takes too much gets a MemoryError, not the machine."""
    wanted = megabytes * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """How a process ended that has closed its pipes; it is killed where it has not ended by itself."""
    try:
        code = process.wait(_LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit status {code}"
