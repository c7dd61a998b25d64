"""Having an output judged: for a caller's own inputs, or for a case of the daemon's.

Here: the two requests. Elsewhere: the methods that users call (client.py), the judgement (engine/jobs/).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_gpuemu.client.data import ValidationResult
from pytest_gpuemu.client.sending import sent_inputs, sent_output
from pytest_gpuemu.client.transport import Transport, ask
from pytest_gpuemu.engine.errors import ClientError
from pytest_gpuemu.engine.plan import parse_case_id
from pytest_gpuemu.engine.protocol import NOT_STORED
from pytest_gpuemu.engine.protocol.plain import plain
from pytest_gpuemu.engine.protocol.tensor import Tensor
from pytest_gpuemu.engine.verdict import Finding


def validate(
    transport: Transport,
    op_name: str,
    inputs: Mapping[str, Any],
    output: Any,
    *,
    dtype: str | None,
    seed: int | None,
    params: Mapping[str, Any],
) -> ValidationResult:
    """See Client.validate_op."""
    sent = sent_output(output)
    if dtype is not None and isinstance(sent, Tensor) and sent.dtype != dtype:
        raise ClientError(
            f"validate_op({op_name!r}): dtype = {dtype!r}, but the output has dtype {sent.dtype!r}"
        )
    message = {
        "type": "ValidateOp",
        "op_name": op_name,
        "inputs": sent_inputs(inputs),
        "output": sent,
        "seed": seed,
        "kwargs": plain(params),
    }
    return _read(ask(transport, message, "ValidationResult"))


def submit(
    transport: Transport,
    op_name: str,
    inputs: Mapping[str, Any] | None,
    output: Any,
    case_id: int | str,
    *,
    params: Mapping[str, Any],
    fuzz_config: Mapping[str, Any] | None = None,
    keep: bool = True,
    seen: Sequence[Finding] = (),
) -> ValidationResult:
    """See Client.submit_output. fuzz_config is what the case was narrowed by, where that is known here; seen
    what was seen of the op beside its output."""
    seed, edits = parse_case_id(case_id)
    message = {
        "type": "SubmitOutput",
        "op_name": op_name,
        "seed": seed,
        "edits": edits,
        "output": sent_output(output),
        "inputs": None if inputs is None else sent_inputs(inputs),
        "kwargs": plain(params),
        "fuzz_config": None if fuzz_config is None else dict(fuzz_config),
        "keep": keep,
        "seen": [{"kind": finding.kind, "message": finding.message} for finding in seen],
    }
    return _read(ask(transport, message, "SubmitResult"))


def _read(reply: Mapping[str, Any]) -> ValidationResult:
    """The result of a reply. That it is not stored is a warning too: who reads the notes of what passed?"""
    result = ValidationResult.from_wire(reply["result"])
    for note in result.notes:
        if note.startswith(NOT_STORED):
            warnings.warn(note, stacklevel=4)
    return result
