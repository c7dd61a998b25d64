"""A store that an older pytest-gpuemu wrote is brought up to date, and keeps what it has."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pytest_gpuemu.engine.store import VERSION, Store, StoredCampaign, known_failures, reading, tables

OLDER = {int(file.stem.removeprefix("version")): file for file in Path(__file__).parent.glob("version*.sql")}
CAMPAIGN = StoredCampaign(
    test_id="t",
    op="softmax",
    master_seed=2**64 - 1,
    generator=1,
    cases=25,
    passed=20,
    failed=3,
    undetermined=1,
    could_not_run=1,
    wall_s=0.5,
    timestamp=1.5,
)


@pytest.fixture(params=sorted(OLDER), ids=lambda version: f"version {version}")
def older(request, tmp_path):
    """The folder of a store of an older version."""
    with closing(sqlite3.connect(tmp_path / "gpuemu.db")) as connection:
        connection.executescript(OLDER[request.param].read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL")
    return tmp_path


def version(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "gpuemu.db")) as connection:
        return tables.version_of(connection)


def layout(folder: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(folder / "gpuemu.db")) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_there_is_a_store_of_every_version_before_this_one():
    """Of each of them sqlite3's iterdump, made by the code of that version."""
    assert sorted(OLDER) == list(range(1, VERSION))


def test_everything_is_there_after_the_migration(older):
    store = Store(older)

    (failure,) = store.failures(10)
    assert (failure.seed, failure.edits, failure.inputs) == (2**64 - 1, "rows=1", b"\0\1")
    assert failure.body == {"generator": 1, "text": "how", "result": {"text": "how"}}
    assert [(row.seed, row.passed) for row in store.results(10)] == [(7, True), (2**64 - 1, False)]
    assert [row.seed for row in store.baseline("v1")] == [2**64 - 1, 7]
    assert store.issued("softmax", 7) == {"dtypes": ["float16"]}
    store.close()
    assert version(older) == VERSION


def test_a_migrated_store_is_laid_out_like_a_new_one(older, tmp_path):
    Store(older).close()
    Store(tmp_path / "new").close()

    assert layout(older) == layout(tmp_path / "new")


def test_a_migrated_store_keeps_campaigns(older):
    store = Store(older)
    store.add_campaign(CAMPAIGN)

    assert store.campaigns(10) == [CAMPAIGN]
    store.close()


def test_an_older_store_is_read_as_it_is(older):
    assert [row.case_id for row in known_failures(older)] == [f"{2**64 - 1}~rows=1"]
    before = version(older)
    with reading(older) as reader:
        assert reader.campaigns(10) == []
    assert version(older) == before < VERSION


def test_a_migration_that_is_interrupted_leaves_the_older_version(older, monkeypatch):
    before = layout(older), version(older)
    broken = (*tables.MIGRATIONS, "CREATE TABLE more (id INTEGER); CREATE TABLE results (id INTEGER)")
    monkeypatch.setattr(tables, "MIGRATIONS", broken)

    with pytest.raises(Exception, match="already exists"):
        Store(older)

    assert (layout(older), version(older)) == before


@pytest.mark.parametrize("fresh", [True, False], ids=["a new store", "an older store"])
def test_many_processes_may_open_it_at_once(older, tmp_path, fresh):
    """Guards: two daemons that both find no tables, or an older version, and both make them."""
    folder = tmp_path / "new" if fresh else older
    code = (
        "import sys; from pathlib import Path; from pytest_gpuemu.engine.store import Store\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "store = Store(Path(sys.argv[1])); store.note_issued('op', {int(sys.argv[2]): {}}); store.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        said.append(process.communicate(timeout=60)[1])

    assert said == [""] * 6
    store = Store(folder)
    assert all(store.issued("op", number) == {} for number in range(6))
    store.close()
