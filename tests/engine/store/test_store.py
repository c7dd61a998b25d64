"""The store: what is kept, what survives, and what is said about a file that cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.engine.store import (
    Store,
    StoredCampaign,
    StoredFailure,
    StoredResult,
    known_failures,
    pruning,
)

MAX_SEED = 2**64 - 1


def result(
    seed: int, *, passed: bool = True, op: str = "softmax", test: str = "t", edits: str = ""
) -> StoredResult:
    return StoredResult(
        test_id=test, op=op, seed=seed, edits=edits, passed=passed, timestamp=1.5, body={"max_diff": 0.25}
    )


def failure(seed: int, *, edits: str = "", test: str = "t", inputs: bytes | None = None) -> StoredFailure:
    return StoredFailure(
        test_id=test, op="softmax", seed=seed, edits=edits, timestamp=1.5, body={"text": "how"}, inputs=inputs
    )


def add_failure(store: Store, seed: int, **keys: str) -> None:
    store.add_failure(failure(seed, **keys), result(seed, passed=False, **keys))


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


@pytest.mark.parametrize("seed", [0, 2**53 + 1, 2**63 - 1, 2**63, MAX_SEED])
def test_every_unsigned_seed_comes_back(store, tmp_path, seed):
    store.add_failure(failure(seed, inputs=b"\0\1"), result(seed, passed=False))

    assert store.result(seed) == result(seed, passed=False)
    assert store.failure(seed) == failure(seed, inputs=b"\0\1")
    assert [row.seed for row in known_failures(tmp_path)] == [seed]


def test_the_newest_result_of_a_seed_counts(store):
    store.add_results([result(7, op="a"), result(7, op="b")])
    assert store.result(7).op == "b"
    assert store.result(7, "a").op == "a"

    store.add_results([result(7, op="a")])
    assert store.result(7).op == "a"
    assert len(store.results(10)) == 2
    assert store.result(8) is None


def test_known_failures_are_told_oldest_first_until_they_pass(store, tmp_path):
    add_failure(store, 5)
    add_failure(store, 6, edits="rows=1")
    add_failure(store, 7, test="u")
    assert [row.case_id for row in known_failures(tmp_path)] == ["5", "6~rows=1", "7"]

    assert store.forget("t", "softmax", 6, "rows=1")
    assert not store.forget("t", "softmax", 6, "rows=1")
    assert [row.case_id for row in known_failures(tmp_path)] == ["5", "7"]
    assert store.result(6) is None


def test_without_a_store_nothing_is_known(tmp_path):
    assert known_failures(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_keeps_its_results(store):
    store.add_results([result(1), result(2)])
    assert store.store_baseline("v1") == 2

    store.add_results([result(1, passed=False)])

    assert [row.passed for row in store.baseline("v1")] == [True, True]
    assert store.baseline("v2") == []


def test_the_overrides_of_an_issued_case_come_back(store):
    store.note_issued("softmax", {MAX_SEED: {"dtypes": ["float16"]}})

    assert store.issued("softmax", MAX_SEED) == {"dtypes": ["float16"]}
    assert store.issued("matmul", MAX_SEED) is None


def campaign(master_seed: int, **fields: Any) -> StoredCampaign:
    counts = {"cases": 9, "passed": 5, "failed": 2, "undetermined": 1, "could_not_run": 1}
    keys = {"test_id": "t", "op": "softmax", "generator": 1, "wall_s": 0.5, "timestamp": float(master_seed)}
    return StoredCampaign(master_seed=master_seed, **{**counts, **keys, **fields})


def test_campaigns_come_back_newest_first(store):
    given = [campaign(1), campaign(2, op="matmul"), campaign(2**64 - 1)]
    for found in given:
        store.add_campaign(found)

    assert store.campaigns(10) == given[::-1]
    assert store.campaigns(1) == [given[2]]
    assert store.campaigns(10, op="matmul") == [given[1]]


def test_a_campaign_that_is_sent_twice_is_stored_once(store):
    """Guards: the daemon that died before its reply left, and the request that was sent to the next one."""
    store.add_campaign(campaign(1))
    store.add_campaign(campaign(1))

    assert len(store.campaigns(10)) == 1


def test_old_campaigns_are_pruned(tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "KEPT_CAMPAIGNS", 3)
    store = Store(tmp_path)
    for seed in range(5):
        store.add_campaign(campaign(seed))
    store.close()
    store = Store(tmp_path)

    assert [row.master_seed for row in store.campaigns(10)] == [4, 3, 2]
    store.close()


def test_however_many_failures_there_are_none_is_pruned(tmp_path, monkeypatch):
    for name in ("KEPT_PASSED", "KEPT_CAMPAIGNS", "KEPT_ISSUED", "PRUNE_EVERY"):
        monkeypatch.setattr(pruning, name, 1)
    store = Store(tmp_path)
    for seed in range(50):
        add_failure(store, seed)
    store.close()
    store = Store(tmp_path)

    assert len(store.failures(100)) == len(store.results(100)) == 50
    store.close()


def test_old_passes_are_pruned_and_failures_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(pruning, "KEPT_PASSED", 10)
    monkeypatch.setattr(pruning, "PRUNE_EVERY", 20)
    store = Store(tmp_path)
    for seed in range(100, 105):
        add_failure(store, seed)

    for seed in range(50):
        store.add_results([result(seed)])
    store.close()
    store = Store(tmp_path)

    seeds = {row.seed for row in store.results(1000)}
    store.close()
    assert seeds == {*range(40, 50), *range(100, 105)}


def test_two_processes_share_a_store(tmp_path):
    first, second = Store(tmp_path), Store(tmp_path)
    first.add_results([result(1)])
    second.add_results([result(2)])

    assert {row.seed for row in first.results(10)} == {row.seed for row in second.results(10)} == {1, 2}
    first.close()
    second.close()


def test_what_was_committed_survives_kill_9(tmp_path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path\n"
        "from tests_store import add_failure; from pytest_gpuemu.engine.store import Store\n"
        "store = Store(Path(sys.argv[2]))\n"
        "for seed in range(20): add_failure(store, seed); print(seed, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    (tmp_path / "tests_store.py").write_bytes(Path(__file__).read_bytes())

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "s")], capture_output=True, text=True
    )

    assert done.returncode == -9, done.stderr
    assert [row.seed for row in known_failures(tmp_path / "s")] == list(range(20))
