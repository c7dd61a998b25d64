"""One request, one reply: the way to the daemon.

Here: the Protocol that the client builds on, its pynng form, and the one place where an Error reply becomes a
ClientError. Elsewhere: what the messages hold (engine/protocol/).
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import pynng

from pytest_gpuemu.engine.errors import ClientError, ProtocolError
from pytest_gpuemu.engine.protocol import MAX_MESSAGE_BYTES, framing
from pytest_gpuemu.engine.sockets import check_length, check_owner, log_path

_A_DAY_MS = 24 * 60 * 60 * 1000
_BETWEEN_DIALS_S = 0.02
# A daemon that is restarted answers within this time (launch.py waits as long for it).
_RESTART_S = 20.0


class Transport(Protocol):
    """Sends a message and returns the reply, which may take more_ms longer than others. Raises ClientError
    where none comes."""

    def request(self, message: dict[str, Any], *, more_ms: int = 0) -> dict[str, Any]: ...

    def close(self) -> None: ...


class NngTransport:
    """A connection to the daemon at a Unix socket, made with the first request; threads may share it.

    While the daemon restarts, a request waits for it and is sent again: what it does must be repeatable, as
    all requests are.
    """

    def __init__(self, socket_path: Path, *, timeout_ms: int) -> None:
        self.socket_path = socket_path
        self._timeout_ms = timeout_ms
        self._lock = threading.Lock()
        self._socket: Any = None

    def request(self, message: dict[str, Any], *, more_ms: int = 0) -> dict[str, Any]:
        try:
            data = framing.encode(message, 2)
        except TypeError as error:
            raise ClientError(f"the {message['type']} request cannot be sent: {error}") from error
        if len(data) > MAX_MESSAGE_BYTES:
            raise ClientError(
                f"the {message['type']} request has {len(data)} bytes; the daemon reads at most "
                f"{MAX_MESSAGE_BYTES}"
            )
        socket, context = self._new_context(self._timeout_ms + more_ms)
        try:
            context.send(data)
            return framing.decode(context.recv())
        except pynng.exceptions.Closed:
            raise self._has_ended(message) from None
        except pynng.exceptions.Timeout:
            if self._give_up(socket):
                raise self._has_ended(message) from None
            raise ClientError(
                f"the daemon at {self.socket_path} did not answer {message['type']} within "
                f"{self._timeout_ms + more_ms} ms; Client(timeout_ms=...) waits longer"
            ) from None
        except (pynng.exceptions.NNGException, ProtocolError) as error:
            raise ClientError(
                f"the {message['type']} request to {self.socket_path} failed: {error}"
            ) from error
        finally:
            with suppress(pynng.exceptions.Closed):  # with its socket
                context.close()

    def close(self) -> None:
        with self._lock:
            socket, self._socket = self._socket, None  # before it closes: then nobody waits for it (_lost)
            if socket is not None:
                socket.close()

    def _new_context(self, timeout_ms: int) -> tuple[Any, Any]:
        """The socket, and a context for one request; it takes over the time-out that the socket has at this
        moment."""
        with self._lock:
            if self._socket is None:
                self._socket = self._dial()
            self._socket.recv_timeout = timeout_ms
            return self._socket, self._socket.new_context()

    def _give_up(self, socket: Any) -> bool:
        """Close a connection whose other end has gone, which ends the requests that wait; whether it has."""
        with self._lock:
            if socket.pipes:
                return False
            if self._socket is socket:
                self._socket = None
        socket.close()
        return True

    def _lost(self, socket: Any) -> None:
        """The other end has gone: a daemon that is restarted comes in its place soon, or none does."""
        if self._socket is socket:
            waiting = threading.Timer(_RESTART_S, self._give_up, [socket])
            waiting.daemon = True
            waiting.start()

    def _has_ended(self, message: dict[str, Any]) -> ClientError:
        log = log_path(self.socket_path)
        said = f" (its log: {log})" if log.exists() else ""
        return ClientError(
            f"the daemon at {self.socket_path} ended before it answered {message['type']}{said}, and none "
            "has started in its place; start one with: gpuemu daemon start"
        )

    def _dial(self) -> Any:
        check_length(self.socket_path)
        unreachable = ClientError(
            f"Cannot connect to daemon at {self.socket_path}: is it running? "
            "Start it with: gpuemu daemon start"
        )
        try:
            check_owner(self.socket_path)
        except (FileNotFoundError, NotADirectoryError):
            raise unreachable from None
        found = pynng.Req0()
        found.recv_timeout = found.send_timeout = self._timeout_ms
        found.recv_max_size = MAX_MESSAGE_BYTES + 2**20
        # Sent again on a new connection, never because an answer takes long: the daemon would do it twice.
        # (Without any resend time, nng gives up when the daemon dies.)
        found.resend_time = _A_DAY_MS
        found.add_post_pipe_remove_cb(lambda _: self._lost(found))
        patience = time.monotonic() + self._timeout_ms / 1000.0
        while True:
            try:
                found.dial(f"ipc://{self.socket_path}", block=True)
                return found
            except pynng.exceptions.TryAgain:  # more connections than the system queues wait for the daemon
                if time.monotonic() > patience:
                    found.close()
                    raise unreachable from None
                time.sleep(_BETWEEN_DIALS_S)
            except pynng.exceptions.NNGException:
                found.close()
                raise unreachable from None


def ask(transport: Transport, message: dict[str, Any], *expected: str, more_ms: int = 0) -> dict[str, Any]:
    """The reply to a message. ClientError, with the wire's code, for an Error or an unexpected type."""
    reply = transport.request(message, more_ms=more_ms)
    kind = reply.get("type")
    if kind == "Error":
        raise ClientError(str(reply.get("message", "unknown error")), code=str(reply.get("code")))
    if kind not in expected:
        raise ClientError(
            f"the daemon answered {message['type']} with {kind!r}, expected {' or '.join(expected)}: are "
            "client and daemon of one version?"
        )
    return reply
