"""gpuemu failures and gpuemu results: what they print of a store."""

from __future__ import annotations

import json

import pytest
from command_rows import failed, passed

from pytest_gpuemu.engine.store import Store, StoredCampaign, known_failures


def test_failures_are_listed_newest_first(gpuemu, store):
    store.add_failure(*failed(5))
    store.add_failure(*failed(6, op="matmul", edits="rows=1"))

    status, out, _ = gpuemu("failures")

    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "2 failures in .gpuemu/gpuemu.db, newest first"
    assert lines[1].split()[:3] == ["6~rows=1", "matmul", "test_k.py::test_k"]
    assert lines[2].split()[:2] == ["5", "softmax"]
    assert lines[2].endswith("ToleranceExceeded: 1 of 6 elements exceed")
    assert lines[3] == "the whole report: gpuemu failures SEED; again: pytest --gpuemu-reproduce=SEED"


def test_a_long_case_id_leaves_room_for_the_other_columns(gpuemu, store):
    edits = "keep.input=" + ":".join(map(str, range(80)))
    store.add_failure(*failed(5))
    store.add_failure(*failed(6, edits=edits))

    _, out, _ = gpuemu("failures")

    cut, whole = out.splitlines()[1:3]
    assert cut.split()[:3] == [f"6~{edits}"[:39] + "…", "softmax", "test_k.py::test_k"]
    assert whole.endswith("ToleranceExceeded: 1 of 6 elements exceed")


def test_a_failure_of_a_client_runs_again_from_a_client(gpuemu, store):
    """Guards: the list sent its reader to pytest, which has no test of it."""
    store.add_failure(*failed(5, test="client"))
    assert gpuemu("failures")[1].splitlines()[-1].endswith("; again: Client().reproduce(SEED)")

    store.add_failure(*failed(6))
    assert (
        gpuemu("failures")[1]
        .splitlines()[-1]
        .endswith(
            "; again: pytest --gpuemu-reproduce=SEED, or Client().reproduce(SEED) for those of a client"
        )
    )


def test_the_list_can_be_narrowed_and_read_by_a_script(gpuemu, store):
    for seed in range(30):
        store.add_failure(*failed(seed, op="matmul" if seed % 3 else "softmax"))

    _, out, _ = gpuemu("failures", "--op", "softmax", "--limit", 2, "--json")

    assert [json.loads(line)["seed"] for line in out.splitlines()] == [27, 24]


def test_a_list_that_is_not_whole_says_so(gpuemu, store):
    for seed in range(3):
        store.add_failure(*failed(seed))

    assert gpuemu("failures", "--limit", 2)[1].startswith("the newest 2 failures in ")
    assert gpuemu("failures", "--limit", 3)[1].startswith("3 failures in ")


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_is_a_whole_number(gpuemu, capsys, limit):
    with pytest.raises(SystemExit):
        gpuemu("failures", "--limit", limit)

    assert f"argument --limit: invalid whole number >= 1 value: '{limit}'" in capsys.readouterr().err


def test_one_failure_is_shown_in_full_with_what_runs_it_again(gpuemu, store):
    store.add_failure(*failed(5, fuzz_config={"dims": {"rows": [1]}}))
    store.add_failure(*failed(6, test="client"))

    _, out, _ = gpuemu("failures", 5)
    assert "softmax fails for seed 5" in out
    assert '  fuzz_config {"dims": {"rows": [1]}}' in out
    assert "  re-run  pytest --gpuemu-reproduce=5" in out

    _, out, _ = gpuemu("failures", 6)
    assert '  re-run  Client().reproduce("6")' in out


def test_a_seed_without_a_failure_is_said(gpuemu, store):
    status, _, err = gpuemu("failures", 5, "--op", "matmul")

    assert (status, err) == (
        1,
        f"gpuemu: no failure of seed 5 of 'matmul' in {store.path}; gpuemu failures lists them\n",
    )
    status, _, err = gpuemu("failures", "five")
    assert status == 1
    assert "'five'" in err


def test_a_failure_is_forgotten_by_hand_and_no_other(gpuemu, store, project):
    for edits in ("", "rows=1"):
        store.add_failure(*failed(5, edits=edits))

    status, out, _ = gpuemu("failures", 5, "--forget")

    assert (status, out) == (0, "forgotten: 5 of softmax in test_k.py::test_k\n")
    assert [row.case_id for row in known_failures(project / ".gpuemu")] == ["5~rows=1"]
    status, _, err = gpuemu("failures", "--forget")
    assert (status, err.split(":")[1]) == (1, " --forget needs the seed of the failure")


def test_campaigns_are_listed_with_what_draws_them_again(gpuemu, store):
    assert gpuemu("campaigns")[1] == "no campaigns in .gpuemu/gpuemu.db\n"
    store.add_campaign(
        StoredCampaign(
            test_id="test_k.py::test_k",
            op="softmax",
            master_seed=77,
            generator=1,
            cases=25,
            passed=20,
            failed=3,
            undetermined=0,
            could_not_run=2,
            wall_s=0.5,
            timestamp=1.5,
        )
    )

    _, out, _ = gpuemu("campaigns")

    lines = out.splitlines()
    assert lines[0] == "1 campaign in .gpuemu/gpuemu.db, newest first"
    assert lines[1].split()[:3] == ["77", "softmax", "test_k.py::test_k"]
    assert lines[1].endswith("25 cases, 3 failed, 2 could not run")
    assert lines[2] == "the same cases again: pytest TEST --gpuemu-seed=MASTER --gpuemu-fuzz=CASES"
    assert json.loads(gpuemu("campaigns", "--json")[1])["master_seed"] == 77


def test_results_are_listed_passing_and_failing(gpuemu, store):
    store.add_results([passed(4)])
    store.add_failure(*failed(5))

    _, out, _ = gpuemu("results")

    lines = out.splitlines()
    assert lines[0] == "2 results in .gpuemu/gpuemu.db, newest first"
    assert lines[1].endswith("failed, max_diff inf")
    assert lines[2].endswith("passed, max_diff 0.25")
    _, out, _ = gpuemu("results", 4)
    assert json.loads(out)["seed"] == 4


def test_without_a_store_it_is_said_where_it_was_looked_for(gpuemu, project):
    status, _, err = gpuemu("failures")

    assert status == 1
    assert err == (
        f"gpuemu: there is no store in {project / '.gpuemu'}: it is made by the first run of a test marked "
        "gpuemu_op, or by the daemon; --store names another folder\n"
    )


def test_the_store_of_a_folder_above_is_found_and_another_can_be_named(
    gpuemu, project, tmp_path, monkeypatch
):
    (project / "gpuemu.toml").unlink()
    for folder in (project / ".gpuemu", tmp_path / "other"):
        Store(folder).close()
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)

    assert gpuemu("failures")[1] == f"no failures in {project / '.gpuemu' / 'gpuemu.db'}\n"
    for named in (tmp_path / "other", tmp_path / "other" / "gpuemu.db"):
        assert (
            gpuemu("failures", "--store", named)[1] == f"no failures in {tmp_path / 'other' / 'gpuemu.db'}\n"
        )


def test_a_list_is_cut_at_the_terminals_width(gpuemu, store, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    store.add_failure(*failed(5))

    assert max(map(len, gpuemu("failures")[1].splitlines()[1:2])) == 60


@pytest.mark.parametrize("damage", [b"no database" * 1000])
def test_a_store_that_cannot_be_read_is_said_and_left(gpuemu, project, damage):
    file = project / ".gpuemu" / "gpuemu.db"
    file.parent.mkdir()
    file.write_bytes(damage)

    status, _, err = gpuemu("results")

    assert status == 1
    assert "cannot be read as a store" in err
    assert file.read_bytes() == damage
