"""Answers that hand out cases, and judge an output.

Here: what is stored of them. Elsewhere: drawing and judging, which need NumPy (engine/jobs/, in a worker).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.errors import ReferenceFailed, StoreError
from pytest_gpuemu.engine.protocol import NOT_STORED, framing
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.judging import GetTestBatch, GetTestCase, SubmitOutput, ValidateOp
from pytest_gpuemu.engine.protocol.tensor import Tensor
from pytest_gpuemu.engine.service.state import Answer, State

_MAX_SNAPSHOT = 4 * 2**20


class Judging:
    def __init__(self, state: State) -> None:
        self._state = state
        self.answers: dict[type[Any], Answer] = {
            ValidateOp: self._validate,
            SubmitOutput: self._submit,
            GetTestCase: self._cases,
            GetTestBatch: self._cases,
        }

    def _validate(self, request: ValidateOp, _: int) -> dict[str, Any]:
        done = self._state.in_worker({"job": "judge", "request": to_message(request), "overrides": {}})
        return {"type": "ValidationResult", "result": self._state.keep(done, _snapshot(request.inputs))}

    def _submit(self, request: SubmitOutput, _: int) -> dict[str, Any]:
        overrides, is_issued = request.fuzz_config, request.inputs is None
        if overrides is None:
            issued = self._issued(request)
            overrides, is_issued = issued or {}, is_issued or issued is not None
        job = {"request": to_message(request), "overrides": overrides}
        snapshot = None
        try:
            done = self._state.in_worker({"job": "judge", **job})
            if done["inputs_differ"] and request.inputs is not None:
                snapshot = _snapshot(request.inputs)
        except ReferenceFailed as error:
            if not is_issued:
                raise
            case = {"op_name": request.op_name, "seed": request.seed, "edits": request.edits}
            done = self._state.in_worker(
                {"job": "reference lost", **case, "overrides": overrides, "text": str(error)}
            )
        body = self._state.keep(done, snapshot) if request.keep else done["result"]
        return {"type": "SubmitResult", "result": body}

    def _issued(self, request: SubmitOutput) -> dict[str, Any] | None:
        """What the case of a seed was narrowed by when it was handed out. Raises StoreError where that is not
        known and only the seed says which case it is: it would be judged as another."""
        try:
            return self._state.store.issued(request.op_name, request.seed)
        except StoreError:
            if request.inputs is None:
                raise
            return None

    def _cases(self, request: GetTestCase | GetTestBatch, version: int) -> dict[str, Any]:
        done = self._state.in_worker(
            {"job": "cases", "request": to_message(request), "proxied_floats": version == 1}
        )
        issued = {case["seed"]: done["overrides"] for case in done["cases"]}
        notes = list(done["notes"])
        try:
            self._state.store.note_issued(request.op_name, issued)
        except StoreError as error:
            notes.append(f"{NOT_STORED}: {error}")
        if isinstance(request, GetTestCase):
            return {"type": "TestCase", **done["cases"][0], "notes": notes}
        return {
            "type": "TestBatch",
            "cases": done["cases"],
            "notes": notes,
            "left_out": done["left_out"],
        }


def _snapshot(inputs: Mapping[str, Tensor]) -> bytes | None:
    """A caller's own arrays, which no seed rebuilds; None where they are too much to store."""
    found = framing.encode({"inputs": inputs}, 2)
    return found if len(found) <= _MAX_SNAPSHOT else None
