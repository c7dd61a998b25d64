"""What the daemon's answers work with: the config, the store, the workers.

Here: the one object that every family of answers shares, and what is stored of a judged case. Elsewhere:
the answers (the families beside this module), the store's file (engine/store.py), the workers (workers.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import ProtocolError, ReferenceFailed, StoreError, WorkerLost
from pytest_gpuemu.engine.execution import is_script
from pytest_gpuemu.engine.protocol import INTERNAL_ERROR, NOT_STORED, REFERENCE_FAILED, framing
from pytest_gpuemu.engine.store import Store, StoredFailure, StoredResult
from pytest_gpuemu.engine.workers import Pool

OK = {"type": "Ok"}
_SCRIPT_START_S = 10.0
# Jobs that run no reference: how long these take is a matter of how many cases are asked for.
_DRAWING = ("cases", "inputs", "campaign")
_LINTING = ("lint", "sass")
_DRAWING_S = 120.0

# One answer: from a request and the protocol it came in to the reply.
Answer: TypeAlias = Callable[[Any, int], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """store_or_error may be the error that kept the store from being opened: who needs it meets that error,
    and the rest goes on."""

    config: Config
    store_or_error: Store | StoreError
    judges: Pool
    ops: Pool

    @property
    def store(self) -> Store:
        """The open store. Raises the StoreError that kept it closed."""
        if isinstance(self.store_or_error, StoreError):
            raise self.store_or_error
        return self.store_or_error

    def in_worker(
        self,
        message: Mapping[str, Any],
        *,
        answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """What a worker answers to a job (engine/jobs/), which may ask something before it does. Raises
        ProtocolError with the worker's code, and ReferenceFailed where the worker hung or died."""
        draws, lints = message["job"] in _DRAWING, message["job"] in _LINTING
        limit_s = _DRAWING_S if draws or lints else self.config.reference_timeout_s
        try:
            return _asked(self.judges, message, limit_s, answer)
        except ProtocolError as error:
            if error.code == REFERENCE_FAILED:
                raise ReferenceFailed(str(error)) from error
            raise
        except WorkerLost as error:
            if draws or lints:
                what = "drawing the cases" if draws else "the lint"
                raise ProtocolError(f"{what} {error}", code=INTERNAL_ERROR) from error
            way = "; reference_timeout_s under [validation] in gpuemu.toml sets the limit"
            raise ReferenceFailed(f"the reference {error}{way if error.is_late else ''}") from error

    def run_op(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What a run of an op under test gave (op_host.run), also where it hung or crashed. Raises
        ProtocolError where the op cannot be had."""
        started, limit_s = time.monotonic(), self.config.op_timeout_s
        entry = self.config.op_entry(str(message["op_name"]))
        if entry is not None and is_script(entry):
            limit_s += _SCRIPT_START_S  # the script's own process keeps to the limit
        try:
            return _asked(self.ops, message, limit_s)
        except WorkerLost as error:
            way = "; op_timeout_s under [validation] in gpuemu.toml sets the limit" if error.is_late else ""
            first, _, rest = str(error).partition("\n")
            return {
                "outputs": None,
                "findings": [],
                "error": {
                    "kind": "ExecutionError",
                    "summary": f"the op {first}{way}",
                    "text": rest,
                    "place": first,
                },
                "could_not_run": None,
                "duration_ms": (time.monotonic() - started) * 1000.0,
            }

    def judge_run(
        self, case: Mapping[str, Any], overrides: Mapping[str, Any], ran: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What to keep of a run of an op on a case (op_name, seed, edits). Where the reference fails, and be
        it that it takes its worker with it, that is the failure of the case."""
        job = {**case, "overrides": overrides}
        try:
            return self.in_worker({"job": "judge run", **job, "ran": ran})
        except ReferenceFailed as error:
            return self.in_worker({"job": "reference lost", **job, "text": str(error)})

    def keep(self, done: Mapping[str, Any], snapshot: bytes | None = None) -> dict[str, Any]:
        """Store what a judging worker found of a case (result, failure, timestamp); its result's body.

        Where the store cannot be written the verdict is not lost with it: a note says that it is not stored.
        """
        body: dict[str, Any] = done["result"]
        result = stored_result(body, done["timestamp"])
        try:
            if body["status"] == "failed":
                self.store.add_failure(stored_failure(result, done["failure"], snapshot), result)
            else:
                self.store.forget(result.test_id, result.op, result.seed, result.edits)
                self.store.add_results([result])
        except StoreError as error:
            return {**body, "notes": [*body["notes"], f"{NOT_STORED}: {error}"]}
        return body


def _asked(
    pool: Pool,
    message: Mapping[str, Any],
    limit_s: float,
    answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    def answered(question: bytes) -> bytes:
        assert answer is not None
        return framing.encode(answer(framing.decode(question)), 2)

    data = framing.encode(dict(message), 2)
    reply = framing.decode(pool.run(data, limit_s=limit_s, answer=answered))
    if reply.get("type") == "Error":
        raise ProtocolError(str(reply["message"]), code=str(reply["code"]))
    return reply


def stored_result(body: Mapping[str, Any], timestamp: float) -> StoredResult:
    """A result's wire form (protocol/results.py) as the store keeps it. timestamp has the fractions of a
    second that the wire's has not."""
    return StoredResult(
        test_id=body["test_id"],
        op=body["op_name"],
        seed=body["seed"],
        edits=body["edits"],
        passed=body["passed"],
        timestamp=timestamp,
        body=body,
    )


def stored_failure(
    result: StoredResult, body: Mapping[str, Any], inputs: bytes | None = None
) -> StoredFailure:
    """The failure beside its result: body has the fields of verdict.Failure, inputs a caller's own arrays."""
    return StoredFailure(
        test_id=result.test_id,
        op=result.op,
        seed=result.seed,
        edits=result.edits,
        timestamp=result.timestamp,
        body={**body, "result": result.body},
        inputs=inputs,
    )
