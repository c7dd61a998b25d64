"""The daemon's request loop: many clients at once, on one Unix socket.

Here: threads that each receive, answer and send, and the last resort for what nobody expected. Elsewhere: the
answers (service.py), starting and ending the process (__main__.py).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pynng

from pytest_gpuemu.engine.protocol import MAX_MESSAGE_BYTES
from pytest_gpuemu.engine.service import internal_error

# A thread waits while its worker judges: more threads than workers, so that a store request need not wait.
_THREADS = 16
# A reply waits behind one that its client does not read, and its thread with it: for so long at most.
_SEND_TIMEOUT_MS = 5_000
log = logging.getLogger("gpuemu.daemon")


class Server:
    """Listens from its construction on, and answers from start() on."""

    def __init__(self, path: Path) -> None:
        self._socket = pynng.Rep0()
        self._socket.recv_max_size = MAX_MESSAGE_BYTES + 2**20
        self._socket.send_timeout = _SEND_TIMEOUT_MS
        before = os.umask(0o177)  # the socket's mode is 0600 from its first moment
        try:
            self._socket.listen(f"ipc://{path}")
        finally:
            os.umask(before)
        self._contexts = [self._socket.new_context() for _ in range(_THREADS)]

    def start(self, answer: Callable[[bytes], bytes]) -> None:
        """Answer requests, each on one of several threads."""
        for number, context in enumerate(self._contexts):
            name = f"requests {number}"
            threading.Thread(target=_serve, args=(context, answer), name=name, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        for context in self._contexts:
            context.close()
        self._socket.close()


def _serve(context: pynng.Context, answer: Callable[[bytes], bytes]) -> None:
    while True:
        try:
            data = context.recv()
        except pynng.exceptions.Closed:
            return
        try:
            reply = answer(data)
        except Exception:
            log.exception("a request of %d bytes failed", len(data))
            reply = internal_error(data)
        try:
            context.send(reply)
        except pynng.exceptions.Closed:
            return
        except pynng.exceptions.NNGException as error:  # the client has gone, or does not read
            log.info("a reply of %d bytes was not delivered: %s", len(reply), error)
