"""Answers about artifacts: lints, stored PTX, and baselines of its metrics.

Here: what is stored and compared. Elsewhere: the lint, which parses and runs ptxas, in a worker
(engine/jobs/linting.py), the store's rows (engine/store/artifacts.py).
"""

from __future__ import annotations

from typing import Any

from pytest_gpuemu.engine.artifacts.plain_reports import comparison_body, read_metrics
from pytest_gpuemu.engine.baselines.data import NumericalBaseline
from pytest_gpuemu.engine.baselines.file import number_body
from pytest_gpuemu.engine.errors import ArtifactError, ProtocolError
from pytest_gpuemu.engine.protocol import ARTIFACT_NOT_FOUND, BASELINE_NOT_FOUND
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.artifacts import (
    DiffArtifactBaseline,
    GetArtifact,
    LintKernel,
    ListArtifacts,
    RecordArtifact,
    RecordErrors,
    StoreArtifact,
    StoreArtifactBaseline,
)
from pytest_gpuemu.engine.service.state import OK, Answer, State
from pytest_gpuemu.engine.store import artifacts as rows

_ALL = 100_000


class Artifacts:
    def __init__(self, state: State) -> None:
        self._state = state
        self.answers: dict[type[Any], Answer] = {
            LintKernel: self._lint,
            StoreArtifact: self._store_artifact,
            GetArtifact: self._get,
            ListArtifacts: self._list,
            StoreArtifactBaseline: self._store_baseline,
            DiffArtifactBaseline: self._diff,
            RecordArtifact: self._record,
            RecordErrors: self._record_errors,
        }

    def _lint(self, request: LintKernel | StoreArtifact, _: int) -> dict[str, Any]:
        done = self._state.in_worker({"job": "lint", "request": to_message(request)})
        return {"type": "LintResults", "results": done["results"]}

    def _store_artifact(self, request: StoreArtifact, version: int) -> dict[str, Any]:
        found = [
            rows.StoredArtifact(
                kernel=body["kernel_name"],
                arch=body["arch"],
                ptx_digest=body["ptx_digest"],
                origin="ptx",
                source="<string>",
                timestamp=float(body["timestamp"]),
                metrics=body["metrics"],
                ptx=request.ptx_content,
            )
            for body in self._lint(request, version)["results"]
        ]
        for artifact in found:
            rows.add_artifact(self._state.store, artifact)
        return {"type": "Artifacts", "artifacts": [_body(artifact) for artifact in found]}

    def _get(self, request: GetArtifact, _: int) -> dict[str, Any]:
        found = rows.artifacts(self._state.store, 1, kernel=request.kernel_name, arch=request.arch)
        if not found:
            raise self._no_artifact(request.kernel_name, request.arch)
        body = {**_body(found[0]), "ptx_content": found[0].ptx}
        if request.with_sass:
            done = self._state.in_worker({"job": "sass", "ptx": found[0].ptx, "arch": found[0].arch})
            body["sass"] = done["sass"]
        return {"type": "Artifact", "artifact": body}

    def _list(self, request: ListArtifacts, _: int) -> dict[str, Any]:
        found = rows.artifacts(self._state.store, request.limit, kernel=request.kernel_name)
        return {"type": "Artifacts", "artifacts": [_body(artifact) for artifact in found]}

    def _store_baseline(self, request: StoreArtifactBaseline, _: int) -> dict[str, Any]:
        kept = rows.keep_artifacts(
            self._state.store, request.tag, kernel=request.kernel_name, arch=request.arch
        )
        if not kept:
            raise self._no_artifact(request.kernel_name, request.arch)
        return {"type": "ArtifactBaselineStored", "tag": request.tag, "artifacts": kept}

    def _diff(self, request: DiffArtifactBaseline, _: int) -> dict[str, Any]:
        from pytest_gpuemu.engine.artifacts.changes import compare

        store = self._state.store
        kept = [
            row
            for row in rows.kept_artifacts(store, request.tag)
            if request.kernel_name in (None, row.kernel) and request.arch in (None, row.arch)
        ]
        if not kept:
            raise ProtocolError(
                f"no artifact is kept under {request.tag!r} in {store.path}", code=BASELINE_NOT_FOUND
            )
        current = {(row.kernel, row.arch): row for row in rows.artifacts(store, _ALL)}
        comparisons = []
        for before in kept:
            now = current.get((before.kernel, before.arch))
            if now is None:
                continue
            place = f"{store.path}: {before.kernel} {before.arch}"
            try:
                found = compare(
                    read_metrics(place, before.metrics),
                    read_metrics(place, now.metrics),
                    self._state.config.policies,
                )
            except ArtifactError as error:
                raise ProtocolError(str(error)) from None
            comparisons.append(
                {
                    "kernel_name": before.kernel,
                    "arch": before.arch,
                    "same_ptx": before.ptx_digest == now.ptx_digest,
                    "regressions": len(found.regressions),
                    **comparison_body(found),
                }
            )
        return {
            "type": "ArtifactDiff",
            "tag": request.tag,
            "comparisons": comparisons,
            "regressions": sum(row["regressions"] for row in comparisons),
        }

    def _record(self, request: RecordArtifact, _: int) -> dict[str, Any]:
        try:
            read_metrics("RecordArtifact.metrics", request.metrics)
        except ArtifactError as error:
            raise ProtocolError(str(error)) from None
        store = self._state.store
        rows.add_artifact(
            store,
            rows.StoredArtifact(
                kernel=request.kernel_name,
                arch=request.arch,
                ptx_digest=request.ptx_digest,
                origin=request.origin,
                source=request.source,
                timestamp=request.timestamp,
                metrics=request.metrics,
                ptx=request.ptx_content,
            ),
        )
        if request.tag is not None:
            rows.keep_artifacts(store, request.tag, kernel=request.kernel_name, arch=request.arch)
        return OK

    def _record_errors(self, request: RecordErrors, _: int) -> dict[str, Any]:
        number = NumericalBaseline(
            test_id=request.test_id,
            op=request.op_name,
            dtype=request.dtype,
            master_seed=request.master_seed,
            generator=request.generator,
            cases=request.cases,
            max_abs=request.max_abs,
            max_ulp=request.max_ulp,
            tolerance_used=request.tolerance_used,
            tolerance=request.tolerance,
        )
        rows.keep_numbers(
            self._state.store,
            request.tag,
            rows.KeptNumbers(
                test_id=request.test_id,
                op=request.op_name,
                dtype=request.dtype,
                timestamp=request.timestamp,
                body=number_body(number),
            ),
        )
        return OK

    def _no_artifact(self, kernel: str | None, arch: str | None) -> ProtocolError:
        of = "" if kernel is None else f" of kernel {kernel!r}"
        on = "" if arch is None else f" for {arch}"
        return ProtocolError(
            f"no artifact{of}{on} is stored in {self._state.store.path}", code=ARTIFACT_NOT_FOUND
        )


def _body(artifact: rows.StoredArtifact) -> dict[str, Any]:
    return {
        "kernel_name": artifact.kernel,
        "arch": artifact.arch,
        "ptx_digest": artifact.ptx_digest,
        "origin": artifact.origin,
        "source": artifact.source,
        "metrics": dict(artifact.metrics),
        "timestamp": int(artifact.timestamp),
    }
