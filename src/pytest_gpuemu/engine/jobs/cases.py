"""Drawing cases for the daemon's clients, and the inputs of a failure once more.

Elsewhere: what a request narrows (requested_ops.py), the case of a seed (plan.py, case.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case, build_case
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import GENERATOR_VERSION, plan_case
from pytest_gpuemu.engine.protocol import MAX_BATCH_BYTES
from pytest_gpuemu.engine.protocol.plain import plain
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.protocol.requests.judging import GetTestBatch
from pytest_gpuemu.engine.requested_ops import NOT_FOR_PROTOCOL_1, read_fuzz_config, requested_op
from pytest_gpuemu.engine.rng import generate_seed
from pytest_gpuemu.engine.wire_arrays import to_tensor
from pytest_gpuemu.engine.worker_loop import Ask

# Below it, no op of several inputs has a case.
_MIN_CASE_BYTES = 2**12


def wire_case(op: Op, seed: int, edits: str = "") -> Case:
    """The case of a seed as it goes over the wire, where arrays have no strides.

    An input of the huge layout is contiguous here: its addresses are more than a worker may have.
    """
    plan = plan_case(op, seed, edits)
    layouts = {name: "contiguous" if layout == "huge" else layout for name, layout in plan.layouts.items()}
    return build_case(op, dataclasses.replace(plan, layouts=layouts))


def cases(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The cases of a GetTestCase or GetTestBatch, as many as fit into a reply."""
    request, proxied_floats = read_request(message["request"]), message["proxied_floats"]
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
    found: list[dict[str, Any]] = []
    nbytes = 0
    for seed in seeds:
        case = wire_case(requested_op(request.op_name, overrides, config, seed), seed)
        nbytes += sum(array.nbytes for array in case.originals.values())
        if found and nbytes > MAX_BATCH_BYTES:
            break
        found.append(_case_message(case, overrides))
    return {
        "cases": found,
        "overrides": overrides,
        "notes": list(fuzz.notes),
        "left_out": len(seeds) - len(found),
    }


def inputs(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The inputs of a stored failure, their layouts and its params. Raises CannotRunHere where another
    generator drew them."""
    if message["generator"] != GENERATOR_VERSION:
        raise CannotRunHere(
            f"seed {message['seed']} was drawn by version {message['generator']} of the case generator, "
            f"this is version {GENERATOR_VERSION}: install the pytest-gpuemu that found it"
        )
    op = requested_op(message["op_name"], message["overrides"], config, message["seed"])
    case = wire_case(op, message["seed"], message["edits"])
    arrays = dict(case.originals)
    if message["proxied_floats"]:
        # float32 holds their values exactly, and the client of protocol 1 reads it as what it is.
        arrays = {
            name: array.astype(np.float32) if str(array.dtype) in NOT_FOR_PROTOCOL_1 else array
            for name, array in arrays.items()
        }
    return {
        "inputs": {name: to_tensor(array) for name, array in arrays.items()},
        "layouts": dict(case.plan.layouts),
        "params": plain(case.plan.params),
        "inplace": dict(op.inplace),
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
        "inplace": dict(case.op.inplace),
        "fuzz_config": dict(overrides),
    }
