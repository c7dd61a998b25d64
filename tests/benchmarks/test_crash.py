"""The crash harness: the daemon loses nothing, and the harness would notice if it did."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from benchmarks import crash
from pytest_gpuemu.engine.store import Store, StoredFailure, StoredResult


@pytest.mark.timeout(120)
def test_what_the_daemon_acknowledged_survives_its_death_at_any_moment(tmp_path):
    outcome = crash.run(kills=4, seed=2, folder=tmp_path)

    assert (outcome.lost, outcome.unsound) == ([], [])
    assert outcome.kills == 4
    assert outcome.requests > 0


@pytest.fixture
def store(tmp_path):
    """A store that has failure 1 and the passes 300 to 302 of writer 0, as the daemon writes them."""
    opened = Store(tmp_path)
    keys = {"test_id": "writer 0", "op": "relu", "timestamp": 1.0}
    opened.add_failure(
        StoredFailure(seed=1, body={"text": "failed 7"}, **keys),
        StoredResult(seed=1, passed=False, body={"max_diff": float("inf")}, **keys),
    )
    opened.add_results(
        StoredResult(seed=seed, passed=True, body={"max_diff": 8.0}, **keys) for seed in range(300, 303)
    )
    yield tmp_path
    opened.close()


def told(acknowledged, on_its_way=None):
    return crash.Told("writer 0", dict(acknowledged), dict(on_its_way or {}), threading.Lock())


@pytest.mark.parametrize(
    ("acknowledged", "on_its_way", "wrong"),
    [
        ({1: "failed 7", 300: "passed 8"}, {}, []),
        ({1: "failed 6"}, {1: "failed 7"}, []),
        ({1: "failed 7"}, {1: "failed 9"}, []),
        ({2: None}, {}, []),
        ({1: "failed 6"}, {}, ["writer 0, case 1: acknowledged 'failed 6', stored 'failed 7'"]),
        ({2: "failed 7"}, {}, ["writer 0, case 2: acknowledged 'failed 7', stored None"]),
        ({1: None}, {}, ["writer 0, case 1: acknowledged None, stored 'failed 7'"]),
        (
            {},
            {300: "passed 8", 301: "passed 8", 303: "passed 8"},
            ["writer 0: a batch was stored in part: 2 of 3"],
        ),
    ],
)
def test_a_case_that_is_not_as_it_was_acknowledged_is_noticed(store, acknowledged, on_its_way, wrong):
    assert crash.compare(told(acknowledged, on_its_way), crash.read(store)) == wrong


def test_a_damaged_file_is_noticed(store):
    file = store / "gpuemu.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'failures_by_seed'")
    connection.close()

    assert crash.read(store).integrity != "ok"
