"""What the daemon answers to each request.

Here: from the bytes of a request to those of its reply, the store in between. Elsewhere: the socket and the
threads (server.py), everything that needs NumPy or runs a reference (jobs.py, in a worker process).
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import ProtocolError, ReferenceFailed, StoreError
from pytest_gpuemu.engine.protocol import (
    BASELINE_NOT_FOUND,
    INTERNAL_ERROR,
    NOT_FOUND,
    OP_NOT_FOUND,
    PROTOCOL_VERSION,
    REFERENCE_FAILED,
    STORE_ERROR,
    framing,
    requests,
)
from pytest_gpuemu.engine.protocol.results import repro_info, result_body
from pytest_gpuemu.engine.store import Store, StoredFailure, StoredResult
from pytest_gpuemu.engine.workers import Pool

CLIENT = "client"
OK = {"type": "Ok"}
_MAX_SNAPSHOT = 4 * 2**20
_CASE_FIELDS = ("generator", "shape", "strides", "dtype", "layout", "values", "fuzz_config")


class Service:
    """The daemon without its socket. answer() may be called from many threads.

    store may be the error that kept it from being opened: then what needs it is answered with that error,
    and the rest goes on.
    """

    def __init__(
        self,
        *,
        version: str,
        config: Config,
        store: Store | StoreError,
        pool: Pool,
        shut_down: Callable[[], None],
    ) -> None:
        self._version = version
        self._config = config
        self._store_or_error = store
        self._pool = pool
        self._shut_down = shut_down
        self._started = time.monotonic()
        self._answers: dict[type[Any], Callable[[Any, int], dict[str, Any]]] = {
            requests.Ping: self._ping,
            requests.Shutdown: self._shutdown,
            requests.ValidateOp: self._judge,
            requests.SubmitOutput: self._judge,
            requests.GetTestCase: self._cases,
            requests.GetTestBatch: self._cases,
            requests.GetResult: self._get_result,
            requests.ListResults: self._list_results,
            requests.ListFailures: self._list_failures,
            requests.Reproduce: self._reproduce,
            requests.StoreBaseline: self._store_baseline,
            requests.CompareBaseline: self._compare_baseline,
            requests.RecordFailure: self._record_failure,
            requests.RecordPassed: self._record_passed,
            requests.ForgetFailure: self._forget,
        }

    def answer(self, data: bytes) -> bytes:
        """The reply to these bytes, in their protocol; an Error for what is wrong with them."""
        version = framing.version_of(data)
        try:
            request = requests.read_request(framing.decode(data))
            reply = self._answers[type(request)](request, version)
        except ProtocolError as error:
            reply = error_reply(error.code, str(error))
        except StoreError as error:
            reply = error_reply(STORE_ERROR, str(error))
        except ReferenceFailed as error:
            reply = error_reply(REFERENCE_FAILED, str(error))
        return framing.encode(reply, version)

    @property
    def _store(self) -> Store:
        if isinstance(self._store_or_error, StoreError):
            raise self._store_or_error
        return self._store_or_error

    def _ping(self, _: requests.Ping, __: int) -> dict[str, Any]:
        failed = isinstance(self._store_or_error, StoreError)
        return {
            "type": "Pong",
            "version": self._version,
            "protocol_version": PROTOCOL_VERSION,
            "uptime_secs": int(time.monotonic() - self._started),
            "config": None if self._config.path is None else str(self._config.path),
            "store": None if failed else str(self._store.path),
            "store_error": str(self._store_or_error) if failed else None,
        }

    def _shutdown(self, _: requests.Shutdown, __: int) -> dict[str, Any]:
        self._shut_down()
        return OK

    def _in_worker(self, message: Mapping[str, Any]) -> dict[str, Any]:
        data = framing.encode(dict(message), 2)
        reply = framing.decode(self._pool.run(data, limit_s=self._config.reference_timeout_s))
        if reply.get("type") == "Error":
            raise ProtocolError(str(reply["message"]), code=str(reply["code"]))
        return reply

    def _judge(self, request: requests.ValidateOp | requests.SubmitOutput, version: int) -> dict[str, Any]:
        overrides: Mapping[str, Any] = {}
        own_inputs = isinstance(request, requests.ValidateOp)
        if isinstance(request, requests.SubmitOutput):
            overrides = self._store.issued(request.op_name, request.seed) or {}
        done = self._in_worker(
            {"job": "judge", "request": requests.to_message(request), "overrides": overrides}
        )
        body: dict[str, Any] = done["result"]
        result = StoredResult(
            test_id=CLIENT,
            op=body["op_name"],
            seed=body["seed"],
            edits=body["edits"],
            passed=body["passed"],
            timestamp=done["timestamp"],
            body=body,
        )
        if body["status"] == "failed":
            snapshot = None
            if own_inputs or done["inputs_differ"]:
                snapshot = framing.encode({"inputs": request.inputs}, 2)
                snapshot = snapshot if len(snapshot) <= _MAX_SNAPSHOT else None
            self._store.add_failure(_failure_of(result, done["failure"], snapshot), result)
        else:
            self._store.forget(CLIENT, result.op, result.seed, result.edits)
            self._store.add_results([result])
        kind = "ValidationResult" if own_inputs else "SubmitResult"
        return {"type": kind, "result": body}

    def _cases(self, request: requests.GetTestCase | requests.GetTestBatch, version: int) -> dict[str, Any]:
        done = self._in_worker(
            {"job": "cases", "request": requests.to_message(request), "proxied_floats": version == 1}
        )
        self._store.note_issued(request.op_name, {case["seed"]: done["overrides"] for case in done["cases"]})
        if isinstance(request, requests.GetTestCase):
            return {"type": "TestCase", **done["cases"][0], "notes": done["notes"]}
        return {
            "type": "TestBatch",
            "cases": done["cases"],
            "notes": done["notes"],
            "left_out": done["left_out"],
        }

    def _get_result(self, request: requests.GetResult, _: int) -> dict[str, Any]:
        found = self._store.result(request.seed, request.op_name)
        if found is None:
            return error_reply(NOT_FOUND, f"no result of seed {request.seed} is stored in {self._store.path}")
        return {"type": "ValidationResult", "result": found.body}

    def _list_results(self, request: requests.ListResults, _: int) -> dict[str, Any]:
        return {"type": "Results", "results": [row.body for row in self._store.results(request.limit)]}

    def _list_failures(self, request: requests.ListFailures, _: int) -> dict[str, Any]:
        return {
            "type": "Results",
            "results": [_body_of_failure(row) for row in self._store.failures(request.limit)],
        }

    def _reproduce(self, request: requests.Reproduce, version: int) -> dict[str, Any]:
        found = self._store.failure(request.seed, request.op_name, request.edits)
        if found is None:
            of = f" of {request.op_name!r}" if request.op_name else ""
            return error_reply(
                NOT_FOUND, f"no failure of seed {request.seed}{of} is stored in {self._store.path}"
            )
        body = _body_of_failure(found)
        if found.inputs is not None:
            inputs = framing.decode(found.inputs)["inputs"]
            body["repro_info"]["input_snapshot"] = base64.b64encode(found.inputs).decode("ascii")
        else:
            inputs = self._inputs_of(found, version)
        return {"type": "ReproduceResult", "result": body, "inputs": inputs}

    def _inputs_of(self, found: StoredFailure, version: int) -> dict[str, Any]:
        """The inputs of a failure, rebuilt from its seed."""
        try:
            done = self._in_worker(
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
            case_id = f"{found.seed}~{found.edits}" if found.edits else str(found.seed)
            raise ProtocolError(
                f"the op {found.op!r} is defined by the test {found.test_id}, which the daemon does not "
                f"read; re-run it with: pytest --gpuemu-reproduce={case_id}",
                code=OP_NOT_FOUND,
            ) from error
        return dict(done["inputs"])

    def _store_baseline(self, request: requests.StoreBaseline, _: int) -> dict[str, Any]:
        self._store.store_baseline(request.tag)
        return OK

    def _compare_baseline(self, request: requests.CompareBaseline, _: int) -> dict[str, Any]:
        kept = self._store.baseline(request.tag)
        if not kept:
            return error_reply(BASELINE_NOT_FOUND, f"no baseline {request.tag!r} in {self._store.path}")
        rows = []
        for before in kept:
            now = self._store.result_of(before.test_id, before.op, before.seed, before.edits)
            if now is not None:
                rows.append(_compared(before, now, self._config.policies.warn_threshold))
        return {
            "type": "BaselineComparison",
            "tag": request.tag,
            "comparisons": rows,
            "regressions": sum(row["regression"] for row in rows),
        }

    def _record_failure(self, request: requests.RecordFailure, _: int) -> dict[str, Any]:
        fields = requests.to_message(request)
        info = repro_info(**{key: fields[key] for key in ("seed", "edits", *_CASE_FIELDS)})
        result = StoredResult(
            test_id=request.test_id,
            op=request.op_name,
            seed=request.seed,
            edits=request.edits,
            passed=False,
            timestamp=request.timestamp,
            body=result_body(
                passed=False,
                status="failed",
                test_id=request.test_id,
                op_name=request.op_name,
                seed=request.seed,
                edits=request.edits,
                findings=request.findings,
                stats=request.stats,
                timestamp=request.timestamp,
                duration_ms=request.duration_ms,
                repro_info=info,
                text=request.text,
            ),
        )
        failure = {
            **{key: fields[key] for key in (*_CASE_FIELDS, "findings", "stats", "text", "duration_ms")},
            "result": result.body,
        }
        self._store.add_failure(_failure_of(result, failure, None), result)
        return OK

    def _record_passed(self, request: requests.RecordPassed, _: int) -> dict[str, Any]:
        self._store.add_results(
            StoredResult(
                test_id=case.test_id,
                op=case.op_name,
                seed=case.seed,
                edits=case.edits,
                passed=True,
                timestamp=case.timestamp,
                body=result_body(
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
                | {"max_diff": case.max_abs, "max_rel_diff": case.max_rel},
            )
            for case in request.cases
        )
        return OK

    def _forget(self, request: requests.ForgetFailure, _: int) -> dict[str, Any]:
        self._store.forget(request.test_id, request.op_name, request.seed, request.edits)
        return OK


def error_reply(code: str, message: str) -> dict[str, Any]:
    return {"type": "Error", "code": code, "message": message}


def internal_error(data: bytes) -> bytes:
    """The reply where answering these bytes raised what nobody expected."""
    message = "the daemon failed to answer this request; its log has the traceback: gpuemu daemon logs"
    return framing.encode(error_reply(INTERNAL_ERROR, message), framing.version_of(data))


def _failure_of(result: StoredResult, body: Mapping[str, Any], inputs: bytes | None) -> StoredFailure:
    return StoredFailure(
        test_id=result.test_id,
        op=result.op,
        seed=result.seed,
        edits=result.edits,
        timestamp=result.timestamp,
        body=body,
        inputs=inputs,
    )


def _body_of_failure(row: StoredFailure) -> dict[str, Any]:
    return dict(row.body["result"])


def _compared(before: StoredResult, now: StoredResult, threshold: float) -> dict[str, Any]:
    """A regression: what passed fails, or the largest difference grew by more than the threshold's share."""
    old, new = float(before.body["max_diff"]), float(now.body["max_diff"])
    grew = new > old * (1.0 + threshold) and not math.isnan(new)
    return {
        "test_id": now.test_id,
        "op_name": now.op,
        "seed": now.seed,
        "edits": now.edits,
        "passed_before": before.passed,
        "passed": now.passed,
        "max_diff_before": old,
        "max_diff": new,
        "regression": (before.passed and not now.passed) or grew,
    }
