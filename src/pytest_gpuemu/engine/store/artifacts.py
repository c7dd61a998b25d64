"""Artifacts and baselines in the store: a kernel's newest PTX with its metrics, and what is kept under a tag.

Here: what is written and asked for, as functions of an open store. Elsewhere: the tables (tables.py), the
data classes (engine/baselines/data.py), results kept under a tag (writing.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_gpuemu.engine.store.reading import Reader
from pytest_gpuemu.engine.store.tables import version_of
from pytest_gpuemu.engine.store.writing import Store

_SINCE = 3  # the version of the tables that has artifacts
_KEPT = "kernel, arch, ptx_digest, timestamp, metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArtifact:
    """The newest artifact of a kernel for one architecture; metrics are plain (plain_reports.py)."""

    kernel: str
    arch: str
    ptx_digest: str
    origin: str
    source: str
    timestamp: float
    metrics: Mapping[str, Any]
    ptx: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptArtifact:
    """What is kept of an artifact under a tag."""

    kernel: str
    arch: str
    ptx_digest: str
    timestamp: float
    metrics: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptNumbers:
    """The largest errors that are kept under a tag; body is plain (engine/baselines/file.py)."""

    test_id: str
    op: str
    dtype: str
    timestamp: float
    body: Mapping[str, Any]


def add_artifact(store: Store, artifact: StoredArtifact) -> None:
    """Store an artifact in place of the kernel's older one for that architecture."""
    fields = {name: getattr(artifact, name) for name in StoredArtifact.__dataclass_fields__}
    fields["metrics"] = _dump(artifact.metrics)
    store._write(
        lambda connection: connection.execute(
            f"INSERT OR REPLACE INTO artifacts ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})",
            tuple(fields.values()),
        ),
        1,
    )


def artifacts(
    store: Reader, limit: int, *, kernel: str | None = None, arch: str | None = None
) -> list[StoredArtifact]:
    """The newest artifacts (of that kernel and architecture, where given), newest first."""
    if version_of(store._connection) < _SINCE:
        return []
    names = tuple(StoredArtifact.__dataclass_fields__)
    rows = store._read(
        f"SELECT {', '.join(names)} FROM artifacts "
        "WHERE (? IS NULL OR kernel = ?) AND (? IS NULL OR arch = ?) ORDER BY id DESC LIMIT ?",
        (kernel, kernel, arch, arch, limit),
    )
    made = [dict(zip(names, row, strict=True)) for row in rows]
    return [StoredArtifact(**{**fields, "metrics": json.loads(fields["metrics"])}) for fields in made]


def keep_artifacts(store: Store, tag: str, *, kernel: str | None = None, arch: str | None = None) -> int:
    """Keep the metrics of the stored artifacts (of that kernel and architecture, where given) under a tag,
    each in place of an earlier one. Returns how many."""

    def write(connection: sqlite3.Connection) -> int:
        return connection.execute(
            f"INSERT OR REPLACE INTO artifact_baselines (tag, {_KEPT}) SELECT ?, {_KEPT} FROM artifacts "
            "WHERE (? IS NULL OR kernel = ?) AND (? IS NULL OR arch = ?)",
            (tag, kernel, kernel, arch, arch),
        ).rowcount

    return store._write(write, 1)


def kept_artifacts(store: Reader, tag: str) -> list[KeptArtifact]:
    """The artifacts kept under a tag, by kernel and architecture."""
    if version_of(store._connection) < _SINCE:
        return []
    rows = store._read(f"SELECT {_KEPT} FROM artifact_baselines WHERE tag = ? ORDER BY kernel, arch", (tag,))
    return [
        KeptArtifact(kernel=k, arch=a, ptx_digest=d, timestamp=at, metrics=json.loads(m))
        for k, a, d, at, m in rows
    ]


def keep_numbers(store: Store, tag: str, numbers: KeptNumbers) -> None:
    """Keep a campaign's largest errors under a tag, in place of earlier ones."""
    store._write(
        lambda connection: connection.execute(
            "INSERT OR REPLACE INTO numerical_baselines (tag, test_id, op, dtype, timestamp, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (tag, numbers.test_id, numbers.op, numbers.dtype, numbers.timestamp, _dump(numbers.body)),
        ),
        1,
    )


def kept_numbers(store: Reader, tag: str) -> list[KeptNumbers]:
    """The largest errors kept under a tag, by test, op and dtype."""
    if version_of(store._connection) < _SINCE:
        return []
    rows = store._read(
        "SELECT test_id, op, dtype, timestamp, body FROM numerical_baselines WHERE tag = ? "
        "ORDER BY test_id, op, dtype",
        (tag,),
    )
    return [
        KeptNumbers(test_id=t, op=o, dtype=d, timestamp=at, body=json.loads(body))
        for t, o, d, at, body in rows
    ]


def remove_kept(store: Store, tag: str) -> int:
    """Remove the artifacts and errors kept under a tag. Returns how many there were."""

    def write(connection: sqlite3.Connection) -> int:
        return sum(
            connection.execute(f"DELETE FROM {table} WHERE tag = ?", (tag,)).rowcount
            for table in ("artifact_baselines", "numerical_baselines")
        )

    return store._write(write, 1)


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
