"""Judging an output that a client sent.

Here: the case that it belongs to, and the result. Elsewhere: the verdict (judge.py), its wire form
(judged.py).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.case import Case, case_from_arrays
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import GpuemuError, OutputError
from pytest_gpuemu.engine.jobs.cases import wire_case
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.judged import judged_body
from pytest_gpuemu.engine.op import Array, Op
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.protocol.requests.judging import SubmitOutput
from pytest_gpuemu.engine.requested_ops import op_for_arrays, read_kwargs, requested_op
from pytest_gpuemu.engine.rng import generate_seed
from pytest_gpuemu.engine.verdict import FAILED, Finding, Verdict
from pytest_gpuemu.engine.wire_arrays import to_array, to_arrays
from pytest_gpuemu.engine.worker_loop import Ask


def judge_request(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The result of a ValidateOp or SubmitOutput."""
    request, overrides = read_request(message["request"]), message["overrides"]
    started = time.monotonic()
    seed = generate_seed() if request.seed is None else request.seed
    edits = request.edits if isinstance(request, SubmitOutput) else ""
    op = requested_op(request.op_name, overrides, config, seed)
    op, params = read_kwargs(op, request.kwargs or {})
    given = None if request.inputs is None else {name: to_array(x) for name, x in request.inputs.items()}
    case, is_ours = _case_of(op, seed, edits, given, params, may_be_ours=isinstance(request, SubmitOutput))
    try:
        verdict = judge(case, to_arrays(request.output), strides_known=False)
    except OutputError as error:
        if not isinstance(request, SubmitOutput):
            raise
        verdict = failed(case, "ExecutionError", str(error))  # of a campaign: a failure, and no lost case
    if isinstance(request, SubmitOutput) and request.seen:
        seen = tuple(
            Finding(kind=str(found.get("kind")), message=str(found.get("message"))) for found in request.seen
        )
        verdict = dataclasses.replace(verdict, status=FAILED, findings=(*verdict.findings, *seen))
    timestamp = time.time()
    body, failure = judged_body(
        case,
        verdict,
        overrides=overrides,
        timestamp=timestamp,
        duration_ms=(time.monotonic() - started) * 1000.0,
    )
    return {"result": body, "failure": failure, "timestamp": timestamp, "inputs_differ": not is_ours}


def failed(case: Case, kind: str, message: str) -> Verdict:
    """The verdict on a case that has no output to judge; the first line of the message says why."""
    return Verdict(
        op=case.op.name,
        seed=case.plan.seed,
        edits=case.plan.edits,
        status=FAILED,
        findings=(Finding(kind=kind, message=message.partition("\n")[0]),),
    )


def _case_of(
    op: Op,
    seed: int,
    edits: str,
    given: dict[str, Array] | None,
    params: dict[str, Any],
    *,
    may_be_ours: bool,
) -> tuple[Case, bool]:
    """The case that an output belongs to, and whether the seed alone rebuilds it."""
    if given is None:
        case = wire_case(op, seed, edits)
        if params:
            case.plan = dataclasses.replace(case.plan, params={**case.plan.params, **params})
        return case, not params
    if may_be_ours and not params:
        try:
            case = wire_case(op, seed, edits)
        except GpuemuError:
            pass  # then the inputs cannot be ours, and are judged as what they are
        else:
            if _are_inputs_of(case, given):
                return case, True
    return case_from_arrays(op_for_arrays(op, given), given, params, seed), False


def _are_inputs_of(case: Case, given: Mapping[str, Array]) -> bool:
    return given.keys() == case.originals.keys() and all(
        array.dtype == given[name].dtype
        and array.shape == given[name].shape
        and array.tobytes() == given[name].tobytes()
        for name, array in case.originals.items()
    )
