"""The client: talks to a daemon over its socket, and the data classes that it returns.

client.py: Client; judging.py, cases.py, fuzzing.py, stored.py, minimizing.py: its methods, by family.
data.py: what they return. transport.py: the connection. launch.py and recorder.py: the daemon of a pytest
session. Loaded when first asked for: starting a daemon needs no NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gpuemu.client.client import Client
    from pytest_gpuemu.client.data import (
        BaselineComparison,
        FailureDescription,
        FuzzResults,
        MinimizeResult,
        Pong,
        ReproduceResult,
        ReproductionInfo,
        Timestamp,
        ValidationResult,
    )
    from pytest_gpuemu.engine.errors import ClientError

_HOMES = {
    "Client": "pytest_gpuemu.client.client",
    "ClientError": "pytest_gpuemu.engine.errors",
    "BaselineComparison": "pytest_gpuemu.client.data",
    "FailureDescription": "pytest_gpuemu.client.data",
    "FuzzResults": "pytest_gpuemu.client.data",
    "MinimizeResult": "pytest_gpuemu.client.data",
    "Pong": "pytest_gpuemu.client.data",
    "ReproduceResult": "pytest_gpuemu.client.data",
    "ReproductionInfo": "pytest_gpuemu.client.data",
    "Timestamp": "pytest_gpuemu.client.data",
    "ValidationResult": "pytest_gpuemu.client.data",
}
__all__ = [
    "BaselineComparison",
    "Client",
    "ClientError",
    "FailureDescription",
    "FuzzResults",
    "MinimizeResult",
    "Pong",
    "ReproduceResult",
    "ReproductionInfo",
    "Timestamp",
    "ValidationResult",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
