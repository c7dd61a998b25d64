"""The store: results, failures and baselines in one SQLite file, `.gpuemu/gpuemu.db`.

Here: the tables, what is written when, and what is pruned. Elsewhere: who asks for it (server.py in the
daemon, which alone writes), the messages (protocol/).

Rows are keyed by (test id, op, seed, edits); a newer result of a key replaces the older. Seeds are unsigned
64-bit numbers, which SQLite's integers cannot hold: they are stored as decimal text.

Durability: journal_mode is WAL and synchronous is NORMAL. A method that writes returns after its commit, when
the operating system has the data: it survives `kill -9` of every process. After a power cut the newest
commits may be missing; the file is sound in either case.

Pruning: beyond KEPT_PASSED passing results the oldest go, at the opening and every PRUNE_EVERY writes.
Failures go only when their test passes them (forget) or a newer failure of the same key replaces them.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pytest_gpuemu.engine.errors import StoreError

FILE_NAME = "gpuemu.db"
VERSION = 1
KEPT_PASSED = 10_000
KEPT_ISSUED = 10_000
PRUNE_EVERY = 1_000
_APPLICATION_ID = 0x67507545
_BUSY_S = 10.0

_TABLES = """
CREATE TABLE results (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id TEXT NOT NULL, op TEXT NOT NULL, seed TEXT NOT NULL, edits TEXT NOT NULL,
    passed INTEGER NOT NULL, timestamp REAL NOT NULL, body TEXT NOT NULL,
    UNIQUE (test_id, op, seed, edits)
);
CREATE INDEX results_by_seed ON results (seed);
CREATE TABLE failures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id TEXT NOT NULL, op TEXT NOT NULL, seed TEXT NOT NULL, edits TEXT NOT NULL,
    timestamp REAL NOT NULL, body TEXT NOT NULL, inputs BLOB,
    UNIQUE (test_id, op, seed, edits)
);
CREATE INDEX failures_by_seed ON failures (seed);
CREATE TABLE baselines (
    tag TEXT NOT NULL, test_id TEXT NOT NULL, op TEXT NOT NULL, seed TEXT NOT NULL, edits TEXT NOT NULL,
    passed INTEGER NOT NULL, timestamp REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tag, test_id, op, seed, edits)
);
CREATE TABLE issued (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    op TEXT NOT NULL, seed TEXT NOT NULL, overrides TEXT NOT NULL,
    UNIQUE (op, seed)
);
"""

T = TypeVar("T")


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


def known_failures(path: Path) -> list[KnownFailure]:
    """The failing cases that a store knows, oldest first, read without a daemon and without writing.

    path is the file or its folder; where there is none, nothing is known. Raises StoreError.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.exists():
        return []
    with _errors(file), closing(_open_readonly(file)) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0 and not _has_tables(connection):
            return []
        _check_version(connection, file)
        rows = connection.execute("SELECT test_id, op, seed, edits FROM failures ORDER BY id").fetchall()
    return [KnownFailure(test_id=t, op=o, seed=int(s), edits=e) for t, o, s, e in rows]


class Store:
    """The open store, for the daemon. Its methods may be called from several threads."""

    def __init__(self, folder: Path) -> None:
        """Open or create the store in a folder. Raises StoreError, and never overwrites what is not ours."""
        self.path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._writes = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            ignore = folder / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise StoreError(
                f"{folder}: cannot hold the store: {error.strerror}; make it writable, or run elsewhere"
            ) from None
        with _errors(self.path):
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        self._connection.execute("PRAGMA foreign_keys = ON")
        if not _has_tables(self._connection):
            with self._transaction() as connection:
                if not _has_tables(connection):  # another daemon may have been first
                    for statement in filter(str.strip, _TABLES.split(";")):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version = {VERSION}")
        _check_version(self._connection, self.path)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._prune()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

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

    def results(self, limit: int) -> list[StoredResult]:
        """The newest results, newest first."""
        return self._results("", (), limit)

    def failure(self, seed: int, op: str | None = None, edits: str | None = None) -> StoredFailure | None:
        """The newest failure of a seed (of that op and those edits, where given)."""
        found = self._failures(
            "WHERE seed = ? AND (? IS NULL OR op = ?) AND (? IS NULL OR edits = ?)",
            (str(seed), op, op, edits, edits),
            1,
        )
        return found[0] if found else None

    def failures(self, limit: int) -> list[StoredFailure]:
        """The newest failures, newest first."""
        return self._failures("", (), limit)

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

    def baseline(self, tag: str) -> list[StoredResult]:
        """The results kept under a tag."""
        rows = self._read(
            "SELECT test_id, op, seed, edits, passed, timestamp, body FROM baselines WHERE tag = ?", (tag,)
        )
        return [_result(row) for row in rows]

    def note_issued(self, op: str, overrides: Mapping[int, Mapping[str, Any]]) -> None:
        """Remember the overrides that cases were handed out with, so that the seed alone names them."""
        self._write(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO issued (op, seed, overrides) VALUES (?, ?, ?)",
                [(op, str(seed), _dump(given)) for seed, given in overrides.items()],
            ),
            len(overrides),
        )

    def issued(self, op: str, seed: int) -> dict[str, Any] | None:
        """The overrides that the case was last handed out with, or None where it never was."""
        rows = self._read("SELECT overrides FROM issued WHERE op = ? AND seed = ?", (op, str(seed)))
        return dict(json.loads(rows[0][0])) if rows else None

    def _results(self, where: str, arguments: Sequence[Any], limit: int) -> list[StoredResult]:
        rows = self._read(
            "SELECT test_id, op, seed, edits, passed, timestamp, body FROM results "
            f"{where} ORDER BY id DESC LIMIT ?",
            (*arguments, limit),
        )
        return [_result(row) for row in rows]

    def _failures(self, where: str, arguments: Sequence[Any], limit: int) -> list[StoredFailure]:
        rows = self._read(
            "SELECT test_id, op, seed, edits, timestamp, body, inputs FROM failures "
            f"{where} ORDER BY id DESC LIMIT ?",
            (*arguments, limit),
        )
        return [
            StoredFailure(
                test_id=t, op=o, seed=int(s), edits=e, timestamp=at, body=json.loads(body), inputs=inputs
            )
            for t, o, s, e, at, body, inputs in rows
        ]

    def _read(self, query: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._lock, _errors(self.path):
            return self._connection.execute(query, arguments).fetchall()

    def _write(self, write: Callable[[sqlite3.Connection], T], count: int) -> T:
        with self._lock, _errors(self.path):
            with self._transaction() as connection:
                found = write(connection)
            self._writes += count
            if self._writes >= PRUNE_EVERY:
                self._writes = 0
                self._prune()
            return found

    def _prune(self) -> None:
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM results WHERE passed AND id NOT IN "
                "(SELECT id FROM results WHERE passed ORDER BY id DESC LIMIT ?)",
                (KEPT_PASSED,),
            )
            connection.execute(
                "DELETE FROM issued WHERE id NOT IN (SELECT id FROM issued ORDER BY id DESC LIMIT ?)",
                (KEPT_ISSUED,),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _key(row: StoredResult | StoredFailure) -> tuple[str, str, str, str]:
    return row.test_id, row.op, str(row.seed), row.edits


def _result_row(result: StoredResult) -> tuple[Any, ...]:
    return (*_key(result), result.passed, result.timestamp, _dump(result.body))


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


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _open_readonly(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _check_version(connection: sqlite3.Connection, file: Path) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION_ID:
        raise StoreError(
            f"{file}: is an SQLite file of another program, and is left as it is; {_aside(file)}"
        )
    if version != VERSION:
        raise StoreError(
            f"{file}: has store version {version}, this pytest-gpuemu reads version {VERSION}, and it is "
            f"left as it is; use the pytest-gpuemu that wrote it, or {_aside(file)}"
        )


def _aside(file: Path) -> str:
    return f"move it aside to start a new one: mv {file} {file}.old"


@contextmanager
def _errors(file: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreErrors that name the file and the way out."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "readonly" in text or "unable to open" in text:
            way = "make the file and its folder readable and writable for you"
        elif "full" in text:
            way = "free some disk space; nothing that was stored before is lost"
        elif "locked" in text or "busy" in text:
            way = "another process holds it; end that one and try again"
        else:
            way = "it is left as it is; check the disk"
        raise StoreError(f"{file}: {text}: {way}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"{file}: cannot be read as a store ({error}), and is left as it is; {_aside(file)}"
        ) from error
