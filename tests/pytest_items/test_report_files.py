"""The files of --gpuemu-report, --gpuemu-json and --gpuemu-sarif, and GitHub's annotations."""

from __future__ import annotations

import json

import pytest
from suites import THIRDS, run, thirds_of

from pytest_gpuemu.report.document import schema

pytest_plugins = ["pytester"]


def report_of(pytester, name="r.json"):
    return json.loads((pytester.path / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_the_report_has_the_campaign_and_each_failure(pytester, workers):
    if workers:
        pytest.importorskip("xdist")
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester, "--gpuemu-json=r.json", *workers)

    report = report_of(pytester)
    seeds = thirds_of(8)
    result.stdout.fnmatch_lines(["gpuemu: wrote r.json"])
    assert report["master_seed"] == 7
    assert report["exit_status"] == 1
    assert [failure["seed"] for failure in report["failures"]] == seeds
    assert [failure["is_first"] for failure in report["failures"]] == [True] + [False] * (len(seeds) - 1)
    first = report["failures"][0]
    assert first["node_id"] == f"test_k.py::test_thirds[seed={seeds[0]}]"
    assert (first["file"], first["test_id"]) == ("test_k.py", "test_k.py::test_thirds")
    assert first["commands"]["anywhere"] == f"pytest --gpuemu-reproduce={seeds[0]}"
    assert first["smallest"]["text"].startswith("x float32 [1]")
    assert set(first["outputs"][0]["grid"]["wrong"]) == {1}
    (op,) = report["ops"]
    assert op["counts"] == {"passed": 8 - len(seeds), "failed": len(seeds)}
    assert sum(case["status"] == "failed" for case in op["cases"]) == len(seeds)
    assert len(op["cases"]) == 8
    validate = pytest.importorskip("jsonschema").Draft202012Validator(schema())
    assert [error.message for error in validate.iter_errors(report)] == []


def test_an_error_of_the_test_is_a_failure_of_the_report(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        def test_it(fuzz_case):
            raise ValueError("no kernel")
        """
    )

    run(pytester, "--gpuemu-json=r.json", "--gpuemu-sarif=r.sarif", cases=2)

    failures = report_of(pytester)["failures"]
    assert len(failures) == 2
    assert failures[0]["headline"] == "ValueError: no kernel"
    assert failures[0]["findings"] == failures[0]["outputs"] == []
    (result,) = report_of(pytester, "r.sarif")["runs"][0]["results"]
    assert result["ruleId"] == "ExecutionError"
    assert result["occurrenceCount"] == 2


def test_a_session_without_marked_tests_writes_an_empty_report(pytester):
    pytester.makepyfile(test_k="def test_it(): pass")

    result = run(pytester, "--gpuemu-json=folder/r.json", "--gpuemu-sarif=r.sarif")

    result.assert_outcomes(passed=1)
    report = report_of(pytester, "folder/r.json")
    assert (report["ops"], report["failures"], report["master_seed"]) == ([], [], None)
    assert report_of(pytester, "r.sarif")["runs"][0]["results"] == []


def test_the_page_is_written(pytester):
    pytest.importorskip("bokeh")
    pytester.makepyfile(test_k=THIRDS)

    run(pytester, "--gpuemu-report=report.html")

    text = (pytester.path / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert all(f"seed={seed}" in text for seed in thirds_of(8))


def test_an_item_that_passes_when_it_is_rerun_is_no_failure(pytester):
    pytest.importorskip("pytest_rerunfailures")
    pytester.makepyfile(
        test_k="""
        from kernels import *

        calls = []

        @double
        def test_it(fuzz_case):
            calls.append(1)
            fuzz_case.run(wrong if len(calls) == 1 else good)
        """
    )

    result = run(pytester, "--gpuemu-json=r.json", "--reruns=1", "--gpuemu-reproduce=5")

    result.assert_outcomes(passed=1)
    assert report_of(pytester)["failures"] == []


@pytest.mark.parametrize(
    ("path", "why"), [("folder", "Is a directory"), ("file/r.json", "its folder is a file")]
)
@pytest.mark.parametrize("option", ["report", "json", "sarif"])
def test_a_path_that_cannot_be_written_is_told_before_any_test_runs(pytester, option, path, why):
    pytester.makepyfile(test_k="def test_it(): open('ran', 'w')")
    pytester.path.joinpath("folder").mkdir()
    pytester.path.joinpath("file").touch()

    result = run(pytester, f"--gpuemu-{option}={path}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --gpuemu-{option}={path} cannot be written: {why}"])
    assert not pytester.path.joinpath("ran").exists()


def test_two_reports_cannot_have_one_file(pytester):
    result = run(pytester, "--gpuemu-json=r", "--gpuemu-sarif=./r")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --gpuemu-json=r and --gpuemu-sarif=./r: each needs a file of its own"]
    )


def test_a_page_without_its_libraries_is_refused_with_what_to_install(pytester, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    result = run(pytester, "--gpuemu-report=r.html")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --gpuemu-report=r.html needs bokeh and jinja2: pip install 'pytest-gpuemu[[]report]'"]
    )


def test_the_check_leaves_no_file(pytester):
    pytester.makepyfile(test_k="import os\ndef test_it(): assert not os.path.exists('r.json')")

    run(pytester, "--gpuemu-json=r.json").assert_outcomes(passed=1)


def test_an_interrupted_session_writes_what_it_had_found(pytester):
    pytester.makepyfile(
        test_k=f"""
        from kernels import *

        @double
        def test_it(fuzz_case):
            if fuzz_case.seed == {thirds_of(8)[-1]}:
                raise KeyboardInterrupt
            check_thirds(fuzz_case)
        """
    )

    options = ["--gpuemu-json=r.json", "--gpuemu-sarif=r.sarif", "--gpuemu-fuzz=8", "--gpuemu-seed=7"]
    result = pytester.runpytest_subprocess(*options)

    report = report_of(pytester)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert report["interrupted"] is True
    assert [failure["seed"] for failure in report["failures"]] == thirds_of(8)[:-1]
    assert report["ops"][0]["counts"]["failed"] == len(thirds_of(8)) - 1
    validate = pytest.importorskip("jsonschema").Draft202012Validator(schema())
    assert [error.message for error in validate.iter_errors(report)] == []
    run_of = report_of(pytester, "r.sarif")["runs"][0]
    assert run_of["invocations"][0]["executionSuccessful"] is False


def test_a_workflow_of_github_gets_an_annotation_for_each_kind(pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    pytester.makepyfile(test_k=THIRDS)

    result = run(pytester)

    first, *others = thirds_of(8)
    lines = [line for line in result.outlines if line.startswith("::error ")]
    file = f"{pytester.path.name}/test_k.py"
    assert len(lines) == 2
    assert lines[0].startswith(
        f"::error file={file},line=3,title=double fails for seed {first}::double fails for seed {first}: "
    )
    assert lines[0].endswith(f'%0Apytest "test_k.py::test_thirds[seed={first}]"')
    title = "test_k.py%3A%3Atest_thirds"
    assert lines[1].startswith(f"::error file={file},line=3,title={title}::{len(others)} more cases fail ")


def test_other_failures_are_not_annotated_and_nothing_is_outside_a_workflow(pytester, monkeypatch):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    pytester.makepyfile(test_k=THIRDS + "\ndef test_plain():\n    assert False\n")

    assert "::error" not in run(pytester).stdout.str()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert run(pytester).stdout.str().count("::error") == 2
