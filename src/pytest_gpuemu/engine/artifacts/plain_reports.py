"""Metrics and reports as plain values, for the wire, the store and files, and metrics from these again.

Here: both directions. Elsewhere: the data classes (data.py), where the values go
(engine/service/artifacts.py, engine/baselines/).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_gpuemu.engine.artifacts.data import (
    ArtifactComparison,
    KernelMetrics,
    LintReport,
    MemoryOperations,
    Occupancy,
    PatternFound,
)
from pytest_gpuemu.engine.errors import ArtifactError

# The figures that a comparison names with their unit.
_MEASURED = (
    "register_count",
    "spill_count",
    "local_memory_bytes",
    "shared_memory_bytes",
    "instruction_count",
    "sass_instruction_count",
    "barriers",
    "atomics",
    "branches",
)
_FIELDS = {field.name: field for field in dataclasses.fields(KernelMetrics)}


def report_body(report: LintReport, timestamp: float) -> dict[str, Any]:
    """A report as the wire's LintResults has it. timestamp is in seconds since the epoch.

    register_count, spill_count and local_memory_bytes are None where no tool that knows them was found;
    metrics.source names the tool and the unit of each figure.
    """
    return {
        "kernel_name": report.kernel_name,
        "arch": report.arch,
        "passed": report.passed,
        "metrics": metrics_body(report.metrics, with_lines=True),
        "violations": [_plain(violation) for violation in report.violations],
        "unchecked": dict(report.unchecked),
        "notes": list(report.notes),
        "ptx_digest": report.ptx_digest,
        "timestamp": int(timestamp),
    }


def metrics_body(metrics: KernelMetrics, *, with_lines: bool = False) -> dict[str, Any]:
    """Metrics by name; the lines where patterns were found only where they are asked for."""
    body = {name: _plain(getattr(metrics, name)) for name in _FIELDS if name != "sources"}
    if not with_lines:
        for pattern in body["patterns_found"]:
            del pattern["lines"]
    body["source"] = dict(metrics.sources)
    return body


def read_metrics(place: str, body: Any) -> KernelMetrics:
    """The metrics that metrics_body gave. Raises ArtifactError, beginning with place, for anything else."""
    if not isinstance(body, Mapping):
        raise ArtifactError(f"{place} is no table of metrics")
    given = {("sources" if name == "source" else name): value for name, value in body.items()}
    try:
        made = KernelMetrics(
            **{
                **{name: value for name, value in given.items() if name in _FIELDS},
                "memory_operations": tuple(MemoryOperations(**x) for x in given["memory_operations"]),
                "patterns_found": tuple(
                    PatternFound(name=x["name"], count=x["count"], width_bytes=x["width_bytes"])
                    for x in given["patterns_found"]
                ),
                "occupancy": _occupancy(given.get("occupancy")),
            }
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{place} holds no complete metrics ({error}): store the baseline again"
        ) from None
    for name, value in given.items():
        if name in _FIELDS and not _fits(str(_FIELDS[name].type), value):
            raise ArtifactError(f"{place}: {name} = {value!r} is no such figure: store the baseline again")
    for name in _MEASURED:
        if getattr(made, name) is not None and not isinstance(made.sources.get(name), str):
            raise ArtifactError(f"{place}: source names no tool for {name}: store the baseline again")
    return made


def comparison_body(comparison: ArtifactComparison) -> dict[str, Any]:
    """What changed, as the wire has it."""
    return {
        "changes": [_plain(change) for change in comparison.changes],
        "incomparable": dict(comparison.incomparable),
        "fails": comparison.fails,
    }


def _occupancy(value: Any) -> Occupancy | None:
    if value is None:
        return None
    given = {name: value[name] for name in (field.name for field in dataclasses.fields(Occupancy))}
    return Occupancy(**{**given, "limited_by": tuple(given["limited_by"])})


def _fits(annotation: str, value: Any) -> bool:
    """Whether a plain value is of a field's type: a number, a table or a list."""
    if value is None:
        return "None" in annotation
    if annotation.startswith(("int", "float")):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if annotation.startswith("Mapping"):
        return isinstance(value, Mapping)
    return annotation != "bool" or isinstance(value, bool)


def _plain(value: Any) -> Any:
    """Data classes as tables, tuples as lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(found) for key, found in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(found) for found in value]
    return value
