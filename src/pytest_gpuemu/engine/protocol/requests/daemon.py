"""Requests about the daemon itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Answered by Pong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """Answered by Ok; then the daemon ends."""


REQUESTS = (Ping, Shutdown)
