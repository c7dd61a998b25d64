"""A campaign of an op that runs in the client's own process, on the daemon's cases.

Here: calling the op in either form, and the failure of a case that it raised on. Elsewhere: the method that
users call (client.py), fetching cases (cases.py), judging outputs (judging.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from pytest_gpuemu.client.cases import GivenCase
from pytest_gpuemu.client.data import FuzzResults, ValidationResult
from pytest_gpuemu.client.judging import submit
from pytest_gpuemu.client.stored import store_failure
from pytest_gpuemu.client.transport import Transport
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.protocol import CLIENT
from pytest_gpuemu.engine.references import call_by_name
from pytest_gpuemu.engine.user_code import Called, call
from pytest_gpuemu.engine.verdict import Failure, Finding

# The op under test: gets a dict of the inputs.
RunOp: TypeAlias = Callable[[dict[str, Array]], Any]
# Runs the op under test on a case: {"inputs": ..., "params": ...}.
RunCase: TypeAlias = Callable[[Mapping[str, Any]], Called]


def runner_of(run_op: RunOp | None, op_fn: Callable[..., Any] | None, method: str) -> RunCase:
    """The one of the two that is given: run_op gets a dict of the inputs, op_fn inputs and params by name.
    Raises ClientError, beginning with method, where both or neither are."""
    if run_op is not None and op_fn is None:
        return lambda case: call(run_op, case["inputs"])
    if op_fn is not None and run_op is None:
        return lambda case: call(
            call_by_name, op_fn, case["inputs"], case["params"], optional=frozenset(case["params"])
        )
    raise ClientError(f"{method}: give either op_fn or run_op, the op to run")


def fuzz_here(
    transport: Transport,
    op_name: str,
    run: RunCase,
    cases: Iterable[GivenCase],
    *,
    master_seed: int,
    fail_fast: bool,
) -> FuzzResults:
    """Run the op on each case and have its output judged; what it raises is a failure of its case."""
    results: list[ValidationResult] = []
    for case in cases:
        started = time.monotonic()
        called = run(case)
        if called.error is None:
            result = submit(transport, op_name, None, called.value, case["seed"], params={})
        else:
            duration_ms = (time.monotonic() - started) * 1000.0
            result = store_failure(transport, _raised(op_name, case, called, duration_ms))
        results.append(result)
        if fail_fast and result.status == "failed":
            break
    failures = [result for result in results if result.status == "failed"]
    passed = sum(result.passed for result in results)
    return FuzzResults(
        seed=master_seed,
        total=len(results),
        passed=passed,
        failed=len(failures),
        failures=failures,
        undetermined=len(results) - passed - len(failures),
    )


def _raised(op_name: str, case: GivenCase, called: Called, duration_ms: float) -> Failure:
    first = next(iter(case["inputs"].values()))
    return Failure(
        test_id=CLIENT,
        op=op_name,
        seed=case["seed"],
        edits="",
        generator=GENERATOR_VERSION,
        shape=tuple(first.shape),
        strides=tuple(first.strides),
        dtype=case["dtype"],
        layout=case["layout"],
        values=case["values"],
        fuzz_config=case["fuzz_config"],
        findings=(Finding(kind="ExecutionError", message=called.summary),),
        stats=None,
        text=called.traceback,
        timestamp=time.time(),
        duration_ms=duration_ms,
    )
