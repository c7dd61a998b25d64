"""What the daemon's answers work with: the config, the store, the workers.

Here: the one object that every family of answers shares, and what is stored of a judged case. Elsewhere:
the answers (the families beside this module), the store's file (engine/store.py), the workers (workers.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import ProtocolError, StoreError
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.store import Store, StoredFailure, StoredResult
from pytest_gpuemu.engine.workers import Pool

OK = {"type": "Ok"}

# One answer: from a request and the protocol it came in to the reply.
Answer: TypeAlias = Callable[[Any, int], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """store_or_error may be the error that kept the store from being opened: who needs it meets that error,
    and the rest goes on."""

    config: Config
    store_or_error: Store | StoreError
    pool: Pool

    @property
    def store(self) -> Store:
        """The open store. Raises the StoreError that kept it closed."""
        if isinstance(self.store_or_error, StoreError):
            raise self.store_or_error
        return self.store_or_error

    def in_worker(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """What a worker answers to a job (engine/jobs.py). Raises ProtocolError with the worker's code, and
        ReferenceFailed where the worker hung or died."""
        data = framing.encode(dict(message), 2)
        reply = framing.decode(self.pool.run(data, limit_s=self.config.reference_timeout_s))
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
