"""The JSON document of a session, against its schema."""

from __future__ import annotations

import json

import numpy as np
import pytest
from documents import failure, op, session

from pytest_gpuemu.report.document import as_json, schema

jsonschema = pytest.importorskip("jsonschema")


def errors_of(report):
    validator = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())
    return [f"{error.json_path}: {error.message[:80]}" for error in validator.iter_errors(report)]


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize(
    "report",
    [
        session(),
        session(failures=[failure(7), failure(9, is_first=False)]),
        session(failures=[failure(wrong=np.nan)]),
        session(ops=[], failures=[], master_seed=None, is_interrupted=True, note="no room"),
        session(ops=[op(coverage=None, cases_per_s=None)], failures=[failure(smallest=None, diagnosis=None)]),
    ],
    ids=["one", "two", "nan", "empty", "bare"],
)
def test_every_report_fits_the_schema_as_it_is_read_back(report):
    assert errors_of(json.loads(as_json(report))) == []


def test_the_schema_refuses_another_report():
    report = session()
    del report["failures"][0]["commands"]
    report["ops"][0]["counts"]["succeeded"] = 3

    found = errors_of(report)

    assert len(found) == 2
    assert any("commands" in error for error in found)
    assert any("succeeded" in error for error in found)


def test_numbers_that_json_has_not_are_named():
    """Guards: json.dumps writes NaN and Infinity, which no other reader takes."""
    report = json.loads(as_json(session(failures=[failure(wrong=np.nan)])), parse_constant=pytest.fail)

    found = report["failures"][0]
    assert found["outputs"][0]["worst"]["output"] == "nan"
    assert "inf" in found["outputs"][0]["grid"]["largest"]
    assert found["diagnosis"]["where"][0]["evidence"] == {"from": 32, "ratio": "inf"}


def test_what_is_wrong_is_where_it_is():
    (found,) = session()["failures"]
    grid, shown = found["outputs"][0]["grid"], found["outputs"][0]["shown"]

    wrong = np.reshape(grid["wrong"], grid["cells"])
    assert grid["shape"] == grid["cells"] == [4, 6, 33]
    assert np.argwhere(wrong).tolist() == [[2, row, 32] for row in range(6)]
    assert {shown["rows"], shown["columns"]} == {0, 2}
    assert sum(found["outputs"][0]["ulps"]["counts"]) == 792
    assert found["outputs"][1]["stats"]["num_exceeding"] == 0
