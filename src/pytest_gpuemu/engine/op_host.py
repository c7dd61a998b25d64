"""The process that runs ops under test: `python -m pytest_gpuemu.engine.op_host MEMORY_MB ROOT [CONFIG]`.

Here: building a case, calling the op on it, and what it did to the memory around it. Elsewhere: which way an
op is run (execution.py), judging what it gave (jobs/campaigns.py, in another process: an op that spoils its
memory spoils no reference), replacing a process that hung or died (workers.py).
"""

from __future__ import annotations

import dataclasses
import inspect
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from pytest_gpuemu.engine import arrays, checks, second_run
from pytest_gpuemu.engine.case import Case, build_case
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import (
    CannotRunHere,
    ConfigError,
    OutputError,
    ProtocolError,
    ReferenceFailed,
    ScriptFailed,
)
from pytest_gpuemu.engine.execution import is_script, runnable_entry
from pytest_gpuemu.engine.handover import Handover
from pytest_gpuemu.engine.jobs.cases import wire_case
from pytest_gpuemu.engine.judge import outputs_of
from pytest_gpuemu.engine.op import Array, Op
from pytest_gpuemu.engine.output_buffers import make_outputs
from pytest_gpuemu.engine.protocol.plain import plain
from pytest_gpuemu.engine.protocol.tensor import Tensor
from pytest_gpuemu.engine.references import call_by_name, optional_params
from pytest_gpuemu.engine.requested_ops import requested_op
from pytest_gpuemu.engine.resolve import load_function
from pytest_gpuemu.engine.scripts import Script
from pytest_gpuemu.engine.second_run import KeptOutput
from pytest_gpuemu.engine.stale_memory import make_stale
from pytest_gpuemu.engine.user_code import Called, call
from pytest_gpuemu.engine.verdict import Finding
from pytest_gpuemu.engine.wire_arrays import to_tensor
from pytest_gpuemu.engine.worker_loop import Ask, run_worker

# A larger case runs once.
_FEW_ELEMENTS = 2**14
_KERNELS: dict[tuple[str, ...], Callable[..., Any]] = {}


def run(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """Run the op of a message on the case of its seed, edits and overrides.

    The reply has outputs (tensors by name), findings (what the op did to the memory around it), error (None,
    or what it raised: kind, summary, text, place), could_not_run (None, or why) and duration_ms.
    """
    op = requested_op(message["op_name"], message["overrides"], config, message["seed"])
    # An op_schema of the request may give the op other inputs, which a script is asked by.
    key = (op.name, *(x.name for x in op.inputs))
    if key not in _KERNELS:
        _KERNELS[key] = _load_kernel(config, op)
    kernel = _KERNELS[key]
    try:
        case = wire_case(op, message["seed"], message["edits"])
        handover = Handover(op.library)
        handed = handover.arrays(case.inputs, case.buffers)
    except CannotRunHere as error:
        return _reply(could_not_run=str(error))
    started = time.monotonic()
    try:
        called = _call(kernel, case, handover, handed)
    except ReferenceFailed as error:  # it is asked for the shapes of the buffers that the op fills
        return _reply(error=_error(str(error), "", "reference", kind="ReferenceError"))
    duration_ms = (time.monotonic() - started) * 1000.0
    if isinstance(called.error, CannotRunHere):
        return _reply(could_not_run=str(called.error), duration_ms=duration_ms)
    if called.error is not None:
        return _reply(error=_said_of(called), duration_ms=duration_ms)
    read = call(_outputs, case, called.value, handed)  # reading an object of the user's may raise anything
    if isinstance(read.error, (OutputError, ProtocolError)):
        return _reply(error=_error(str(read.error), "", "output"), duration_ms=duration_ms)
    if read.error is not None:
        return _reply(error=_said_of(read), duration_ms=duration_ms)
    given, taken, outputs = read.value
    findings = _memory_findings(case, given, taken, handed)
    if _is_small(case) and not isinstance(kernel, Script):
        findings += _what_more_runs_show(kernel, case, given)
    return _reply(outputs=outputs, findings=findings, duration_ms=duration_ms)


def _load_kernel(config: Config, op: Op) -> Callable[..., Any]:
    """The op under test as a callable: the function, or what stands for the script. Raises ConfigError."""
    entry = runnable_entry(config, op.name)
    if not is_script(entry):
        text = str(entry.module)
        text = text if ":" in text else f"{text}:{op.name}"
        return load_function(text, config.root, f"{entry.place}: module = {entry.module!r}")
    path = config.root / str(entry.op_script)
    if not path.is_file():
        raise ConfigError(f"{entry.place}: op_script = {entry.op_script!r}: there is no file {path}")
    return Script(
        path,
        role="op script",
        input_names=tuple(x.name for x in op.inputs),
        param_defaults={param.name: param.choices[0] for param in op.params},
        timeout_s=config.op_timeout_s,
        limit="op_timeout_s under [validation]",
        memory_mb=config.op_memory_mb,
        limits_data=True,
    )


def _call(
    kernel: Callable[..., Any],
    case: Case,
    handover: Handover,
    handed: Mapping[str, Any],
    poison: int = 0,
) -> Called:
    """Call the op with inputs and params by name; one that has parameters named like outputs gets buffers for
    these, which hold that poison, and fills them."""
    outputs = _outputs_taken(kernel, case)
    given = dict(handed)
    if outputs:
        buffers = make_outputs(case, poison)
        taken = {name: buffers[name] for name in outputs}
        given |= handover.arrays(taken, case.output_buffers)
    called = call(call_by_name, kernel, given, case.params, optional=optional_params(case.op))
    if called.error is None:
        handover.fetch()
    return called


def _outputs(
    case: Case, value: Any, handed: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Array], dict[str, Tensor]]:
    """What the op gave by output name: as it gave it, as arrays of NumPy, and as tensors."""
    given = outputs_of(case, value, handed)
    taken = {name: arrays.to_numpy(array) for name, array in given.items()}
    return given, taken, {name: to_tensor(array) for name, array in taken.items()}


def _outputs_taken(kernel: Callable[..., Any], case: Case) -> list[str]:
    try:
        parameters = inspect.signature(kernel).parameters
    except (TypeError, ValueError):
        return []
    inputs = {x.name for x in case.op.inputs}
    return [x.name for x in case.op.outputs if x.name in parameters and x.name not in inputs]


def _memory_findings(
    case: Case, given: Mapping[str, Any], taken: Mapping[str, Any], handed: Mapping[str, Any]
) -> list[Finding]:
    foreign = None if case.op.library == "numpy" else handed
    device = arrays.device_of(next(iter(foreign.values()))) if foreign else None
    return [
        *checks.of_outputs(case, given, taken, device),
        *checks.of_memory(case, given, foreign),
    ]


def _is_small(case: Case) -> bool:
    return sum(array.size for array in case.originals.values()) <= _FEW_ELEMENTS


def _what_more_runs_show(kernel: Callable[..., Any], case: Case, given: Mapping[str, Any]) -> list[Finding]:
    """Outputs that differ when the op runs on the same case again, on fresh buffers and with poison in freed
    memory: what it never wrote, and what is not the same twice."""
    op = case.op
    if not op.checks_for("deterministic") and not op.checks_for("written"):
        return []
    first = second_run.keep(given)
    second = _run_again(kernel, case, first, 1)
    if isinstance(second, Called):
        message = (
            f"{second.summary}\nraised when the op was called again for the same case\n{second.traceback}"
        )
        return [Finding(kind="ExecutionError", message=message)]
    if not second_run.differ(first, second):
        return []
    third = _run_again(kernel, case, first, 0)
    return second_run.what_differs(op, first, second, None if isinstance(third, Called) else third)


def _run_again(
    kernel: Callable[..., Any], case: Case, kept: Mapping[str, KeptOutput], poison: int
) -> dict[str, KeptOutput] | Called:
    afresh = build_case(case.op, case.plan)
    handover = Handover(afresh.op.library)
    handed = handover.arrays(afresh.inputs, afresh.buffers)
    between = make_stale(kept.values(), poison)
    called = _call(kernel, afresh, handover, handed, poison)
    del between
    if called.error is not None:
        return called
    kept_again = call(lambda: second_run.keep(outputs_of(afresh, called.value, handed)))
    return kept_again if kept_again.error is not None else dict(kept_again.value)


def _said_of(called: Called) -> dict[str, str]:
    if isinstance(called.error, ScriptFailed):
        first, _, rest = str(called.error).partition("\n")
        return _error(first, rest, f"script: {rest.strip().rpartition(chr(10))[2]}")
    return _error(called.summary, called.traceback, called.place)


def _error(summary: str, text: str, place: str, *, kind: str = "ExecutionError") -> dict[str, str]:
    return {"kind": kind, "summary": summary, "text": text, "place": place}


def _reply(
    *,
    outputs: Mapping[str, Any] | None = None,
    findings: list[Finding] | None = None,
    error: Mapping[str, str] | None = None,
    could_not_run: str | None = None,
    duration_ms: float = 0.0,
) -> dict[str, Any]:
    return {
        "outputs": outputs,
        "findings": [plain(dataclasses.asdict(finding)) for finding in findings or ()],
        "error": error,
        "could_not_run": could_not_run,
        "duration_ms": duration_ms,
    }


if __name__ == "__main__":
    run_worker(sys.argv[1:], run, memory=resource.RLIMIT_DATA)
