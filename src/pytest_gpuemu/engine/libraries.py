"""Array libraries that need not be installed: importing one, and telling its arrays without importing it."""

from __future__ import annotations

import sys
from typing import Any

from pytest_gpuemu.engine.errors import CannotRunHere


def import_library(library: str) -> Any:
    """The module. Raises CannotRunHere where it is not installed."""
    try:
        return __import__(library)
    except ImportError as error:
        raise CannotRunHere(f"{library} is not installed here: {error}") from error


def is_instance_of(x: Any, library: str, name: str) -> bool:
    """isinstance without importing the library: what it made cannot exist before it is imported."""
    module = sys.modules.get(library)
    cls = getattr(module, name, None)
    return isinstance(cls, type) and isinstance(x, cls)
