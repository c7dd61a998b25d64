"""What the daemon has stored: results, failures, baselines.

Here: the requests that find, list, keep and compare. Elsewhere: the methods that users call (client.py), the
store (engine/store.py).
"""

from __future__ import annotations

from dataclasses import replace

from pytest_gpuemu.client.cases import inputs_of
from pytest_gpuemu.client.data import BaselineComparison, MinimizeResult, ReproduceResult, ValidationResult
from pytest_gpuemu.client.recorder import failure_fields, note_unless_stored
from pytest_gpuemu.client.transport import Transport, ask
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.plan import parse_case_id
from pytest_gpuemu.engine.protocol import NOT_FOUND
from pytest_gpuemu.engine.protocol.requests.stored import RecordFailure
from pytest_gpuemu.engine.protocol.results import body_of_failure
from pytest_gpuemu.engine.verdict import Failure


def result_of(transport: Transport, seed: int, op_name: str | None) -> ValidationResult | None:
    """The newest result of a seed, or None."""
    message = {"type": "GetResult", "seed": seed, "op_name": op_name}
    try:
        return ValidationResult.from_wire(ask(transport, message, "ValidationResult")["result"])
    except ClientError as error:
        if error.code == NOT_FOUND:
            return None
        raise


def listed(transport: Transport, request: str, limit: int) -> list[ValidationResult]:
    """The newest results or failures, as the request (ListResults or ListFailures) says."""
    reply = ask(transport, {"type": request, "limit": limit}, "Results")
    return [ValidationResult.from_wire(body) for body in reply["results"]]


def compared(transport: Transport, tag: str) -> list[BaselineComparison]:
    """The results of now beside those kept under a tag."""
    reply = ask(transport, {"type": "CompareBaseline", "tag": tag}, "BaselineComparison")
    return [BaselineComparison(**row) for row in reply["comparisons"]]


def reproduced(
    transport: Transport, case_id: int | str, op_name: str | None, *, runs: bool, more_ms: int = 0
) -> ReproduceResult:
    """The newest failure of a case id, with its inputs; runs: let the daemon run the op, where it can."""
    seed, edits = parse_case_id(case_id)
    message = {"type": "Reproduce", "seed": seed, "op_name": op_name, "edits": edits or None, "runs": runs}
    reply = ask(transport, message, "ReproduceResult", more_ms=more_ms)
    return ReproduceResult(
        result=ValidationResult.from_wire(reply["result"]),
        inputs=inputs_of(reply["inputs"], reply["layouts"], seed),
        stored=ValidationResult.from_wire(reply["stored"]),
        was_run=reply["was_run"],
        params=reply["params"],
        inplace=reply["inplace"],
    )


def minimized(
    transport: Transport,
    case_id: int | str,
    op_name: str | None,
    *,
    strategy: str | None,
    max_iters: int,
    time_s: float,
    more_ms: int,
) -> MinimizeResult:
    """The smallest case that fails as the failure of a case id does, of an op that the daemon runs."""
    seed, edits = parse_case_id(case_id)
    message = {
        "type": "Minimize",
        "seed": seed,
        "op_name": op_name,
        "edits": edits or None,
        "strategy": strategy,
        "max_iters": max_iters,
        "time_s": time_s,
    }
    reply = ask(transport, message, "MinimizeResult", more_ms=more_ms)
    return MinimizeResult(
        original_seed=reply["original_seed"],
        minimized_seed=reply["minimized_seed"],
        minimized_shape=tuple(reply["minimized_shape"]),
        result=ValidationResult.from_wire(reply["result"]),
        edits=reply["edits"],
        iterations=reply["iterations"],
        is_complete=reply["is_complete"],
    )


def store_failure(transport: Transport, failure: Failure) -> ValidationResult:
    """Store a failure that was found here, and return it as the daemon has it; with a note where the store
    cannot be written."""
    note = note_unless_stored(transport, RecordFailure(**failure_fields(failure)))
    if note is not None:
        unstored = result_of_failure(failure)
        return replace(unstored, notes=(*unstored.notes, note))
    found = result_of(transport, failure.seed, failure.op)
    if found is None:
        raise ClientError(f"the daemon lost the failure of seed {failure.seed} of {failure.op!r}")
    return found


def result_of_failure(failure: Failure) -> ValidationResult:
    """A failure that was found here as a result, without storing it."""
    return ValidationResult.from_wire(body_of_failure(failure_fields(failure)))
