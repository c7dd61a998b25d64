"""Answers about the daemon itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pytest_gpuemu.engine.errors import StoreError
from pytest_gpuemu.engine.protocol import PROTOCOL_VERSION
from pytest_gpuemu.engine.protocol.requests.daemon import Ping, Shutdown
from pytest_gpuemu.engine.service.state import OK, Answer, State


class Daemon:
    def __init__(self, state: State, *, version: str, shut_down: Callable[[], None]) -> None:
        self._state = state
        self._version = version
        self._shut_down = shut_down
        self._started = time.monotonic()
        self.answers: dict[type[Any], Answer] = {Ping: self._ping, Shutdown: self._shutdown}

    def _ping(self, _: Ping, __: int) -> dict[str, Any]:
        config, store = self._state.config, self._state.store_or_error
        failed = isinstance(store, StoreError)
        return {
            "type": "Pong",
            "version": self._version,
            "protocol_version": PROTOCOL_VERSION,
            "uptime_secs": int(time.monotonic() - self._started),
            "config": None if config.path is None else str(config.path),
            "case_limit_s": config.op_timeout_s + config.reference_timeout_s,
            "store": None if failed else str(self._state.store.path),
            "store_error": str(store) if failed else None,
        }

    def _shutdown(self, _: Shutdown, __: int) -> dict[str, Any]:
        self._shut_down()
        return OK
