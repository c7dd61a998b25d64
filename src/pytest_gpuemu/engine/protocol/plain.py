"""Values of ours as JSON has them: the overrides of an op, the fields of a finding.

Nothing here imports NumPy: its scalars are known by their looks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def wire_overrides(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides of an op's record as JSON values that narrow_op reads back: (1, 300), which JSON would turn
    into two candidates, becomes {min, max}; what JSON cannot hold becomes its repr."""
    found = {key: plain(value) for key, value in overrides.items()}
    if isinstance(overrides.get("dims"), Mapping):
        found["dims"] = {
            name: {"min": sizes[0], "max": sizes[1]}
            if isinstance(sizes, tuple) and len(sizes) == 2
            else plain(sizes)
            for name, sizes in overrides["dims"].items()
        }
    return found


def plain(value: Any) -> Any:
    """The value as JSON has it; what JSON cannot hold by its name or its repr."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(found) for key, found in value.items()}
    if isinstance(value, (list, tuple, range, set, frozenset)):
        return [plain(found) for found in value]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():  # a NumPy scalar
        return item()
    return getattr(value, "__name__", None) or repr(value)
