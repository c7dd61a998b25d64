"""Invariants: what every output of an op fulfils, whatever its reference says."""

from __future__ import annotations

from typing import Any

from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.op import Invariant


def parse_invariant(given: Any) -> Invariant:
    """Read an invariant given as text (`within(0, 1)`) or as a callable. Raises ConfigError."""
    raise ConfigError(f"{given!r} is not an invariant")
