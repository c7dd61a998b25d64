"""A result as the wire and the store hold it, `ValidationResult` in the messages.

Here: building it from what a judgement found, without NumPy. Elsewhere: reading it (client/data.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_FINDING_KEYS = ("kind", "message", "index", "expected", "actual", "output")


def result_body(
    *,
    passed: bool,
    status: str,
    test_id: str,
    op_name: str,
    seed: int,
    edits: str,
    findings: Sequence[Mapping[str, Any]],
    stats: Mapping[str, Any] | None,
    timestamp: float,
    duration_ms: float,
    repro_info: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    text: str = "",
) -> dict[str, Any]:
    """The body of one result.

    findings have the fields of verdict.Finding, stats those of verdict.ErrorStats. The largest difference
    of a failure that has no statistics (a wrong shape, an exception) is infinite.
    """
    unknown = 0.0 if passed else math.inf
    return {
        "passed": passed,
        "status": status,
        "test_id": test_id,
        "op_name": op_name,
        "seed": seed,
        "edits": edits,
        "max_diff": stats["max_abs"] if stats else unknown,
        "max_rel_diff": stats["max_rel"] if stats else unknown,
        "failures": [{key: found.get(key) for key in _FINDING_KEYS} for found in findings],
        "timestamp": int(timestamp),
        "duration_ms": math.ceil(duration_ms),
        "repro_info": None if repro_info is None else dict(repro_info),
        "error_stats": None if stats is None else dict(stats),
        "notes": list(notes),
        "text": text,
    }


def body_of_failure(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a failure that was found elsewhere: fields are those of RecordFailure."""
    case = ("seed", "edits", "generator", "shape", "strides", "dtype", "layout", "values", "fuzz_config")
    return result_body(
        passed=False,
        status="failed",
        test_id=fields["test_id"],
        op_name=fields["op_name"],
        seed=fields["seed"],
        edits=fields["edits"],
        findings=fields["findings"],
        stats=fields["stats"],
        timestamp=fields["timestamp"],
        duration_ms=fields["duration_ms"],
        repro_info=repro_info(**{key: fields[key] for key in case}),
        text=fields["text"],
    )


def repro_info(
    *,
    seed: int,
    edits: str,
    generator: int,
    shape: Sequence[int],
    strides: Sequence[int],
    dtype: str,
    layout: str,
    values: str,
    fuzz_config: Mapping[str, Any],
) -> dict[str, Any]:
    """What reproduces a case; input_snapshot is there only where a caller's own arrays were judged."""
    return {
        "seed": seed,
        "edits": edits,
        "generator": generator,
        "shape": list(shape),
        "strides": list(strides),
        "dtype": dtype,
        "layout": layout,
        "values": values,
        "fuzz_config": dict(fuzz_config),
        "input_snapshot": None,
    }
