"""Answers about results and failures: storing, finding, listing, reproducing, forgetting.

Elsewhere: the store's file (engine/store.py), drawing the inputs of a seed (engine/jobs/, in a worker).
"""

from __future__ import annotations

import base64
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError
from pytest_gpuemu.engine.execution import is_runnable
from pytest_gpuemu.engine.protocol import CLIENT, NOT_FOUND, OP_NOT_FOUND, framing
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.stored import (
    ForgetFailure,
    GetResult,
    ListFailures,
    ListResults,
    PassedCase,
    RecordCampaign,
    RecordFailure,
    RecordPassed,
    Reproduce,
)
from pytest_gpuemu.engine.protocol.results import body_of_failure, result_body
from pytest_gpuemu.engine.service.state import OK, Answer, State, stored_failure, stored_result
from pytest_gpuemu.engine.store import StoredCampaign, StoredFailure, StoredResult

_CASE_FIELDS = ("generator", "shape", "strides", "dtype", "layout", "values", "fuzz_config")


class Stored:
    def __init__(self, state: State) -> None:
        self._state = state
        self.answers: dict[type[Any], Answer] = {
            GetResult: self._get_result,
            ListResults: self._list_results,
            ListFailures: self._list_failures,
            Reproduce: self._reproduce,
            RecordFailure: self._record_failure,
            RecordPassed: self._record_passed,
            RecordCampaign: self._record_campaign,
            ForgetFailure: self._forget,
        }

    def _get_result(self, request: GetResult, _: int) -> dict[str, Any]:
        store = self._state.store
        found = store.result(request.seed, request.op_name)
        if found is None:
            raise ProtocolError(f"no result of seed {request.seed} is stored in {store.path}", code=NOT_FOUND)
        return {"type": "ValidationResult", "result": found.body}

    def _list_results(self, request: ListResults, _: int) -> dict[str, Any]:
        return {"type": "Results", "results": [row.body for row in self._state.store.results(request.limit)]}

    def _list_failures(self, request: ListFailures, _: int) -> dict[str, Any]:
        rows = self._state.store.failures(request.limit)
        return {"type": "Results", "results": [_body_of_failure(row) for row in rows]}

    def _reproduce(self, request: Reproduce, version: int) -> dict[str, Any]:
        store = self._state.store
        found = store.failure(request.seed, request.op_name, request.edits)
        if found is None:
            of = f" of {request.op_name!r}" if request.op_name else ""
            raise ProtocolError(
                f"no failure of seed {request.seed}{of} is stored in {store.path}", code=NOT_FOUND
            )
        reply = {"type": "ReproduceResult", "was_run": False, "fuzz_config": found.body["fuzz_config"]}
        body = _body_of_failure(found)
        if found.inputs is not None:
            body["repro_info"]["input_snapshot"] = base64.b64encode(found.inputs).decode("ascii")
            inputs = framing.decode(found.inputs)["inputs"]
            return {
                **reply,
                "result": body,
                "stored": body,
                "inputs": inputs,
                "layouts": {},
                "params": {},
                "inplace": {},
            }
        drawn = self._drawn(found, version)
        result = self._run_again(found) if request.runs and found.test_id == CLIENT else None
        return {**reply, "was_run": result is not None, "result": result or body, "stored": body, **drawn}

    def _run_again(self, found: StoredFailure) -> dict[str, Any] | None:
        """The result of the op on the case of a failure now; None where the daemon cannot run it."""
        config = self._state.config
        entry = config.op_entry(found.op)
        if entry is None or not is_runnable(entry):
            return None
        case, overrides = (
            {"op_name": found.op, "seed": found.seed, "edits": found.edits},
            found.body["fuzz_config"],
        )
        ran = self._state.run_op({**case, "overrides": overrides})
        if ran["could_not_run"] is not None:
            return None
        return dict(self._state.judge_run(case, overrides, ran)["result"])

    def _drawn(self, found: StoredFailure, version: int) -> dict[str, Any]:
        """The inputs of a failure, their layouts and its params, rebuilt from its seed."""
        try:
            return self._state.in_worker(
                {
                    "job": "inputs",
                    "op_name": found.op,
                    "seed": found.seed,
                    "edits": found.edits,
                    "generator": found.body["generator"],
                    "overrides": found.body["fuzz_config"],
                    "proxied_floats": version == 1,
                }
            )
        except ProtocolError as error:
            if error.code != OP_NOT_FOUND or found.test_id == CLIENT:
                raise
            raise ProtocolError(
                f"the op {found.op!r} is defined by the test {found.test_id}, which the daemon does not "
                f"read; re-run it with: pytest --gpuemu-reproduce={found.case_id}",
                code=OP_NOT_FOUND,
            ) from error

    def _record_failure(self, request: RecordFailure, _: int) -> dict[str, Any]:
        fields = to_message(request)
        result = stored_result(body_of_failure(fields), request.timestamp)
        body = {key: fields[key] for key in (*_CASE_FIELDS, "findings", "stats", "text", "duration_ms")}
        self._state.store.add_failure(stored_failure(result, body), result)
        return OK

    def _record_passed(self, request: RecordPassed, _: int) -> dict[str, Any]:
        self._state.store.add_results(map(_passed_result, request.cases))
        return OK

    def _record_campaign(self, request: RecordCampaign, _: int) -> dict[str, Any]:
        fields = {key: value for key, value in to_message(request).items() if key not in ("type", "op_name")}
        self._state.store.add_campaign(StoredCampaign(op=request.op_name, **fields))
        return OK

    def _forget(self, request: ForgetFailure, _: int) -> dict[str, Any]:
        self._state.store.forget(request.test_id, request.op_name, request.seed, request.edits)
        return OK


def _passed_result(case: PassedCase) -> StoredResult:
    body = result_body(
        passed=True,
        status="passed",
        test_id=case.test_id,
        op_name=case.op_name,
        seed=case.seed,
        edits=case.edits,
        findings=(),
        stats=None,
        timestamp=case.timestamp,
        duration_ms=case.duration_ms,
    )
    return stored_result({**body, "max_diff": case.max_abs, "max_rel_diff": case.max_rel}, case.timestamp)


def _body_of_failure(row: StoredFailure) -> dict[str, Any]:
    return dict(row.body["result"])
