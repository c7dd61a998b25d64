"""What a marked test is collected with: node ids on the command line, --gpuemu-reproduce, the options."""

from __future__ import annotations

import pytest
from suites import THIRDS, failed_ids, run, thirds_of, with_store

from pytest_gpuemu.pytest_items.ids import seed_nodeid, test_id

pytest_plugins = ["pytester"]

CLASSES = """
from kernels import *

class TestIt:
    @double
    @pytest.mark.parametrize("kind", ["a", "b"])
    def test_x(self, fuzz_case, kind):
        fuzz_case.run(wrong)

@double
def test_y(fuzz_case):
    fuzz_case.run(good)

def test_plain():
    pass
"""


@pytest.mark.parametrize(
    ("nodeid", "bare"),
    [
        ("t.py::test[fuzz=25]", "t.py::test"),
        ("t.py::test[seed=5]", "t.py::test"),
        ("t.py::test[seed=5~rows=1,cols=33]", "t.py::test"),
        ("t.py::A::test[float16-x-seed=5]", "t.py::A::test[float16-x]"),
        ("t.py::test[float16-fuzz=25]@group", "t.py::test[float16]"),
        ("t.py::test[seed]", "t.py::test[seed]"),
        ("t.py::test", "t.py::test"),
    ],
)
def test_failures_are_stored_under_the_id_without_seed(nodeid, bare):
    assert test_id(nodeid) == bare


@pytest.mark.parametrize("test", ["t.py::test", "t.py::A::test[float16-x]"])
@pytest.mark.parametrize("case_id", ["5", "5~rows=1"])
def test_a_seeds_node_id_belongs_to_its_test(test, case_id):
    assert test_id(seed_nodeid(test, case_id)) == test
    assert seed_nodeid(test, case_id).endswith(f"seed={case_id}]")


@pytest.mark.parametrize(
    "argument",
    [
        "sub/test_k.py::TestIt::test_x[b-seed=18446744073709551615]",
        "./sub/../sub/test_k.py::TestIt::test_x[b-seed=18446744073709551615]",
        "{path}/sub/test_k.py::TestIt::test_x[b-seed=18446744073709551615]",
    ],
)
def test_a_seed_that_was_never_stored_is_found_by_its_node_id(pytester, argument):
    pytester.mkdir("sub").joinpath("test_k.py").write_text(CLASSES)
    pytester.syspathinsert()

    result = run(pytester, argument.format(path=pytester.path))

    assert failed_ids(result) == ["sub/test_k.py::TestIt::test_x[b-seed=18446744073709551615]"]


def test_a_seed_is_found_from_another_folder_and_beside_its_whole_file(pytester, monkeypatch):
    folder = pytester.mkdir("sub")
    folder.joinpath("test_k.py").write_text(CLASSES)
    pytester.syspathinsert()
    monkeypatch.chdir(folder)

    result = run(
        pytester, "test_k.py::TestIt::test_x[a-seed=5]", "test_k.py::test_y", f"--rootdir={pytester.path}"
    )

    result.stdout.fnmatch_lines(["FAILED test_k.py::TestIt::test_x[[]a-seed=5] - *"])
    result.assert_outcomes(failed=1, passed=1)


def test_the_printed_command_runs_the_case_from_the_folder_it_was_printed_in(pytester, monkeypatch):
    folder = pytester.mkdir("sub")
    folder.joinpath("test_k.py").write_text(CLASSES)
    pytester.syspathinsert()
    monkeypatch.chdir(folder)
    printed = run(pytester, f"--rootdir={pytester.path}", cases=1).stdout.str()

    nodeid = printed.partition('pytest "')[2].partition('"')[0]

    assert nodeid.startswith("test_k.py::TestIt::test_x[a-seed=")
    run(pytester, nodeid).assert_outcomes(failed=1)


def test_reproduce_runs_the_one_case_in_every_selected_marked_test(pytester):
    pytester.makepyfile(test_k=CLASSES)

    result = run(pytester, "--gpuemu-reproduce=5", "--gpuemu-reproduce=6~N=3", "-v")

    result.assert_outcomes(failed=4, passed=2, deselected=1)
    result.stdout.fnmatch_lines(["test_k.py::test_y[[]seed=6~N=3] PASSED*"])


def test_reproduce_keeps_to_the_test_that_failed_with_the_seed(pytester):
    with_store(pytester)
    pytester.makepyfile(test_k=THIRDS + "\n@double\ndef test_right(fuzz_case):\n    fuzz_case.run(good)")
    run(pytester)
    seed = thirds_of(8)[0]

    result = run(pytester, f"--gpuemu-reproduce={seed}")

    assert failed_ids(result) == [f"test_k.py::test_thirds[seed={seed}]"]
    result.assert_outcomes(failed=1, deselected=1)


def test_the_number_of_cases_comes_from_option_marker_ini_or_file_in_this_order(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double(cases=3)
        def test_marked(fuzz_case): pass

        @double
        def test_unmarked(fuzz_case): pass
        """
    )

    def collected(*options):
        lines = pytester.runpytest_inprocess("--collect-only", "-q", *options).outlines
        return [line.partition("fuzz=")[2].rstrip("]") for line in lines if "::" in line]

    assert collected() == ["3", "25"]
    pytester.path.joinpath("gpuemu.toml").write_text("[fuzz]\ncases = 5\n")
    assert collected() == ["3", "5"]
    assert collected("--override-ini=gpuemu_fuzz=6") == ["3", "6"]
    assert collected("--override-ini=gpuemu_fuzz=6", "--gpuemu-fuzz=7") == ["7", "7"]
    assert collected("--override-ini=gpuemu_fuzz=0") == ["0", "0"]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--gpuemu-fuzz=-1", "*--gpuemu-fuzz: '-1' is negative: write a whole number of cases*or 0*"),
        ("--gpuemu-fuzz=many", "*--gpuemu-fuzz: 'many' is not a whole number*"),
        ("--gpuemu-seed=x", "*--gpuemu-seed: 'x' is not a whole number: write a whole number from 0 to 2*"),
        ("--gpuemu-seed=18446744073709551616", "*--gpuemu-seed: '18446744073709551616' is too large*"),
        ("--gpuemu-time=0", "*--gpuemu-time: '0' is not a time: write seconds above 0*"),
        ("--gpuemu-reproduce=abc", "*--gpuemu-reproduce=abc: *'abc'*"),
        ("--gpuemu-reproduce=5~foo", "*--gpuemu-reproduce=5~foo: *edit 'foo' is not NAME=VALUE*"),
        ("--gpuemu-reproduce=18446744073709551616", "*18446744073709551616*"),
        ("--override-ini=gpuemu_fuzz=-3", "*ini option gpuemu_fuzz: '-3' is negative*"),
        ("--override-ini=gpuemu_known_seeds=x", "*ini option gpuemu_known_seeds: 'x' is not a whole number*"),
    ],
)
def test_a_wrong_option_is_a_usage_error(pytester, option, message):
    pytester.makepyfile("def test_x(): pass")

    result = pytester.runpytest_inprocess(option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_wrong_gpuemu_toml_stops_the_session_with_its_message(pytester):
    pytester.makepyfile(test_k=THIRDS)
    pytester.path.joinpath("gpuemu.toml").write_text("[fuzz]\ncaes = 5\n")

    result = pytester.runpytest_inprocess()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *gpuemu.toml*caes*"])
