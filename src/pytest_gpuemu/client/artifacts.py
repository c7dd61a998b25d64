"""Artifacts and baselines through the daemon.

Here: what each request sends and reads. Elsewhere: the methods that users call (client.py), the answers
(engine/service/artifacts.py).
"""

from __future__ import annotations

from typing import Any

from pytest_gpuemu.client.transport import Transport, ask
from pytest_gpuemu.engine.artifacts.data import LintReport
from pytest_gpuemu.engine.artifacts.plain_reports import metrics_body
from pytest_gpuemu.engine.baselines.data import NumericalBaseline
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.artifacts import RecordArtifact, RecordErrors


def lint(
    transport: Transport, ptx_content: str, kernel_name: str | None, arch: str | None
) -> list[dict[str, Any]]:
    """The results of a lint, one for each kernel and architecture."""
    message = {"type": "LintKernel", "ptx_content": ptx_content, "kernel_name": kernel_name, "arch": arch}
    return [dict(result) for result in ask(transport, message, "LintResults")["results"]]


def store(
    transport: Transport, ptx_content: str, kernel_name: str | None, arch: str | None
) -> list[dict[str, Any]]:
    """The stored artifacts, without their PTX."""
    message = {"type": "StoreArtifact", "ptx_content": ptx_content, "kernel_name": kernel_name, "arch": arch}
    return [dict(artifact) for artifact in ask(transport, message, "Artifacts")["artifacts"]]


def get(transport: Transport, kernel_name: str, arch: str | None, *, with_sass: bool) -> dict[str, Any]:
    """The newest artifact of a kernel, with its PTX."""
    message = {"type": "GetArtifact", "kernel_name": kernel_name, "arch": arch, "with_sass": with_sass}
    return dict(ask(transport, message, "Artifact")["artifact"])


def listed(transport: Transport, limit: int, kernel_name: str | None) -> list[dict[str, Any]]:
    """The newest artifacts without their PTX."""
    message = {"type": "ListArtifacts", "limit": limit, "kernel_name": kernel_name}
    return [dict(artifact) for artifact in ask(transport, message, "Artifacts")["artifacts"]]


def keep(transport: Transport, tag: str, kernel_name: str | None, arch: str | None) -> int:
    """How many artifacts are now kept under the tag."""
    message = {"type": "StoreArtifactBaseline", "tag": tag, "kernel_name": kernel_name, "arch": arch}
    return int(ask(transport, message, "ArtifactBaselineStored")["artifacts"])


def diff(transport: Transport, tag: str, kernel_name: str | None, arch: str | None) -> list[dict[str, Any]]:
    """The stored artifacts beside those kept under the tag, one row for each kernel and architecture."""
    message = {"type": "DiffArtifactBaseline", "tag": tag, "kernel_name": kernel_name, "arch": arch}
    return [dict(row) for row in ask(transport, message, "ArtifactDiff")["comparisons"]]


def record_artifact(
    transport: Transport, name: str, ptx: str, report: LintReport, *, timestamp: float, tag: str | None
) -> None:
    """Store what this process measured of a kernel; with a tag, keep it as that baseline too."""
    request = RecordArtifact(
        kernel_name=name,
        arch=report.arch,
        ptx_digest=report.ptx_digest,
        origin=report.origin,
        source=report.source,
        timestamp=timestamp,
        metrics=metrics_body(report.metrics),
        ptx_content=ptx,
        tag=tag,
    )
    ask(transport, to_message(request), "Ok")


def record_errors(transport: Transport, number: NumericalBaseline, *, timestamp: float, tag: str) -> None:
    """Keep the largest errors of a campaign as a baseline."""
    request = RecordErrors(
        tag=tag,
        test_id=number.test_id,
        op_name=number.op,
        dtype=number.dtype,
        timestamp=timestamp,
        master_seed=number.master_seed,
        generator=number.generator,
        cases=number.cases,
        max_abs=number.max_abs,
        max_ulp=number.max_ulp,
        tolerance_used=number.tolerance_used,
        tolerance=number.tolerance,
    )
    ask(transport, to_message(request), "Ok")
