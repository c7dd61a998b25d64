"""Opening the store's file: whose it is, which version, and what is said where it cannot be used.

Here: the connections for writing and for reading, and SQLite's errors as StoreErrors. Elsewhere: the tables
(tables.py). A file that is not ours, is damaged or is of a newer version is left as it is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_gpuemu.engine.errors import StoreError
from pytest_gpuemu.engine.store.tables import VERSION, migrate, version_of

FILE_NAME = "gpuemu.db"
_APPLICATION_ID = 0x67507545
_BUSY_S = 10.0
_LOCKED_S = 0.01


def file_in(path: Path) -> Path:
    """The store's file, given itself or its folder."""
    return path / FILE_NAME if path.is_dir() else path


def prepare_folder(folder: Path) -> None:
    """Make the folder, with a .gitignore that keeps it out of repositories. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot hold the store: {error.strerror}; make it writable, or run elsewhere"
        ) from None


def open_for_writing(file: Path) -> sqlite3.Connection:
    """Open or create a store, and bring its tables to this version. Raises StoreError."""
    with errors(file):
        connection = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _patiently(lambda: _prepare(connection, file))
        except BaseException:
            connection.close()
            raise
    return connection


def _patiently(prepare: Callable[[], None]) -> None:
    """Try again where the file is locked, for as long as any other statement waits for a lock.

    Turning WAL on needs the file alone for a moment, and SQLite does not wait for that by itself.
    """
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            return prepare()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= deadline:
                raise
        time.sleep(_LOCKED_S)


def open_for_reading(file: Path) -> sqlite3.Connection | None:
    """Open a store that may be read and not written; None for a file without tables. Raises StoreError."""
    with errors(file):
        connection = sqlite3.connect(_address(file), uri=True, timeout=_BUSY_S)
        try:
            if not _has_tables(connection) and version_of(connection) == 0:
                connection.close()
                return None
            _check_version(connection, file)
        except BaseException:
            connection.close()
            raise
    return connection


def _address(file: Path) -> str:
    """SQLite reads a WAL file only beside a file of shared memory, which it makes; where it cannot, and
    there is no WAL, the file is all there is and nobody changes it."""
    wal = file.with_name(file.name + "-wal")
    unchanging = not os.access(file.parent, os.W_OK) and not wal.exists()
    return f"{file.absolute().as_uri()}?mode=ro" + "&immutable=1" * unchanging


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    if _has_tables(connection):
        _check_version(connection, file)
        _refuse_damaged(connection, file)
    if version_of(connection) < VERSION:
        with transaction(connection):
            # Looked at again, under the lock: another daemon may have been first.
            if not _has_tables(connection):
                _refuse_foreign(connection, file, allowed=(0, _APPLICATION_ID))
                migrate(connection)
                connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            else:
                migrate(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


def _has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _check_version(connection: sqlite3.Connection, file: Path) -> None:
    _refuse_foreign(connection, file, allowed=(_APPLICATION_ID,))
    version = version_of(connection)
    if not 1 <= version <= VERSION:
        raise StoreError(
            f"{file}: has store version {version}, this pytest-gpuemu reads version {VERSION} and those "
            f"before it, and it is left as it is; use the pytest-gpuemu that wrote it, or {_aside(file)}"
        )


def _refuse_foreign(connection: sqlite3.Connection, file: Path, *, allowed: tuple[int, ...]) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] not in allowed:
        raise StoreError(
            f"{file}: is an SQLite file of another program, and is left as it is; {_aside(file)}"
        )


def _refuse_damaged(connection: sqlite3.Connection, file: Path) -> None:
    """Writing into a damaged file would damage more of it, and hide what is there."""
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        found = str(found).splitlines()[-1]  # the first line may name the database
        raise StoreError(
            f"{file}: is damaged ({found}), and is left as it is; {_aside(file)} (what can be read of it: "
            f"sqlite3 {file}.old .recover)"
        )


def _aside(file: Path) -> str:
    return f"move it aside to start a new one: mv {file} {file}.old"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything in the block, or nothing of it; other writers wait."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def errors(file: Path) -> Iterator[None]:
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
