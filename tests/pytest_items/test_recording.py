"""What a session stores, the daemon that it starts, and what it says where it cannot."""

from __future__ import annotations

import sqlite3

import pytest
from suites import THIRDS, failed_ids, run, thirds_of, with_store

from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.engine.store import known_failures, reading

pytest_plugins = ["pytester"]

THEN_A_DAEMON_THAT_FAILS = """
from pytest_gpuemu.client.recorder import Recorder
from pytest_gpuemu.engine.errors import ClientError

@pytest.fixture(autouse=True, scope="session")
def full_disk():
    stores = Recorder.failure

    def failure(self, found):
        if "test_later" in found.test_id:
            raise ClientError("the disk is full")
        stores(self, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recorder, "failure", failure)
        yield

@double
def test_later(fuzz_case):
    check_thirds(fuzz_case)
"""


def test_failures_are_stored_with_all_that_reproduces_them(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester)

    stored = known_failures(pytester.path / ".gpuemu")
    assert {(row.test_id, row.op, row.seed, row.edits) for row in stored} == {
        ("test_k.py::test_thirds", "double", seed, "") for seed in thirds_of(8)
    }
    result.stdout.fnmatch_lines(["gpuemu: daemon at *gpuemu.sock, store .gpuemu"])


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_a_campaign_is_stored_with_what_it_came_to(pytester, workers):
    if workers:
        pytest.importorskip("xdist")
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)

    run(pytester, "--gpuemu-seed=5", *workers)

    with reading(pytester.path / ".gpuemu") as store:
        (campaign,) = store.campaigns(10)
    assert (campaign.test_id, campaign.op, campaign.master_seed) == ("test_k.py::test_thirds", "double", 5)
    assert campaign.failed > 0
    assert (
        campaign.passed + campaign.failed + campaign.undetermined + campaign.could_not_run == campaign.cases
    )


def test_where_nothing_can_be_stored_the_campaign_goes_on_and_says_so(pytester):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester)

    assert len(failed_ids(result)) == len(thirds_of(8))
    result.stdout.fnmatch_lines(
        ["gpuemu: nothing is stored: *.gpuemu cannot be written*", "nothing was stored: *.gpuemu cannot*"]
    )


@pytest.mark.parametrize("workers", [(), ("-n1",)])
def test_where_the_daemon_fails_halfway_what_was_stored_before_is_not_denied(pytester, workers):
    if workers:
        pytest.importorskip("xdist")
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS + THEN_A_DAEMON_THAT_FAILS)

    result = run(pytester, *workers)

    stored = {row.test_id for row in known_failures(pytester.path / ".gpuemu")}
    assert stored == {"test_k.py::test_thirds"}
    result.stdout.fnmatch_lines(["not everything was stored: the disk is full"])


def test_a_running_daemon_is_used_and_left_running(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)
    daemon = start_daemon(pytester.path, pytester.path / ".gpuemu")
    try:
        result = run(pytester, f"--gpuemu-socket={daemon.socket_path}")

        result.stdout.fnmatch_lines([f"gpuemu: daemon at {daemon.socket_path}, store *"])
        assert daemon.socket_path.exists()
        assert len(known_failures(pytester.path / ".gpuemu")) == len(thirds_of(8))
    finally:
        daemon.stop()


def test_a_socket_without_a_daemon_is_said_at_once(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "--gpuemu-socket=none.sock")

    assert len(failed_ids(result)) == len(thirds_of(8))
    result.stdout.fnmatch_lines(
        ["gpuemu: nothing is stored: no daemon listens at *none.sock: start one with*"]
    )


def test_a_test_can_talk_to_the_daemon_with_and_without_campaigns(pytester, monkeypatch):
    with_store(pytester)
    monkeypatch.delenv("GPUEMU_SOCKET", raising=False)
    plain = """
        import os

        def test_client(gpuemu_client, gpuemu_daemon):
            assert gpuemu_client.ping()
            assert os.environ["GPUEMU_SOCKET"] == str(gpuemu_daemon.socket_path)
    """
    pytester.makepyfile(test_client=plain)
    alone = run(pytester)
    pytester.makepyfile(test_k=THIRDS.replace("check_thirds(fuzz_case)", "fuzz_case.run(good)"))

    both = run(pytester)

    alone.assert_outcomes(passed=1)
    both.assert_outcomes(passed=2)


def test_quiet_sessions_print_the_master_seed_once(pytester):
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "-q")

    assert result.stdout.str().count("master seed 7") == 1
    assert "gpuemu: config" not in result.stdout.str()


def test_an_entry_that_shadows_a_built_in_is_said(pytester):
    pytester.makepyfile(test_k=THIRDS)
    pytester.path.joinpath("gpuemu.toml").write_text('[[ops]]\nname = "softmax"\ndtypes = ["float32"]\n')

    result = run(pytester, "--collect-only")

    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["gpuemu: config gpuemu.toml, *", "gpuemu: [[][[]ops]] replaces the built-in softmax"]
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda file: overwrite(file), "*gpuemu.db: cannot be read as a store*"),
        (lambda file: set_version(file, 99), "*gpuemu.db: has store version 99*"),
    ],
    ids=["corrupt", "of a newer version"],
)
def test_a_store_that_cannot_be_used_is_left_as_it_is_and_the_session_goes_on(pytester, damage, said):
    """Guards: the known failing seeds could not be read, and that ended the session with a usage error."""
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS)
    run(pytester)
    file = pytester.path / ".gpuemu" / "gpuemu.db"
    damage(file)
    before = file.read_bytes()

    result = run(pytester)

    assert len(failed_ids(result)) == len(thirds_of(8))
    assert file.read_bytes() == before
    result.stdout.fnmatch_lines([f"gpuemu: nothing is stored: {said}"])
    result.stdout.no_fnmatch_line("*known failing seeds are not run*")


def overwrite(file):
    for path in file.parent.glob("gpuemu.db*"):
        path.unlink()
    file.write_bytes(b"no database" * 1000)


def set_version(file, version):
    with sqlite3.connect(file) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
