"""The second import name: `from gpuemu import Client` gives what `pytest_gpuemu` exports."""

from __future__ import annotations

from typing import Any

import pytest_gpuemu
from pytest_gpuemu import __all__ as __all__


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(pytest_gpuemu, name)


def __dir__() -> list[str]:
    return __all__
