"""A worker's process: it builds cases, judges outputs, and runs the references that gpuemu.toml names.

Started by workers.py as `python -m pytest_gpuemu.engine.jobs MEMORY_MB ROOT [CONFIG]`; a message of
protocol 2, behind its length, comes on stdin, and the reply goes to stdout in the same form.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pytest_gpuemu.engine.case import Case, build_case, case_from_arrays
from pytest_gpuemu.engine.config import Config, config_at
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.errors import (
    CannotRunHere,
    ConfigError,
    GpuemuError,
    OutputError,
    ProtocolError,
    ReferenceFailed,
    SeedError,
    UnknownOpError,
)
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.judged import judged_body
from pytest_gpuemu.engine.op import Array, Op
from pytest_gpuemu.engine.plan import GENERATOR_VERSION, plan_case
from pytest_gpuemu.engine.processes import end_with_parent, limit_memory
from pytest_gpuemu.engine.protocol import (
    CANNOT_RUN_HERE,
    CONFIG_ERROR,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MAX_BATCH_BYTES,
    OP_NOT_FOUND,
    REFERENCE_FAILED,
    framing,
)
from pytest_gpuemu.engine.protocol.plain import plain
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.protocol.requests.judging import GetTestBatch, GetTestCase, SubmitOutput, ValidateOp
from pytest_gpuemu.engine.requested_ops import (
    NOT_FOR_PROTOCOL_1,
    op_for_arrays,
    read_fuzz_config,
    read_params,
    requested_op,
    with_params,
)
from pytest_gpuemu.engine.rng import generate_seed
from pytest_gpuemu.engine.wire_arrays import to_array, to_arrays, to_tensor
from pytest_gpuemu.engine.workers import FRAME

_CODES: tuple[tuple[type[GpuemuError], str], ...] = (
    (UnknownOpError, OP_NOT_FOUND),
    (ReferenceFailed, REFERENCE_FAILED),
    (CannotRunHere, CANNOT_RUN_HERE),
    (SeedError, INVALID_REQUEST),
    (OutputError, INVALID_REQUEST),
    (ConfigError, CONFIG_ERROR),
)
# The seeds looked at for one page of a batch: campaign_seeds starts at the first each time.
_MIN_CASE_BYTES = 2**12


def answer(message: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Do one job. What goes wrong with it comes back as an Error."""
    try:
        if message["job"] == "judge":
            return _judge(read_request(message["request"]), message["overrides"], config)
        if message["job"] == "cases":
            return _cases(read_request(message["request"]), config, message["proxied_floats"])
        return _inputs(message, config)
    except ProtocolError as error:
        return {"type": "Error", "code": error.code, "message": str(error)}
    except GpuemuError as error:
        code = next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL_ERROR)
        return {"type": "Error", "code": code, "message": str(error)}


def _judge(
    request: ValidateOp | SubmitOutput, overrides: Mapping[str, Any], config: Config
) -> dict[str, Any]:
    started = time.monotonic()
    seed = generate_seed() if request.seed is None else request.seed
    edits = request.edits if isinstance(request, SubmitOutput) else ""
    op = requested_op(request.op_name, overrides, config, seed)
    params = read_params(op, request.kwargs or {})
    op = with_params(op, params)
    given = None if request.inputs is None else {name: to_array(x) for name, x in request.inputs.items()}
    case, is_ours = _case_of(op, seed, edits, given, params, may_be_ours=isinstance(request, SubmitOutput))
    verdict = judge(case, to_arrays(request.output))
    duration_ms = (time.monotonic() - started) * 1000.0
    timestamp = time.time()
    body, failure = judged_body(
        case, verdict, overrides=overrides, timestamp=timestamp, duration_ms=duration_ms
    )
    return {"result": body, "failure": failure, "timestamp": timestamp, "inputs_differ": not is_ours}


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
        case = _case(op, seed, edits)
        if params:
            case.plan = dataclasses.replace(case.plan, params={**case.plan.params, **params})
        return case, not params
    if may_be_ours and not params:
        try:
            case = _case(op, seed, edits)
        except GpuemuError:
            pass  # then the inputs cannot be ours, and are judged as what they are
        else:
            if _are_inputs_of(case, given):
                return case, True
    return case_from_arrays(op_for_arrays(op, given), given, params, seed), False


def _case(op: Op, seed: int, edits: str = "") -> Case:
    """The case of a seed as it goes over the wire, where arrays have no strides.

    An input of the huge layout is contiguous here: its addresses are more than a worker may have.
    """
    plan = plan_case(op, seed, edits)
    layouts = {name: "contiguous" if layout == "huge" else layout for name, layout in plan.layouts.items()}
    return build_case(op, dataclasses.replace(plan, layouts=layouts))


def _are_inputs_of(case: Case, given: Mapping[str, Array]) -> bool:
    return given.keys() == case.originals.keys() and all(
        array.dtype == given[name].dtype
        and array.shape == given[name].shape
        and array.tobytes() == given[name].tobytes()
        for name, array in case.originals.items()
    )


def _cases(request: GetTestCase | GetTestBatch, config: Config, proxied_floats: bool) -> dict[str, Any]:
    op = requested_op(request.op_name, {}, config)
    fuzz = read_fuzz_config(request.fuzz_config, op, proxied_floats=proxied_floats)
    overrides = dict(fuzz.overrides)
    count = 1
    if isinstance(request, GetTestBatch):
        count = request.count if request.count is not None else 10
        if request.seeds is not None:
            count = len(request.seeds)
        if proxied_floats and count * op.max_bytes > MAX_BATCH_BYTES and "max_bytes" not in overrides:
            # That client takes what the one reply holds for the whole campaign: each case gets its share.
            overrides["max_bytes"] = max(MAX_BATCH_BYTES // max(count, 1), _MIN_CASE_BYTES)
    op = requested_op(request.op_name, overrides, config)
    start = request.start if isinstance(request, GetTestBatch) else 0
    if isinstance(request, GetTestBatch) and request.seeds is not None:
        seeds = list(request.seeds)[start:]
    else:
        master = generate_seed() if fuzz.seed is None else fuzz.seed
        seeds = list(campaign_seeds(op, master, count))[start:]
    cases: list[dict[str, Any]] = []
    nbytes = 0
    for seed in seeds:
        case = _case(requested_op(request.op_name, overrides, config, seed), seed)
        nbytes += sum(array.nbytes for array in case.originals.values())
        if cases and nbytes > MAX_BATCH_BYTES:
            break
        cases.append(_case_message(case, overrides))
    return {
        "cases": cases,
        "overrides": overrides,
        "notes": list(fuzz.notes),
        "left_out": len(seeds) - len(cases),
    }


def _case_message(case: Case, overrides: Mapping[str, Any]) -> dict[str, Any]:
    first = case.op.inputs[0].name if case.op.inputs else None
    plan = case.plan
    return {
        "op_name": case.op.name,
        "seed": plan.seed,
        "inputs": {name: to_tensor(array) for name, array in case.originals.items()},
        "params": plain(plan.params),
        "shape": list(plan.shapes[first]) if first else [],
        "dtype": plan.dtypes[first] if first else plan.dtype,
        "layout": plan.layouts[first] if first else "contiguous",
        "values": plan.values[first] if first else "uniform",
        "layouts": dict(plan.layouts),
        "fuzz_config": dict(overrides),
    }


def _inputs(message: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The inputs of a stored failure. Raises CannotRunHere where another generator drew them."""
    if message["generator"] != GENERATOR_VERSION:
        raise CannotRunHere(
            f"seed {message['seed']} was drawn by version {message['generator']} of the case generator, "
            f"this is version {GENERATOR_VERSION}: install the pytest-gpuemu that found it"
        )
    op = requested_op(message["op_name"], message["overrides"], config, message["seed"])
    case = _case(op, message["seed"], message["edits"])
    arrays = dict(case.originals)
    if message["proxied_floats"]:
        # float32 holds their values exactly, and the client of protocol 1 reads it as what it is.
        arrays = {
            name: array.astype(np.float32) if str(array.dtype) in NOT_FOR_PROTOCOL_1 else array
            for name, array in arrays.items()
        }
    return {"inputs": {name: to_tensor(array) for name, array in arrays.items()}}


def serve(requests: BinaryIO, answers: BinaryIO, config: Config) -> None:
    """Answer jobs until the requests end."""
    while len(head := requests.read(FRAME.size)) == FRAME.size:
        (length,) = FRAME.unpack(head)
        reply = framing.encode(answer(framing.decode(requests.read(length)), config), 2)
        answers.write(FRAME.pack(len(reply)) + reply)
        answers.flush()


def main(arguments: list[str]) -> None:
    end_with_parent()
    limit_memory(int(arguments[0]))
    root = Path(arguments[1])
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a reference prints must not land among the replies
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    config = config_at(Path(arguments[2]) if len(arguments) > 2 else None, root)
    answers.write(FRAME.pack(0))  # ready
    answers.flush()
    serve(requests, answers, config)


if __name__ == "__main__":
    main(sys.argv[1:])
