"""What the daemon has stored: results, failures, baselines.

Here: the requests that find, list, keep and compare. Elsewhere: the methods that users call (client.py), the
store (engine/store.py).
"""

from __future__ import annotations

from pytest_gpuemu.client.data import BaselineComparison, ReproduceResult, ValidationResult
from pytest_gpuemu.client.recorder import record_failure
from pytest_gpuemu.client.transport import Transport, ask
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.plan import parse_case_id
from pytest_gpuemu.engine.protocol import NOT_FOUND
from pytest_gpuemu.engine.verdict import Failure
from pytest_gpuemu.engine.wire_arrays import to_array


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


def reproduced(transport: Transport, case_id: int | str, op_name: str | None) -> ReproduceResult:
    """The newest failure of a case id, with its inputs."""
    seed, edits = parse_case_id(case_id)
    message = {"type": "Reproduce", "seed": seed, "op_name": op_name, "edits": edits or None}
    reply = ask(transport, message, "ReproduceResult")
    return ReproduceResult(
        result=ValidationResult.from_wire(reply["result"]),
        inputs={name: to_array(tensor) for name, tensor in reply["inputs"].items()},
    )


def store_failure(transport: Transport, failure: Failure) -> ValidationResult:
    """Store a failure that was found here, and return it as the daemon has it."""
    record_failure(transport, failure)
    found = result_of(transport, failure.seed, failure.op)
    if found is None:
        raise ClientError(f"the daemon lost the failure of seed {failure.seed} of {failure.op!r}")
    return found
