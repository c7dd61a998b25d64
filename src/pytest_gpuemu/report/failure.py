"""What is told of one failing case outside its text: plain values, which travel between processes.

Here: the values that the terminal needs, and the further ones of a report. Elsewhere: the text of the failure
(engine/report.py), putting a session's failures together (document.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from pytest_gpuemu.engine.diagnose import Diagnosis
from pytest_gpuemu.engine.diagnose.slices import slice_to_show
from pytest_gpuemu.engine.heatmap import heat_map
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.protocol.plain import plain
from pytest_gpuemu.engine.ulps import ulp_histogram
from pytest_gpuemu.engine.verdict import Comparison, Verdict
from pytest_gpuemu.report.grid import MAX_CELLS, error_grid


def brief_fields(
    *, test_id: str, plan: Plan, kind: str, text: str, verdict: Verdict | None, columns: int
) -> dict[str, Any]:
    """What the terminal and an annotation need.

    kind is equal for failures that are alike; text is the report. columns is the width of the heat map, 0 for
    none: the first output with wrong elements has one.
    """
    lines = text.strip().splitlines()
    headline = next((line for line in lines if " fails for seed " in line), lines[-1] if lines else "")
    return {
        "test_id": test_id,
        "op": plan.op_name,
        "case_id": plan.case_id,
        "kind": kind,
        "headline": headline.strip(),
        "map": _map(verdict, columns) if verdict is not None and columns > 0 else None,
    }


def full_fields(
    *,
    plan: Plan,
    text: str,
    verdict: Verdict | None,
    diagnosis: Diagnosis | None,
    commands: Sequence[str],
    is_first: bool,
    duration_s: float,
) -> dict[str, Any]:
    """What a report has beside that. is_first: the first of its kind, which is shown in most detail."""
    rerun, anywhere, shrink = [*commands, "", "", ""][:3]
    found: Sequence[Comparison] = () if verdict is None else verdict.comparisons
    return {
        "seed": plan.seed,
        "edits": plan.edits,
        "text": text,
        "duration_s": duration_s,
        "inputs": [
            {
                "name": name,
                "dtype": plan.dtypes[name],
                "shape": list(shape),
                "layout": plan.layouts.get(name),
                "values": plan.values.get(name),
            }
            for name, shape in plan.shapes.items()
        ],
        "params": plain(plan.params),
        "config": None if plan.config is None else str(plan.config),
        "findings": []
        if verdict is None
        else [
            {
                "kind": finding.kind,
                "message": finding.message,
                "output": finding.output,
                "index": None if finding.index is None else list(finding.index),
            }
            for finding in verdict.findings
        ],
        "hints": [] if verdict is None else list(verdict.hints),
        "outputs": [_output(comparison, MAX_CELLS if is_first else MAX_CELLS // 16) for comparison in found],
        "diagnosis": None if diagnosis is None else plain(diagnosis.plain()),
        "commands": {"rerun": rerun, "anywhere": anywhere, "shrink": shrink},
    }


def _map(verdict: Verdict, columns: int) -> dict[str, Any] | None:
    for comparison in verdict.comparisons:
        if comparison.exceeding is not None:
            shown = slice_to_show(comparison.name, comparison.exceeding)
            drawn = None if shown is None else heat_map(shown, comparison.exceeding, columns=columns)
            if drawn is not None and drawn.elements > 1:
                return drawn.plain()
    return None


def _output(comparison: Comparison, most_cells: int) -> dict[str, Any]:
    histogram = ulp_histogram(comparison)
    shown = None if comparison.exceeding is None else slice_to_show(comparison.name, comparison.exceeding)
    return {
        "name": comparison.name,
        "dtype": comparison.dtype,
        "shape": list(comparison.shape),
        "tolerance": comparison.tolerance,
        "method": comparison.method,
        "stats": plain(dataclasses.asdict(comparison.stats)),
        "worst": None if comparison.worst is None else plain(dataclasses.asdict(comparison.worst)),
        "ulps": None if histogram is None else histogram.plain(),
        "grid": error_grid(comparison, most_cells),
        "shown": None
        if shown is None
        else {
            "rows": shown.rows,
            "columns": shown.columns,
            "at": {str(axis): index for axis, index in shown.at.items()},
        },
    }
