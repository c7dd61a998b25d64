"""Campaigns of the client: of an op that runs in its own process, or of one that the daemon runs.

Here: calling the op in either form, the failure of a case that it raised on, and the counts. Elsewhere: the
methods that users call (client.py), fetching cases (cases.py), judging outputs (judging.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np

from pytest_gpuemu.client.cases import GivenCase, fetch_cases, fuzz_config_of
from pytest_gpuemu.client.data import FuzzResults, ReproduceResult, ValidationResult
from pytest_gpuemu.client.judging import submit
from pytest_gpuemu.client.recorder import note_unless_stored
from pytest_gpuemu.client.sending import SentOutput, sent_output
from pytest_gpuemu.client.stored import result_of_failure, store_failure
from pytest_gpuemu.client.transport import Transport, ask
from pytest_gpuemu.engine.checks import modified_input
from pytest_gpuemu.engine.errors import CannotRunHere, ClientError, OutputError
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.protocol import CANNOT_RUN_HERE, CLIENT
from pytest_gpuemu.engine.protocol.requests.stored import RecordCampaign
from pytest_gpuemu.engine.references import call_by_name
from pytest_gpuemu.engine.rng import generate_seed
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
    *,
    iterations: int,
    seed: int | None,
    fail_fast: bool,
    fuzz_config: Mapping[str, Any],
) -> FuzzResults:
    """Run the op on each case and have its output judged; what it raises is a failure of its case."""
    _check_iterations(iterations)
    master, began = generate_seed() if seed is None else seed, time.monotonic()
    notes: dict[str, None] = {}
    cases = fetch_cases(
        transport, op_name, count=iterations, seed=master, seeds=None, fuzz_config=fuzz_config, notes=notes
    )
    results: list[ValidationResult] = []
    reasons: list[str] = []
    for case in cases:
        ran = _run(run, case)
        if isinstance(ran.called.error, CannotRunHere):
            reasons.append(str(ran.called.error))
            continue
        results.append(_judged(transport, op_name, case, ran))
        if fail_fast and results[-1].status == "failed":
            break
    if reasons and not results:
        raise ClientError(
            f"none of the {len(reasons)} cases of {op_name!r} could run here: {reasons[0]}",
            code=CANNOT_RUN_HERE,
        )
    failures = [result for result in results if result.status == "failed"]
    passed = sum(result.passed for result in results)
    found = FuzzResults(
        seed=master,
        total=len(results) + len(reasons),
        passed=passed,
        failed=len(failures),
        failures=failures,
        undetermined=len(results) - passed - len(failures),
        could_not_run=len(reasons),
        notes=tuple(dict.fromkeys([*notes, *reasons])),
    )
    return _recorded(transport, op_name, found, time.monotonic() - began)


def fuzz_there(
    transport: Transport,
    op_name: str,
    *,
    iterations: int,
    seed: int | None,
    fail_fast: bool,
    fuzz_config: Mapping[str, Any],
) -> FuzzResults:
    """Let the daemon run an op of gpuemu.toml, page by page as its replies come."""
    _check_iterations(iterations)
    message: dict[str, Any] = {
        "type": "FuzzOp",
        "op_name": op_name,
        "fuzz_config": fuzz_config_of(seed, fuzz_config),
        "iterations": iterations,
        "fail_fast": fail_fast,
    }
    more_ms, began = case_limit_ms(transport), time.monotonic()
    counts = dict.fromkeys(("total", "passed", "failed", "undetermined", "could_not_run"), 0)
    failures: list[ValidationResult] = []
    notes: dict[str, None] = {}
    while True:
        reply = ask(transport, message, "FuzzResults", more_ms=more_ms)
        for name in counts:
            counts[name] += reply[name]
        failures += map(ValidationResult.from_wire, reply["failures"])
        notes |= dict.fromkeys(reply["notes"])
        message["seeds"] = reply["seeds_left"]
        if not message["seeds"]:
            break
    if counts["total"] and counts["total"] == counts["could_not_run"]:
        raise ClientError(
            f"none of the {counts['total']} cases of {op_name!r} could run here: {'; '.join(notes)}",
            code=CANNOT_RUN_HERE,
        )
    found = FuzzResults(seed=reply["seed"], failures=failures, notes=tuple(notes), **counts)
    return _recorded(transport, op_name, found, time.monotonic() - began)


def _check_iterations(iterations: Any) -> None:
    if not isinstance(iterations, Integral) or iterations < 1:
        raise ClientError(f"iterations = {iterations!r}: expected a whole number >= 1, or nothing is tested")


def _recorded(transport: Transport, op_name: str, found: FuzzResults, wall_s: float) -> FuzzResults:
    """The results of a campaign that is stored, or with a note where the store cannot be written."""
    campaign = RecordCampaign(
        test_id=CLIENT,
        op_name=op_name,
        master_seed=found.seed,
        generator=GENERATOR_VERSION,
        cases=found.total,
        passed=found.passed,
        failed=found.failed,
        undetermined=found.undetermined,
        could_not_run=found.could_not_run,
        wall_s=wall_s,
        timestamp=time.time(),
    )
    note = note_unless_stored(transport, campaign)
    return found if note is None else replace(found, notes=tuple(dict.fromkeys([*found.notes, note])))


def case_limit_ms(transport: Transport) -> int:
    """What one case of an op that the daemon runs may take, by the limits of its gpuemu.toml."""
    return int(1000.0 * ask(transport, {"type": "Ping"}, "Pong")["case_limit_s"])


def reproduce_here(transport: Transport, found: ReproduceResult, run: RunCase) -> ReproduceResult:
    """The same with the op run on the inputs of the failure now. Stores nothing."""
    stored, info = found.result, found.result.repro_info
    assert info is not None
    case = {
        "seed": stored.seed,
        "edits": stored.edits,
        "inputs": found.inputs,
        "params": found.params,
        "dtype": info.dtype,
        "layout": info.layout,
        "values": info.values,
        "inplace": found.inplace,
        "fuzz_config": info.fuzz_config,
    }
    ran = _run(run, case)
    if ran.called.error is not None:
        result = result_of_failure(_raised(stored.op_name, case, ran))
    else:
        own = None if info.input_snapshot is None else ran.inputs
        result = _submitted(transport, stored.op_name, case, ran, inputs=own, keep=False)
    return replace(found, result=result, inputs=ran.inputs, was_run=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """What a run of the op on a case gave: the output as it is sent, or the error in called; the inputs as
    they were before; what was seen of it beside its output."""

    called: Called
    output: SentOutput | None
    inputs: dict[str, Array]
    seen: tuple[Finding, ...]
    duration_ms: float


def _run(run: RunCase, case: GivenCase) -> _Ran:
    given: Mapping[str, Array] = case["inputs"]
    before = {name: np.copy(array) for name, array in given.items()}
    overwritten: Mapping[str, str] = case["inplace"]
    started = time.monotonic()
    called = run(case)
    duration_ms = (time.monotonic() - started) * 1000.0
    if called.error is None and called.value is None and overwritten:
        called = Called({output: given[name] for output, name in overwritten.items()})
    sent = Called()
    if called.error is None:
        sent = call(sent_output, called.value)  # reading an object of the user's may raise anything
        if isinstance(sent.error, (OutputError, ClientError)):
            sent = Called(error=sent.error)  # says all in its message
    called = called if sent.error is None else sent
    seen = [
        finding
        for name, array in given.items()
        if name not in overwritten.values()
        if (finding := modified_input(name, array, before[name])) is not None
    ]
    return _Ran(called=called, output=sent.value, inputs=before, seen=tuple(seen), duration_ms=duration_ms)


def _judged(transport: Transport, op_name: str, case: GivenCase, ran: _Ran) -> ValidationResult:
    if ran.called.error is not None:
        return store_failure(transport, _raised(op_name, case, ran))
    return _submitted(transport, op_name, case, ran)


def _submitted(
    transport: Transport,
    op_name: str,
    case: GivenCase,
    ran: _Ran,
    *,
    inputs: Mapping[str, Array] | None = None,
    keep: bool = True,
) -> ValidationResult:
    edits = case.get("edits")
    return submit(
        transport,
        op_name,
        inputs,
        ran.output,
        f"{case['seed']}~{edits}" if edits else case["seed"],
        params={},
        fuzz_config=case["fuzz_config"],
        keep=keep,
        seen=ran.seen,
    )


def _raised(op_name: str, case: GivenCase, ran: _Ran) -> Failure:
    called, first = ran.called, next(iter(case["inputs"].values()))
    return Failure(
        test_id=CLIENT,
        op=op_name,
        seed=case["seed"],
        edits=case.get("edits", ""),
        generator=GENERATOR_VERSION,
        shape=tuple(first.shape),
        strides=tuple(first.strides),
        dtype=case["dtype"],
        layout=case["layout"],
        values=case["values"],
        fuzz_config=case["fuzz_config"],
        findings=(Finding(kind="ExecutionError", message=called.summary), *ran.seen),
        stats=None,
        text=called.traceback or called.summary,
        timestamp=time.time(),
        duration_ms=ran.duration_ms,
    )
