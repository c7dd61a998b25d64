"""The smallest case that fails as a stored one does, of an op that the daemon runs.

Here: running the op on ever smaller cases through the daemon, and the failure of the smallest. Elsewhere: the
search (minimize/), running the op (op_host.py), the same for an op that the client runs
(client/minimizing.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.jobs.campaigns import result_of, verdict_on
from pytest_gpuemu.engine.jobs.cases import wire_case
from pytest_gpuemu.engine.minimize import Signature, minimize, signature_of, signature_of_error
from pytest_gpuemu.engine.plan import parse_case_id
from pytest_gpuemu.engine.requested_ops import requested_op
from pytest_gpuemu.engine.verdict import Verdict
from pytest_gpuemu.engine.worker_loop import Ask


def minimize_run(message: Mapping[str, Any], config: Config, ask: Ask) -> dict[str, Any]:
    """The smallest case of a stored failure, found within max_iters runs of its op and time_s seconds."""
    name, seed, overrides = message["op_name"], message["seed"], message["overrides"]
    op = requested_op(name, overrides, config, seed)

    def run(case_id: str) -> tuple[Case, Verdict, str, Mapping[str, Any]]:
        _, edits = parse_case_id(case_id)
        case = wire_case(op, seed, edits)
        ran = ask({"op_name": name, "seed": seed, "edits": edits, "overrides": overrides})
        return case, *verdict_on(case, ran, hints=False), ran

    def fails(case_id: str) -> Signature | None:
        case, verdict, _, ran = run(case_id)
        if not verdict.failed:
            return None
        return (
            signature_of(verdict, case) if ran["error"] is None else signature_of_error(ran["error"]["place"])
        )

    found = minimize(
        op,
        seed,
        message["edits"],
        fails,
        strategy=message["strategy"],
        max_cases=message["max_iters"],
        time_s=message["time_s"],
    )
    if found is None:
        raise ConfigError(
            f"{name!r} passes the case {message['seed']} now: was the op changed since it failed?"
        )
    summary = {
        "seed": found.seed,
        "edits": found.edits,
        "runs": found.cases,
        "is_complete": found.is_complete,
    }
    if found.plan == found.original:
        return {**summary, "smallest": None}
    case, verdict, traceback, ran = run(found.case_id)
    if not verdict.failed:
        raise ConfigError(f"{name!r} fails for the case {found.case_id} only now and then")
    return {**summary, "smallest": result_of(case, verdict, traceback, overrides, ran["duration_ms"])}
