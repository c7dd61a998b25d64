"""Minimizing a stored failure of an op that runs in the client's own process.

Here: the op of the failure, running it on smaller cases, the failure of the smallest. Elsewhere: the search
(engine/minimize/), the method that users call (client.py). The smaller cases are judged here: the daemon
would store each of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from pytest_gpuemu.client.data import ReproductionInfo, ValidationResult
from pytest_gpuemu.client.fuzzing import RunCase
from pytest_gpuemu.engine.case import Case, make_case
from pytest_gpuemu.engine.config import config_at
from pytest_gpuemu.engine.errors import CannotRunHere, ClientError, GpuemuError
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.minimize import Minimized, Signature, minimize, signature_of, signature_of_error
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import GENERATOR_VERSION, parse_case_id
from pytest_gpuemu.engine.report import describe_failure
from pytest_gpuemu.engine.requested_ops import requested_op
from pytest_gpuemu.engine.user_code import Called
from pytest_gpuemu.engine.verdict import Failure, Finding, Verdict


@dataclass(slots=True)
class _Ran:
    """One run: what was called, and the verdict on what it gave; None where it raised."""

    case: Case
    called: Called
    verdict: Verdict | None
    duration_ms: float

    @property
    def signature(self) -> Signature | None:
        if self.verdict is not None:
            return signature_of(self.verdict, self.case) if self.verdict.failed else None
        error = self.called.error
        if error is None or isinstance(error, CannotRunHere):
            return None
        return signature_of_error(self.called.place)


def minimize_here(
    stored: ValidationResult,
    run: RunCase,
    *,
    test_id: str,
    config: str | None,
    strategy: str | None,
    max_iters: int,
) -> tuple[Minimized, Failure]:
    """The smallest case that fails as the stored failure does, and its failure, to be stored under test_id.

    config is the daemon's file, if any. Raises ClientError where the op cannot be run here, where the case
    was a caller's own arrays, and where it does not fail.
    """
    info = stored.repro_info
    if info is None or info.input_snapshot is not None:
        raise ClientError(
            f"minimize({stored.case_id!r}): the inputs of {stored.op_name!r} were given by the caller; only "
            "a case that its seed rebuilds can be made smaller, such as one of get_test_case or of pytest"
        )
    try:
        op = _op_of(stored, info, config)
        found = minimize(
            op,
            stored.seed,
            stored.edits,
            lambda case_id: _run(op, case_id, run).signature,
            strategy=strategy,
            max_cases=max_iters,
        )
        if found is None:
            raise ClientError(
                f"minimize({stored.case_id!r}): {stored.op_name!r} passes this case now; "
                "is it the op that failed?"
            )
        return found, _failure(_run(op, found.case_id, run), info, test_id)
    except ClientError:
        raise
    except GpuemuError as error:
        raise ClientError(f"minimize({stored.case_id!r}): {error}") from error


def _op_of(stored: ValidationResult, info: ReproductionInfo, config: str | None) -> Op:
    path = None if config is None else Path(config)
    project = config_at(path, Path.cwd() if path is None else path.parent)
    return requested_op(stored.op_name, info.fuzz_config, project, stored.seed)


def _run(op: Op, case_id: str, run: RunCase) -> _Ran:
    case = make_case(op, *parse_case_id(case_id))
    started = time.monotonic()
    called = run({"inputs": case.inputs, "params": case.params})
    verdict = None if called.error is not None else judge(case, called.value, hints=False)
    return _Ran(case, called, verdict, (time.monotonic() - started) * 1000.0)


def _failure(ran: _Ran, info: ReproductionInfo, test_id: str) -> Failure:
    """The smallest case as it is stored. Raises ClientError where it did not fail once more."""
    case, plan, verdict = ran.case, ran.case.plan, ran.verdict
    first = next(iter(case.inputs))
    findings: tuple[Finding, ...] = (Finding(kind="ExecutionError", message=ran.called.summary),)
    text, stats = ran.called.traceback, None
    if verdict is not None:
        if not verdict.failed:
            raise ClientError(f"{plan.op_name} fails for seed {plan.case_id} only now and then")
        findings, stats = verdict.findings, verdict.comparisons[0].stats if verdict.comparisons else None
        text = "\n".join(describe_failure(case, verdict, commands=[f'Client().reproduce("{plan.case_id}")']))
    return Failure(
        test_id=test_id,
        op=plan.op_name,
        seed=plan.seed,
        edits=plan.edits,
        generator=GENERATOR_VERSION,
        shape=plan.shapes[first],
        strides=case.inputs[first].strides,
        dtype=plan.dtypes[first],
        layout=plan.layouts[first],
        values=plan.values[first],
        fuzz_config=info.fuzz_config,
        findings=findings,
        stats=stats,
        text=text,
        timestamp=time.time(),
        duration_ms=ran.duration_ms,
    )
