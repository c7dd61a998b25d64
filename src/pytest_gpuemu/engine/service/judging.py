"""Answers that hand out cases, and judge an output.

Here: what is stored of them. Elsewhere: drawing and judging, which need NumPy (engine/jobs.py, in a worker).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.protocol import CLIENT, framing
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.judging import GetTestBatch, GetTestCase, SubmitOutput, ValidateOp
from pytest_gpuemu.engine.service.state import Answer, State, stored_failure, stored_result

_MAX_SNAPSHOT = 4 * 2**20


class Judging:
    def __init__(self, state: State) -> None:
        self._state = state
        self.answers: dict[type[Any], Answer] = {
            ValidateOp: self._judge,
            SubmitOutput: self._judge,
            GetTestCase: self._cases,
            GetTestBatch: self._cases,
        }

    def _judge(self, request: ValidateOp | SubmitOutput, _: int) -> dict[str, Any]:
        overrides: Mapping[str, Any] = {}
        own_inputs = isinstance(request, ValidateOp)
        if isinstance(request, SubmitOutput):
            overrides = self._state.store.issued(request.op_name, request.seed) or {}
        done = self._state.in_worker({"job": "judge", "request": to_message(request), "overrides": overrides})
        body: dict[str, Any] = done["result"]
        result = stored_result(body, done["timestamp"])
        if body["status"] == "failed":
            snapshot = None
            if own_inputs or done["inputs_differ"]:
                snapshot = framing.encode({"inputs": request.inputs}, 2)
                snapshot = snapshot if len(snapshot) <= _MAX_SNAPSHOT else None
            self._state.store.add_failure(stored_failure(result, done["failure"], snapshot), result)
        else:
            self._state.store.forget(CLIENT, result.op, result.seed, result.edits)
            self._state.store.add_results([result])
        kind = "ValidationResult" if own_inputs else "SubmitResult"
        return {"type": kind, "result": body}

    def _cases(self, request: GetTestCase | GetTestBatch, version: int) -> dict[str, Any]:
        done = self._state.in_worker(
            {"job": "cases", "request": to_message(request), "proxied_floats": version == 1}
        )
        issued = {case["seed"]: done["overrides"] for case in done["cases"]}
        self._state.store.note_issued(request.op_name, issued)
        if isinstance(request, GetTestCase):
            return {"type": "TestCase", **done["cases"][0], "notes": done["notes"]}
        return {
            "type": "TestBatch",
            "cases": done["cases"],
            "notes": done["notes"],
            "left_out": done["left_out"],
        }
