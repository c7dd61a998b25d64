"""What tracing a reference costs, beside the reference itself.

    python benchmarks/trace.py

Prints, for five float32 cases, the time of the plain float64 reference, of its error bound, and the
ratio of both; the last column is the ratio of an unoptimised sketch of the same rules, measured on the
machine and data of this benchmark.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Input, Op, Output
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.trace import error_bound

REPEATS = 5


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x: Any) -> Any:
    apart = x - x.mean(axis=-1, keepdims=True)
    return apart / np.sqrt((apart * apart).mean(axis=-1, keepdims=True) + 1e-5)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1.0 + special.erf(x / np.sqrt(2.0)))


def matmul(x: Any) -> Any:
    return x @ x


def attention(x: Any) -> Any:
    return softmax(x @ np.swapaxes(x, -1, -2) / 8.0) @ x


# The sketch's ratio: the same rules with every error by evaluation at x + e and x - e, trace alone.
CASES: list[tuple[str, Callable[..., Any], tuple[int, ...], float]] = [
    ("softmax 1024 x 1024", softmax, (1024, 1024), 14.4),
    ("layer_norm 1024 x 1024", layer_norm, (1024, 1024), 27.6),
    ("gelu 1024 x 1024", gelu, (1024, 1024), 19.2),
    ("matmul 512", matmul, (512, 512), 11.9),
    ("attention 512 x 64", attention, (512, 64), 18.8),
    ("softmax 4 x 33", softmax, (4, 33), 85.1),
]


def case_of(reference: Callable[..., Any], x: Any) -> Case:
    op = Op(
        name="of_a_benchmark",
        origin="marker",
        references=(reference,),
        inputs=(Input(name="x", dims=()),),
        outputs=(Output(name="y"),),
    )
    plan = Plan(
        op_name=op.name, seed=0, dims={}, dtype="float32", shapes={}, dtypes={}, layouts={}, values={}
    )
    return Case(op=op, plan=plan, inputs={"x": x}, originals={"x": x})


def best_ms(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    print(f"{'case':24} {'reference':>12} {'bound':>12} {'ratio':>7} {'sketch':>7}")
    for name, reference, shape, sketch in CASES:
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        case = case_of(reference, x)
        plain = best_ms(lambda reference=reference, x=x: reference(x.astype(np.float64)))
        traced = best_ms(
            lambda reference=reference, case=case: error_bound(
                reference, case, compute="float32", time_budget_s=60.0
            )
        )
        print(f"{name:24} {plain:9.2f} ms {traced:9.2f} ms {traced / plain:6.1f}x {sketch:6.1f}x")


if __name__ == "__main__":
    main()
