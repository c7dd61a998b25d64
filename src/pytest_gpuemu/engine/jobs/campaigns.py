"""A campaign whose op under test the daemon runs: its cases, and what each of them came to.

Here: the seeds, the verdict on what a run of the op gave, the failure of a case whose op or reference failed.
Elsewhere: running the op (op_host.py, in a process of its own), the loop (service/fuzzing.py, in the daemon).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.errors import OutputError, ReferenceFailed
from pytest_gpuemu.engine.execution import narrowed_for_script
from pytest_gpuemu.engine.jobs.cases import wire_case
from pytest_gpuemu.engine.jobs.judging import failed
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.judged import judged_body
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.requested_ops import read_fuzz_config, requested_op
from pytest_gpuemu.engine.rng import generate_seed
from pytest_gpuemu.engine.verdict import FAILED, Finding, Verdict
from pytest_gpuemu.engine.wire_arrays import to_array
from pytest_gpuemu.engine.worker_loop import Ask


def campaign(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The master seed, the case seeds, the overrides and the notes of a FuzzOp."""
    request = read_request(message["request"])
    op = requested_op(request.op_name, {}, config)
    fuzz = read_fuzz_config(request.fuzz_config, op, proxied_floats=False)
    overrides, notes = narrowed_for_script(config, request.op_name, fuzz.overrides)
    master = generate_seed() if fuzz.seed is None else fuzz.seed
    op = requested_op(request.op_name, overrides, config)
    seeds = request.seeds
    if seeds is None:
        seeds = campaign_seeds(op, master, request.iterations)
    return {
        "seed": master,
        "seeds": list(seeds),
        "overrides": overrides,
        "notes": [*fuzz.notes, *notes],
        "generator": GENERATOR_VERSION,
    }


def judge_run(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The result of a case whose op was run: what it gave is in message["ran"]."""
    overrides = message["overrides"]
    op = requested_op(message["op_name"], overrides, config, message["seed"])
    case = wire_case(op, message["seed"], message["edits"])
    return result_of(case, *verdict_on(case, message["ran"]), overrides, message["ran"]["duration_ms"])


def reference_lost(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The failure of a case whose reference took its worker with it; message["text"] says how."""
    overrides = message["overrides"]
    op = requested_op(message["op_name"], overrides, config, message["seed"])
    case = wire_case(op, message["seed"], message["edits"])
    text: str = message["text"]
    return result_of(case, failed(case, "ReferenceError", text), text.partition("\n")[2], overrides, 0.0)


def verdict_on(case: Case, ran: Mapping[str, Any], *, hints: bool = True) -> tuple[Verdict, str]:
    """The verdict on what a run of the op gave (see op_host.run), and the traceback where there is one."""
    if (error := ran["error"]) is not None:
        text = error["text"] or error["summary"].partition("\n")[2]
        return failed(case, error["kind"], error["summary"]), text
    outputs = {name: to_array(tensor) for name, tensor in ran["outputs"].items()}
    try:
        verdict = judge(case, outputs, hints=hints, strides_known=False)
    except ReferenceFailed as error:
        return failed(case, "ReferenceError", str(error)), str(error).partition("\n")[2]
    except OutputError as error:
        return failed(case, "ExecutionError", str(error)), ""
    # What the op did to the memory around it was seen in its own process.
    seen = tuple(
        Finding(**{**found, "index": None if found["index"] is None else tuple(found["index"])})
        for found in ran["findings"]
    )
    if seen:
        verdict = replace(verdict, status=FAILED, findings=(*verdict.findings, *seen))
    return verdict, ""


def result_of(
    case: Case, verdict: Verdict, traceback: str, overrides: Mapping[str, Any], duration_ms: float
) -> dict[str, Any]:
    """What the daemon stores of a case."""
    timestamp = time.time()
    body, failure = judged_body(
        case,
        verdict,
        overrides=overrides,
        timestamp=timestamp,
        duration_ms=duration_ms,
        traceback=traceback,
    )
    return {"result": body, "failure": failure, "timestamp": timestamp}
