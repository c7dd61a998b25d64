"""SARIF 2.1.0: the properties that the standard requires, and the limits it sets on them."""

from __future__ import annotations

import json

from documents import failure, session

from pytest_gpuemu.report.document import as_json
from pytest_gpuemu.report.sarif import RULES, sarif


def run_of(report):
    log = json.loads(as_json(sarif(report)))
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    return run


def test_what_the_standard_requires_is_there():
    """Sections 3.13, 3.14, 3.18, 3.19, 3.20, 3.27 and 3.49 of SARIF 2.1.0: tool.driver.name; an invocation's
    executionSuccessful; a result's message; rule ids that are unique; lines that count from 1; a uri that is
    a URI reference with / between its parts."""
    run = run_of(session())

    assert run["tool"]["driver"]["name"] == "pytest-gpuemu"
    assert [invocation["executionSuccessful"] for invocation in run["invocations"]] == [True]
    (result,) = run["results"]
    assert result["message"]["text"].startswith("mine fails for seed 7")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == ["ToleranceExceeded"] == [result["ruleId"]]
    assert result["level"] in ("none", "note", "warning", "error")
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "tests/t.py"},
        "region": {"startLine": 12},
    }
    assert result["occurrenceCount"] >= 1
    assert all(isinstance(value, str) for value in result["partialFingerprints"].values())


def test_other_seeds_of_a_bug_are_the_same_alert():
    first = run_of(session(failures=[failure(7), failure(9, is_first=False)]))["results"]
    later = run_of(session(failures=[failure(123)]))["results"]

    assert len(first) == len(later) == 1
    assert first[0]["partialFingerprints"] == later[0]["partialFingerprints"]
    assert first[0]["occurrenceCount"] == 2
    assert "2 cases fail alike: seed=7, seed=9" in first[0]["message"]["text"]


def test_an_error_is_the_same_alert_in_another_folder_and_at_another_line():
    one = failure(kind="builtins.ValueError at /home/a/t.py:12", findings=[])
    other = failure(kind="builtins.ValueError at /home/b/t.py:14", findings=[])
    third = failure(kind="builtins.KeyError at /home/b/t.py:14", findings=[])

    prints = [
        run_of(session(failures=[each]))["results"][0]["partialFingerprints"] for each in (one, other, third)
    ]

    assert prints[0] == prints[1] != prints[2]


def test_the_smallest_case_and_the_suspicion_are_told():
    (result,) = run_of(session())["results"]

    assert "Smallest failing case: x float32 [1, 1, 33]" in result["message"]["text"]
    assert "Suspicion: the tail is not masked" in result["message"]["text"]


def test_an_interrupted_session_says_that_it_was():
    run = run_of(session(is_interrupted=True, exit_status=2, failures=[]))

    assert run["results"] == []
    assert run["invocations"][0]["executionSuccessful"] is False


def test_a_file_name_becomes_a_uri():
    (result,) = run_of(session(failures=[failure(file="my tests/t#1.py")]))["results"]

    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "my%20tests/t%231.py"


def test_every_kind_of_finding_has_a_rule():
    """The kinds are those that engine/verdict.py names."""
    from pytest_gpuemu.engine.verdict import Finding

    named = {name for name in RULES if name in (Finding.__doc__ or "")}
    assert named == set(RULES)
