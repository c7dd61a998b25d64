"""A session's report as one JSON document: what every other form of it is made from.

Here: the document's parts in their order, and its schema. Elsewhere: a failure's fields (failure.py), the
page (html.py), SARIF (sarif.py).
"""

from __future__ import annotations

import importlib.resources
import json
import math
import platform
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine.plan import GENERATOR_VERSION

SCHEMA_VERSION = 1


def document(
    *,
    version: str,
    created: str,
    master_seed: int | None,
    exit_status: int,
    is_interrupted: bool,
    duration_s: float,
    note: str | None,
    ops: Iterable[Mapping[str, Any]],
    failures: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """The document. created is an ISO 8601 time, note says why not everything was stored, if so.

    ops and failures are as summary.OpTally.plain and failure.py give them.
    """
    found = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "pytest-gpuemu", "version": version, "generator": GENERATOR_VERSION},
        "created": created,
        "master_seed": master_seed,
        "exit_status": exit_status,
        "interrupted": is_interrupted,
        "duration_s": duration_s,
        "note": note,
        "environment": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "platform": f"{sys.platform} {platform.machine()}",
        },
        "ops": [dict(op) for op in ops],
        "failures": [dict(failure) for failure in failures],
    }
    return {key: _finite(value) for key, value in found.items()}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document."""
    found: dict[str, Any] = json.loads(schema_text())
    return found


def schema_text() -> str:
    """The schema as the file that holds it."""
    return importlib.resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")


def as_json(report: Mapping[str, Any]) -> str:
    """The document, or what was made of it, as text."""
    return json.dumps(report, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _finite(value: Any) -> Any:
    """With the name of each number that JSON has not in its place: "nan", "inf", "-inf"."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: _finite(found) for key, found in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(found) for found in value]
    return value
