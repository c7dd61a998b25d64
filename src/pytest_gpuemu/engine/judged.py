"""A verdict as a result of the wire and the store.

Here: from the engine's data classes to JSON values. Elsewhere: the verdict (judge.py), the result's form
(protocol/results.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.protocol import CLIENT
from pytest_gpuemu.engine.protocol.plain import plain, wire_overrides
from pytest_gpuemu.engine.protocol.results import repro_info, result_body
from pytest_gpuemu.engine.report import describe_failure
from pytest_gpuemu.engine.verdict import UNDETERMINED, ErrorStats, Verdict


def judged_body(
    case: Case,
    verdict: Verdict,
    *,
    overrides: Mapping[str, Any],
    timestamp: float,
    duration_ms: float,
    traceback: str = "",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result of a case that a client had judged, and what is stored beside it where it failed.

    traceback is that of an op or a reference that gave nothing to judge.
    """
    stats = stats_of(verdict)
    fields = fields_of(case, overrides)
    findings = [plain(dataclasses.asdict(finding)) for finding in verdict.findings]
    notes = list(verdict.hints)
    if verdict.status == UNDETERMINED:
        notes.append("undetermined: the error bound of most elements is infinite, so nothing was proven")
    seed, edits = case.plan.seed, case.plan.edits
    text = ""
    if verdict.failed:
        text = "\n".join(
            describe_failure(case, verdict, commands=[f'Client().reproduce("{case.plan.case_id}")'])
            + traceback.splitlines()
        )
    body = result_body(
        passed=verdict.passed,
        status=verdict.status,
        test_id=CLIENT,
        op_name=case.op.name,
        seed=seed,
        edits=edits,
        findings=findings,
        stats=stats,
        timestamp=timestamp,
        duration_ms=duration_ms,
        repro_info=None if verdict.passed else repro_info(seed=seed, edits=edits, **fields),
        notes=notes,
        text=text,
    )
    failure = {
        **fields,
        "findings": findings,
        "stats": stats,
        "text": text,
        "duration_ms": duration_ms,
    }
    return body, failure


def stats_of(verdict: Verdict) -> dict[str, Any] | None:
    """The statistics of the output that is furthest off; None where no values were compared."""
    if not verdict.comparisons:
        return None
    worst = max(
        (comparison.stats for comparison in verdict.comparisons),
        key=lambda stats: (stats.num_exceeding, stats.max_ulp),
    )
    return dict(plain({field.name: getattr(worst, field.name) for field in dataclasses.fields(ErrorStats)}))


def fields_of(case: Case, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """What a stored failure tells of its case: the first input's shape, strides, dtype, layout, values."""
    first = next(iter(case.inputs))
    plan = case.plan
    return {
        "generator": GENERATOR_VERSION,
        "shape": list(plan.shapes[first]),
        "strides": list(case.inputs[first].strides),
        "dtype": plan.dtypes[first],
        "layout": plan.layouts[first],
        "values": plan.values[first],
        "fuzz_config": wire_overrides(overrides),
    }
