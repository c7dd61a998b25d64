"""The failures as SARIF 2.1.0, which code scanning services read (OASIS standard, 27 March 2020).

Here: one result for each kind of failure of a test, so that other seeds of the same bug are the same alert.
Elsewhere: the failures (document.py), annotations of a workflow (annotations.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LISTED = 5
# Exit statuses of pytest: all passed, some failed, no tests collected.
_RAN = (0, 1, 5)
RULES = {
    "ToleranceExceeded": "An element of the output is further from its float64 reference than its tolerance.",
    "NaNDetected": "The output has a NaN where the reference has none, or the other way round.",
    "InfDetected": "The output has an infinity where the reference has none, or the other way round.",
    "ShapeMismatch": "The output has another shape than the op's schema gives it.",
    "DTypeMismatch": "The output has another dtype than the op gives it.",
    "DeviceMismatch": "The output lies on another device than the inputs.",
    "LayoutMismatch": "The output has none of the layouts that the op gives it.",
    "InvariantViolation": "The output breaks an invariant of the op that its reference keeps.",
    "InputModified": "The kernel wrote into an input.",
    "Unwritten": "The kernel left elements of its output as they were.",
    "GuardOverwritten": "The kernel wrote outside its output.",
    "Nondeterministic": "The kernel gave other results for the same case.",
    "Aliased": "The output shares memory with an input.",
    "Cached": "The output is that of an earlier call.",
    "ExecutionError": "The kernel or its test raised an error.",
}


def sarif(report: Mapping[str, Any]) -> dict[str, Any]:
    """The SARIF log of a session's document."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for failure in report["failures"]:
        groups.setdefault((failure["test_id"], failure["kind"]), []).append(failure)
    results = [_result(alike) for alike in groups.values()]
    used = {result["ruleId"] for result in results}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": report["tool"]["name"],
                        "version": report["tool"]["version"],
                        "rules": [
                            {"id": name, "shortDescription": {"text": text}}
                            for name, text in RULES.items()
                            if name in used
                        ],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": report["exit_status"] in _RAN and not report["interrupted"],
                        "exitCode": report["exit_status"],
                        "endTimeUtc": report["created"],
                    }
                ],
                "results": results,
            }
        ],
    }


def _result(alike: list[Mapping[str, Any]]) -> dict[str, Any]:
    first = next((failure for failure in alike if failure["is_first"]), alike[0])
    rule = first["findings"][0]["kind"] if first["findings"] else "ExecutionError"
    said = [first["headline"]]
    if first["smallest"] is not None:
        said.append(f"Smallest failing case: {first['smallest']['text']}")
    if first["diagnosis"] is not None and first["diagnosis"]["suspicion"] is not None:
        said.append(f"Suspicion: {first['diagnosis']['suspicion']['text']}")
    if len(alike) > 1:
        listed = _listed([failure["case_id"] for failure in alike])
        said.append(f"{len(alike)} cases fail alike: {listed}")
    if first["commands"]["rerun"]:
        said.append(f"Re-run: {first['commands']['rerun']}")
    # Without the folder and line of an error's place, which differ between machines and commits.
    error, _, place = first["kind"].partition(" at ")
    same = f"{first['test_id']}\n{error}\n{PurePath(place.rpartition(':')[0]).name}"
    fingerprint = hashlib.sha256(same.encode()).hexdigest()
    return {
        "ruleId": rule if rule in RULES else "ExecutionError",
        "level": "error",
        "message": {"text": "\n".join(said)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(first["file"])},
                    "region": {"startLine": first["line"]},
                },
                "logicalLocations": [{"fullyQualifiedName": first["test_id"], "kind": "function"}],
            }
        ],
        "partialFingerprints": {"gpuemuTestAndKind/v1": fingerprint},
        "occurrenceCount": len(alike),
        "properties": {"op": first["op"], "cases": [failure["case_id"] for failure in alike]},
    }


def _listed(case_ids: Iterable[str]) -> str:
    given = list(case_ids)
    more = f" and {len(given) - _LISTED} more" if len(given) > _LISTED else ""
    return ", ".join(f"seed={case_id}" for case_id in given[:_LISTED]) + more
