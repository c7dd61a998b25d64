"""Cases made of a test's own arrays, and the tolerance of the theory: ulp_out(|v| + 2E)/2 + 2E.

The rule for elements is written here once more, in float32's own terms, so that these tests ask the
bound and not the comparison.
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Input, Op, Output
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.trace import Bound, error_bound

f32 = np.float32


def case_of(reference, params=None, outputs=1, library="numpy", **inputs) -> Case:
    op = Op(
        name="of_a_test",
        origin="marker",
        library=library,
        references=(reference,),
        inputs=tuple(Input(name=name, dims=()) for name in inputs),
        outputs=tuple(Output(name="y" if outputs == 1 else f"y{i}") for i in range(outputs)),
    )
    plan = Plan(
        op_name=op.name,
        seed=0,
        dims={},
        dtype="float32",
        shapes={},
        dtypes={},
        layouts={},
        values={},
        params=params or {},
    )
    return Case(op=op, plan=plan, inputs=dict(inputs), originals=dict(inputs))


def bound_of(
    reference, *, compute="float32", params=None, outputs=1, library="numpy", time_budget_s=10.0, **inputs
) -> Bound:
    case = case_of(reference, params, outputs, library, **inputs)
    return error_bound(reference, case, compute=compute, time_budget_s=time_budget_s)


def error_of(reference, **keywords) -> np.ndarray:
    """E of the single output of a reference that must be traceable."""
    bound = bound_of(reference, **keywords)
    assert bound.method == "trace", bound.note
    return bound.errors["y"]


def exceeding(output, bound: Bound, name="y") -> np.ndarray:
    """Elements of a kernel's output (of its own dtype) that lie beyond the derived tolerance."""
    value, error = bound.values[name], bound.errors[name]
    with np.errstate(all="ignore"):
        slack = 2.0 * error
        ulp = np.spacing(np.minimum(np.abs(value) + slack, np.finfo(output.dtype).max).astype(output.dtype))
        away = np.abs(output.astype(np.float64) - value)
        same = (output.astype(np.float64) == value) | (np.isnan(output) & np.isnan(value))
        within = away <= 0.5 * ulp.astype(np.float64) + slack
    return ~(same | within | np.isinf(error))


VALUE_CLASSES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "near-equal": lambda rng, shape: 100.0 + rng.normal(size=shape) * 0.1,
    "wide": lambda rng, shape: np.exp(rng.uniform(-12, 4, shape)) * rng.choice([-1.0, 1.0], shape),
    "one-signed": lambda rng, shape: np.abs(rng.normal(size=shape)) + 0.01,
    "constant": lambda rng, shape: np.full(shape, rng.normal()),
}


def draw(kind: str, seed: int, shape, dtype=f32) -> np.ndarray:
    return VALUE_CLASSES[kind](np.random.default_rng(seed), shape).astype(dtype)
