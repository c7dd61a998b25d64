"""gpuemu baseline: what counts as worse, and the exit status that a CI job goes by."""

from __future__ import annotations

import pytest
from command_rows import failed, passed


def test_nothing_is_worse_right_after_storing(gpuemu, store):
    store.add_results([passed(1), passed(2)])

    assert gpuemu("baseline", "store", "v1")[:2] == (
        0,
        "baseline 'v1': 2 results of .gpuemu/gpuemu.db kept\n",
    )
    assert gpuemu("baseline", "compare", "v1")[:2] == (
        0,
        "baseline 'v1': 2 of its 2 cases have a result now, 0 got worse\n",
    )
    assert gpuemu("baseline", "list")[1].startswith("v1  2 results, the newest of ")


@pytest.mark.parametrize(
    ("now", "worse"),
    [(passed(1, max_diff=0.27), False), (passed(1, max_diff=0.28), True), (failed(1)[1], True)],
    ids=["8 % more", "12 % more", "it fails"],
)
def test_a_case_is_worse_where_it_fails_or_its_error_grew_by_a_tenth(gpuemu, store, now, worse):
    store.add_results([passed(1), passed(2)])
    gpuemu("baseline", "store", "v1")
    store.add_results([now])

    status, out, _ = gpuemu("baseline", "compare", "v1")

    assert status == worse
    assert out.splitlines()[0].endswith(f"{int(worse)} got worse")
    if worse:
        assert "max_diff 0.25 -> " in out
    assert ("passed, fails now" in out) == (not now.passed)


def test_the_policy_decides_the_exit_status(gpuemu, store, project):
    (project / "gpuemu.toml").write_text("[policies]\nfail_on_regression = false\n", encoding="utf-8")
    store.add_results([passed(1)])
    gpuemu("baseline", "store", "v1")
    store.add_results([passed(1, max_diff=9.0)])

    status, out, _ = gpuemu("baseline", "compare", "v1")

    assert status == 0
    assert "1 got worse" in out


def test_an_unknown_tag_is_said_with_the_nearest_one(gpuemu, store):
    store.add_results([passed(1)])
    gpuemu("baseline", "store", "main")

    for action in ("compare", "remove"):
        status, _, err = gpuemu("baseline", action, "mian")
        assert (status, err) == (
            1,
            f"gpuemu: no baseline 'mian' in {store.path}; did you mean 'main'?\n",
        )


def test_a_tag_is_removed_by_hand(gpuemu, store):
    store.add_results([passed(1)])
    gpuemu("baseline", "store", "v1")

    assert gpuemu("baseline", "remove", "v1")[1] == "baseline 'v1': 1 result removed\n"
    assert gpuemu("baseline", "list")[1] == "no baselines in .gpuemu/gpuemu.db\n"


def test_without_a_store_nothing_is_made(gpuemu, project):
    status, _, err = gpuemu("baseline", "store", "v1")

    assert (status, err.split(":")[1]) == (1, f" there is no store in {project / '.gpuemu'}")
    assert not (project / ".gpuemu").exists()
