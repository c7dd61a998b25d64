"""gpuemu schema: the text that an editor reads."""

from __future__ import annotations

import json

from pytest_gpuemu.engine.config.json_schema import json_schema
from pytest_gpuemu.report.document import schema


def test_it_prints_the_schema(gpuemu):
    status, out, _ = gpuemu("schema")

    assert status == 0
    assert json.loads(out) == json_schema()


def test_it_prints_the_schema_of_reports(gpuemu):
    status, out, _ = gpuemu("schema", "--report")

    assert status == 0
    assert json.loads(out) == schema()
