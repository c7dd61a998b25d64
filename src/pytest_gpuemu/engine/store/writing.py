"""The store as its writer has it: the daemon, and the commands that change it.

Here: what is written when. Elsewhere: what can be asked (reading.py), what goes again (pruning.py).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pytest_gpuemu.engine.store import pruning
from pytest_gpuemu.engine.store.opening import (
    FILE_NAME,
    errors,
    open_for_writing,
    prepare_folder,
    transaction,
)
from pytest_gpuemu.engine.store.reading import Reader
from pytest_gpuemu.engine.store.records import StoredCampaign, StoredFailure, StoredResult

T = TypeVar("T")


class Store(Reader):
    """The open store. Its methods may be called from several threads, and by several processes at once."""

    def __init__(self, folder: Path) -> None:
        """Open or create the store in a folder. Raises StoreError, and never overwrites what is not ours."""
        prepare_folder(folder)
        super().__init__(folder / FILE_NAME, open_for_writing(folder / FILE_NAME))
        self._writes = 0
        try:
            self._write(pruning.prune, 0)
        except BaseException:
            self.close()
            raise

    def add_results(self, results: Iterable[StoredResult]) -> None:
        """Store results; all of them are there when this returns, or none."""
        rows = [_result_row(result) for result in results]
        self._write(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO results (test_id, op, seed, edits, passed, timestamp, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            ),
            len(rows),
        )

    def add_failure(self, failure: StoredFailure, result: StoredResult) -> None:
        """Store a failure, and the same as a result."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO failures (test_id, op, seed, edits, timestamp, body, inputs) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (*_key(failure), failure.timestamp, _dump(failure.body), failure.inputs),
            )
            connection.execute(
                "INSERT OR REPLACE INTO results (test_id, op, seed, edits, passed, timestamp, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                _result_row(result),
            )

        self._write(write, 1)

    def forget(self, test_id: str, op: str, seed: int, edits: str = "") -> bool:
        """Remove a failure that passes now. Returns whether there was one."""
        key = (test_id, op, str(seed), edits)
        where = "WHERE test_id = ? AND op = ? AND seed = ? AND edits = ?"

        def write(connection: sqlite3.Connection) -> int:
            connection.execute(f"DELETE FROM results {where} AND passed = 0", key)
            return connection.execute(f"DELETE FROM failures {where}", key).rowcount

        return self._write(write, 1) > 0

    def store_baseline(self, tag: str) -> int:
        """Keep a copy of every result under a tag, replacing an earlier one of that tag. Returns how many."""

        def write(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM baselines WHERE tag = ?", (tag,))
            return connection.execute(
                "INSERT INTO baselines "
                "SELECT ?, test_id, op, seed, edits, passed, timestamp, body FROM results",
                (tag,),
            ).rowcount

        return self._write(write, 1)

    def remove_baseline(self, tag: str) -> int:
        """Remove the results kept under a tag. Returns how many there were."""
        return self._write(
            lambda connection: connection.execute("DELETE FROM baselines WHERE tag = ?", (tag,)).rowcount, 1
        )

    def add_campaign(self, campaign: StoredCampaign) -> None:
        """Store what a campaign came to: once, also where it is sent again after a restart of the daemon."""
        fields = {name: getattr(campaign, name) for name in StoredCampaign.__dataclass_fields__}
        fields["master_seed"] = str(campaign.master_seed)
        self._write(
            lambda connection: connection.execute(
                f"INSERT INTO campaigns ({', '.join(fields)}) SELECT {', '.join('?' * len(fields))} "
                "WHERE NOT EXISTS (SELECT 1 FROM campaigns WHERE test_id = ? AND timestamp = ?)",
                (*fields.values(), campaign.test_id, campaign.timestamp),
            ),
            1,
        )

    def note_issued(self, op: str, overrides: Mapping[int, Mapping[str, Any]]) -> None:
        """Remember the overrides that cases were handed out with, so that the seed alone names them."""
        self._write(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO issued (op, seed, overrides) VALUES (?, ?, ?)",
                [(op, str(seed), _dump(given)) for seed, given in overrides.items()],
            ),
            len(overrides),
        )

    def _write(self, write: Callable[[sqlite3.Connection], T], count: int) -> T:
        """Run write in a transaction of its own; every so many writes, prune in the next one."""
        with self._lock, errors(self.path):
            with transaction(self._connection) as connection:
                found = write(connection)
            self._writes += count
            if self._writes >= pruning.PRUNE_EVERY:
                self._writes = 0
                with transaction(self._connection) as connection:
                    pruning.prune(connection)
            return found


def _key(row: StoredResult | StoredFailure) -> tuple[str, str, str, str]:
    return row.test_id, row.op, str(row.seed), row.edits


def _result_row(result: StoredResult) -> tuple[Any, ...]:
    return (*_key(result), result.passed, result.timestamp, _dump(result.body))


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
