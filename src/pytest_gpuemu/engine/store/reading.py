"""What can be asked of the store: results, failures, baselines, campaigns.

Here: the queries, on a connection of any kind, and a store opened only to be read, with no daemon. Elsewhere:
writing (writing.py).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.store.opening import errors, file_in, open_for_reading
from pytest_gpuemu.engine.store.records import (
    BaselineTag,
    KnownFailure,
    StoredCampaign,
    StoredFailure,
    StoredResult,
)
from pytest_gpuemu.engine.store.tables import version_of

_RESULT = "test_id, op, seed, edits, passed, timestamp, body"
_FAILURE = "test_id, op, seed, edits, timestamp, body, inputs"
_CAMPAIGN = (
    "test_id, op, master_seed, generator, cases, passed, failed, undetermined, could_not_run, wall_s, "
    "timestamp"
)


class Reader:
    """An open store, as far as it can be read. Its methods may be called from several threads."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def result(self, seed: int, op: str | None = None) -> StoredResult | None:
        """The newest result of a seed (of that op, where it is given)."""
        found = self._results("WHERE seed = ? AND (? IS NULL OR op = ?)", (str(seed), op, op), 1)
        return found[0] if found else None

    def result_of(self, test_id: str, op: str, seed: int, edits: str) -> StoredResult | None:
        """The result of exactly this key."""
        found = self._results(
            "WHERE test_id = ? AND op = ? AND seed = ? AND edits = ?", (test_id, op, str(seed), edits), 1
        )
        return found[0] if found else None

    def results(self, limit: int, *, op: str | None = None) -> list[StoredResult]:
        """The newest results (of that op, where it is given), newest first."""
        return self._results("WHERE (? IS NULL OR op = ?)", (op, op), limit)

    def failure(self, seed: int, op: str | None = None, edits: str | None = None) -> StoredFailure | None:
        """The newest failure of a seed (of that op and those edits, where given)."""
        found = self._failures(
            "WHERE seed = ? AND (? IS NULL OR op = ?) AND (? IS NULL OR edits = ?)",
            (str(seed), op, op, edits, edits),
            1,
        )
        return found[0] if found else None

    def failures(self, limit: int, *, op: str | None = None) -> list[StoredFailure]:
        """The newest failures (of that op, where it is given), newest first."""
        return self._failures("WHERE (? IS NULL OR op = ?)", (op, op), limit)

    def baseline(self, tag: str) -> list[StoredResult]:
        """The results kept under a tag."""
        return [_result(row) for row in self._read(f"SELECT {_RESULT} FROM baselines WHERE tag = ?", (tag,))]

    def baseline_tags(self) -> list[BaselineTag]:
        """The tags that results are kept under, in the order of their names."""
        rows = self._read("SELECT tag, count(*), max(timestamp) FROM baselines GROUP BY tag ORDER BY tag", ())
        return [BaselineTag(tag=tag, results=count, timestamp=newest) for tag, count, newest in rows]

    def campaigns(self, limit: int, *, op: str | None = None) -> list[StoredCampaign]:
        """The newest campaigns (of that op, where it is given), newest first."""
        if version_of(self._connection) < 2:
            return []
        rows = self._read(
            f"SELECT {_CAMPAIGN} FROM campaigns WHERE (? IS NULL OR op = ?) ORDER BY id DESC LIMIT ?",
            (op, op, limit),
        )
        names = _CAMPAIGN.split(", ")
        return [
            StoredCampaign(**{**dict(zip(names, row, strict=True)), "master_seed": int(row[2])})
            for row in rows
        ]

    def issued(self, op: str, seed: int) -> dict[str, Any] | None:
        """The overrides that the case was last handed out with, or None where it never was."""
        rows = self._read("SELECT overrides FROM issued WHERE op = ? AND seed = ?", (op, str(seed)))
        return dict(json.loads(rows[0][0])) if rows else None

    def known_failures(self) -> list[KnownFailure]:
        """The keys of all failures, oldest first."""
        rows = self._read("SELECT test_id, op, seed, edits FROM failures ORDER BY id", ())
        return [KnownFailure(test_id=t, op=o, seed=int(s), edits=e) for t, o, s, e in rows]

    def _results(self, where: str, arguments: Sequence[Any], limit: int) -> list[StoredResult]:
        rows = self._read(
            f"SELECT {_RESULT} FROM results {where} ORDER BY id DESC LIMIT ?", (*arguments, limit)
        )
        return [_result(row) for row in rows]

    def _failures(self, where: str, arguments: Sequence[Any], limit: int) -> list[StoredFailure]:
        rows = self._read(
            f"SELECT {_FAILURE} FROM failures {where} ORDER BY id DESC LIMIT ?", (*arguments, limit)
        )
        return [
            StoredFailure(
                test_id=t, op=o, seed=int(s), edits=e, timestamp=at, body=json.loads(body), inputs=inputs
            )
            for t, o, s, e, at, body, inputs in rows
        ]

    def _read(self, query: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock, errors(self.path):
            return self._connection.execute(query, arguments).fetchall()


@contextmanager
def reading(path: Path) -> Iterator[Reader | None]:
    """A store opened to be read, by its file or folder; None where there is none. Raises StoreError."""
    file = file_in(path)
    connection = open_for_reading(file) if file.exists() else None
    if connection is None:
        yield None
        return
    with closing(Reader(file, connection)) as reader:
        yield reader


def known_failures(path: Path) -> list[KnownFailure]:
    """The failing cases that a store knows, oldest first, read without a daemon and without writing.

    path is the file or its folder; where there is none, nothing is known. Raises StoreError.
    """
    with reading(path) as reader:
        return [] if reader is None else reader.known_failures()


def _result(row: tuple[Any, ...]) -> StoredResult:
    test_id, op, seed, edits, passed, timestamp, body = row
    return StoredResult(
        test_id=test_id,
        op=op,
        seed=int(seed),
        edits=edits,
        passed=bool(passed),
        timestamp=timestamp,
        body=json.loads(body),
    )
