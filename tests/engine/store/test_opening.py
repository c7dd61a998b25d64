"""A store's file that cannot be used: it is said why and what to do, and the file is left as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pytest_gpuemu.engine.errors import StoreError
from pytest_gpuemu.engine.store import Store, StoredFailure, StoredResult, known_failures, reading

KEYS = {"test_id": "t", "op": "softmax", "timestamp": 1.5}
NOBODY = 65534


def add_failure(store: Store, seed: int, text: str = "how") -> None:
    store.add_failure(
        StoredFailure(seed=seed, body={"text": text}, **KEYS),
        StoredResult(seed=seed, passed=False, body={}, **KEYS),
    )


@pytest.fixture
def written(tmp_path):
    """A store with failures 1 to 99, closed."""
    store = Store(tmp_path)
    for seed in range(1, 100):
        add_failure(store, seed, "x" * 500)
    store.close()
    return tmp_path / "gpuemu.db"


def fill(store: Store, first: int) -> list[int]:
    """Store failures until the disk is full; gives the seeds that were acknowledged."""
    stored: list[int] = []

    def until_it_is_full() -> None:
        for seed in range(first, 1000):
            add_failure(store, seed, "x" * 10_000)
            stored.append(seed)

    with pytest.raises(StoreError) as caught:
        until_it_is_full()
    assert str(caught.value).startswith(f"{store.path}: ")
    assert str(caught.value).endswith(": free some disk space; nothing that was stored before is lost")
    return stored


def refused(file: Path) -> str:
    """The message for a file that must not be opened, nor changed by the attempt."""
    before = file.read_bytes()
    with pytest.raises(StoreError) as caught:
        Store(file.parent)
    assert file.read_bytes() == before
    return str(caught.value)


def test_a_corrupt_file_is_named_and_left_as_it_is(tmp_path):
    file = tmp_path / "gpuemu.db"
    file.write_bytes(b"no database" * 1000)

    assert refused(file) == (
        f"{file}: cannot be read as a store (file is not a database), and is left as it is; "
        f"move it aside to start a new one: mv {file} {file}.old"
    )
    with pytest.raises(StoreError, match="cannot be read as a store"):
        known_failures(tmp_path)


@pytest.mark.parametrize("page", [3, 5, 9])
def test_damage_in_the_middle_is_found_at_the_opening(written, page):
    """Guards: a torn page was met only by the query that needed it, after writes had been put beside it."""
    with written.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    message = refused(written)

    assert message.startswith(f"{written}: is damaged (")
    assert f"mv {written} {written}.old (what can be read of it: sqlite3 {written}.old .recover)" in message


def test_a_truncated_file_is_said(written):
    with written.open("r+b") as file:
        file.truncate(3 * 4096)

    assert "is damaged" in refused(written) or "cannot be read as a store" in refused(written)


def test_a_store_of_a_newer_version_is_left_as_it_is(written):
    with closing(sqlite3.connect(written)) as connection:
        connection.execute("PRAGMA user_version = 99")

    assert "has store version 99, this pytest-gpuemu reads version " in refused(written)
    with pytest.raises(StoreError, match="has store version 99"):
        known_failures(written)


@pytest.mark.parametrize("tables", ["", "CREATE TABLE theirs (x);"], ids=["empty", "with tables"])
def test_another_programs_database_is_left_as_it_is(tmp_path, tables):
    """Guards: a file of theirs that has no tables yet was taken for a new store."""
    file = tmp_path / "gpuemu.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(f"PRAGMA application_id = 4711; {tables}")

    assert "is an SQLite file of another program" in refused(file)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(StoreError, match="cannot hold the store"):
        Store(tmp_path / "file" / ".gpuemu")


def test_a_full_disk_is_said_and_loses_nothing(tmp_path):
    store = Store(tmp_path)
    add_failure(store, 1)
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite answers as it does on a full disk

    stored = fill(store, first=2)

    store.close()
    assert [row.seed for row in known_failures(tmp_path)] == [1, *stored]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own with 1 MiB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root mounts a file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr!r}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_is_really_full_is_said_and_loses_nothing(small_disk):
    store = Store(small_disk)

    stored = fill(store, first=0)

    store.close()
    assert 10 < len(stored) < 200
    assert [row.seed for row in known_failures(small_disk)] == stored
    with closing(sqlite3.connect(small_disk / "gpuemu.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_after_a_full_disk_has_space_again_the_store_goes_on(small_disk):
    filler = small_disk / "filler"
    store = Store(small_disk)
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 20_000))
    with pytest.raises(StoreError, match="free some disk space"):
        add_failure(store, 1, "x" * 100_000)

    filler.unlink()
    add_failure(store, 2, "x" * 100_000)

    assert [row.seed for row in known_failures(small_disk)] == [2]
    store.close()


def as_nobody(function: Callable[[], str]) -> str:
    """What a function says in a process of another user (forked: that user need not reach our Python)."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(write, function().encode())
        except (StoreError, OSError) as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
@pytest.mark.parametrize("mode", [0o755, 0o777], ids=["folder and file", "file"])
def test_a_readonly_store_is_read_and_not_written(mode):
    with tempfile.TemporaryDirectory(prefix="gpuemu-test-") as name:
        folder = Path(name)
        store = Store(folder)
        add_failure(store, 1)
        store.close()
        folder.chmod(mode)
        before = (folder / "gpuemu.db").read_bytes()

        assert as_nobody(lambda: str([row.seed for row in known_failures(folder)])) == "[1]"
        said = as_nobody(lambda: str(Store(folder)))

        file = folder / "gpuemu.db"
        assert said == (
            f"StoreError: {file}: attempt to write a readonly database: make the file and its folder "
            "readable and writable for you"
        )
        assert file.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_readonly_folder_is_said(tmp_path):
    tmp_path.chmod(0o500)

    with pytest.raises(StoreError, match="writable"):
        Store(tmp_path)


def test_a_store_can_be_read_while_another_process_writes_it(written):
    store = Store(written.parent)
    add_failure(store, 1000)

    with reading(written) as reader:
        assert reader.failure(1000) is not None
        add_failure(store, 1001)
        assert reader.failure(1001) is not None
    store.close()


def test_a_file_that_another_process_writes_for_a_moment_is_waited_for(written):
    """Guards: turning the log on was refused at once while somebody wrote, as a second daemon that makes the
    tables of a new store at the same moment does."""
    with closing(sqlite3.connect(written, check_same_thread=False, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.3, lambda: other.execute("COMMIT"))
        done.start()

        store = Store(written.parent)

        done.join()
    assert len(store.failures(1000)) == 99
    store.close()
