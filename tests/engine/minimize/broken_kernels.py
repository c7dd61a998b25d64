"""Kernels with one planted bug each, and running the minimizer on them as a test would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.minimize import Minimized, Signature, minimize, signature_of
from pytest_gpuemu.engine.minimize.attempts import elements
from pytest_gpuemu.engine.op import Array, Op
from pytest_gpuemu.engine.plan import Plan, parse_case_id, plan_case
from pytest_gpuemu.engine.references import call_by_name, optional_params

Kernel = Callable[..., Array]


def row_sum_op(**keys) -> Op:
    given = {"schema": "x[rows,cols] -> [rows]", "dtypes": ["float16", "float32"]} | keys
    return define_op("row_sum", reference=lambda x: x.sum(axis=-1), **given)


def row_sum(x: Array) -> Array:
    return np.asarray(x, np.float64).sum(axis=-1).astype(x.dtype)


def double_op(**keys) -> Op:
    given = {"schema": "x[rows,cols] -> [rows,cols]", "dtypes": ["float16", "float32"]} | keys
    return define_op("double", reference=lambda x: 2.0 * x, **given)


def double(x: Array) -> Array:
    return x * x.dtype.type(2)


def failure_of(op: Op, kernel: Kernel, case_id: str) -> Signature | None:
    """Run the kernel on the case and judge it."""
    case = make_case(op, *parse_case_id(case_id))
    with np.errstate(all="ignore"):
        output = call_by_name(kernel, case.inputs, case.params, optional=optional_params(op))
    verdict = judge(case, output, hints=False)
    return signature_of(verdict, case) if verdict.failed else None


def failing_seed(op: Op, kernel: Kernel, wanted: Callable[[Plan], bool] = lambda plan: True) -> int:
    """The first seed from 0 at which the kernel fails, and whose plan is as wanted."""
    return next(
        seed for seed in range(4000) if wanted(plan_case(op, seed)) and failure_of(op, kernel, str(seed))
    )


def minimized(op: Op, kernel: Kernel, seed: int, edits: str = "", **options) -> Minimized:
    found = minimize(op, seed, edits, lambda case_id: failure_of(op, kernel, case_id), **options)
    assert found is not None
    assert failure_of(op, kernel, found.case_id) is not None
    assert elements(found.plan) <= elements(found.original)
    return found
