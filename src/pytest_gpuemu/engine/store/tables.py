"""The tables of the store, version by version.

Here: the SQL that makes each version out of the one before, and running what a file lacks. Elsewhere: opening
the file (opening.py).

A migration only adds: a pytest-gpuemu of the version before may have the file open, and goes on working. All
of a file's migrations are one transaction, so that a crash in between leaves the old version.
"""

from __future__ import annotations

import sqlite3

# The first makes version 1 of an empty file, the next version 2 of that, and so on.
MIGRATIONS = (
    """
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
""",
    """
CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    test_id TEXT NOT NULL, op TEXT NOT NULL, master_seed TEXT NOT NULL, generator INTEGER NOT NULL,
    cases INTEGER NOT NULL, passed INTEGER NOT NULL, failed INTEGER NOT NULL, undetermined INTEGER NOT NULL,
    could_not_run INTEGER NOT NULL, wall_s REAL NOT NULL, timestamp REAL NOT NULL
);
CREATE INDEX campaigns_by_test ON campaigns (test_id);
""",
    """
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kernel TEXT NOT NULL, arch TEXT NOT NULL, ptx_digest TEXT NOT NULL, origin TEXT NOT NULL,
    source TEXT NOT NULL, timestamp REAL NOT NULL, metrics TEXT NOT NULL, ptx TEXT NOT NULL,
    UNIQUE (kernel, arch)
);
CREATE TABLE artifact_baselines (
    tag TEXT NOT NULL, kernel TEXT NOT NULL, arch TEXT NOT NULL, ptx_digest TEXT NOT NULL,
    timestamp REAL NOT NULL, metrics TEXT NOT NULL,
    PRIMARY KEY (tag, kernel, arch)
);
CREATE TABLE numerical_baselines (
    tag TEXT NOT NULL, test_id TEXT NOT NULL, op TEXT NOT NULL, dtype TEXT NOT NULL,
    timestamp REAL NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (tag, test_id, op, dtype)
);
""",
)
VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """The version of a file's tables; 0 where it has none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to VERSION. To be called inside a transaction, for a file of an older version."""
    for script in MIGRATIONS[version_of(connection) :]:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
