"""The plan of a case: all that a seed decides before a value is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

GENERATOR_VERSION = 1
MAX_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes, dtypes, layouts, value distributions and params of one case.

    dtype is that of every floating input without one of its own; the mappings are by input name
    (output_layouts by output name).
    """

    op_name: str
    seed: int
    edits: str = ""
    dims: Mapping[str, int]
    dtype: str
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    layouts: Mapping[str, str]
    values: Mapping[str, str]
    output_layouts: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    config: Any = None

    @property
    def case_id(self) -> str:
        """`seed`, or `seed~edits`: what is accepted wherever a seed is."""
        return f"{self.seed}~{self.edits}" if self.edits else str(self.seed)
