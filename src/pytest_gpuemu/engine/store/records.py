"""What the store keeps, as data classes. Elsewhere: the tables that hold them (tables.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResult:
    """One result. body is its wire form: failures, error_stats, repro_info and so on."""

    test_id: str
    op: str
    seed: int
    edits: str = ""
    passed: bool
    timestamp: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFailure:
    """One failure. body holds the fields of verdict.Failure beyond the key; inputs a snapshot of the arrays
    where they were a caller's own, else None: the seed rebuilds them."""

    test_id: str
    op: str
    seed: int
    edits: str = ""
    timestamp: float
    body: Mapping[str, Any]
    inputs: bytes | None = None

    @property
    def case_id(self) -> str:
        return f"{self.seed}~{self.edits}" if self.edits else str(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFailure:
    """The key of a stored failure."""

    test_id: str
    op: str
    seed: int
    edits: str

    @property
    def case_id(self) -> str:
        return f"{self.seed}~{self.edits}" if self.edits else str(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCampaign:
    """One campaign that has ended: its master seed, and what its cases came to."""

    test_id: str
    op: str
    master_seed: int
    generator: int
    cases: int
    passed: int
    failed: int
    undetermined: int
    could_not_run: int
    wall_s: float
    timestamp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTag:
    """A tag that results were kept under: how many, and when the newest of them was found."""

    tag: str
    results: int
    timestamp: float
