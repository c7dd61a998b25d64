"""What judging a right output costs, against one run of its float64 reference.

Run: python benchmarks/judge.py. A line a case: the reference alone, the verdict on a correctly rounded
output (half an ulp settles it), and on one computed in float32 (which may need the trace).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes, references
from pytest_gpuemu.engine.case import Case, case_from_arrays
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS

SHAPES: dict[str, list[dict[str, tuple[int, ...]]]] = {
    "softmax": [{"input": (8, 33)}, {"input": (1024, 1024)}],
    "layer_norm": [{"input": (64, 100), "weight": (100,), "bias": (100,)}],
    "gelu": [{"input": (1024, 1024)}],
    "matmul": [{"input": (64, 64), "other": (64, 64)}, {"input": (512, 512), "other": (512, 512)}],
}


def best_s(run: Callable[[], Any], repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def case_of(name: str, shapes: dict[str, tuple[int, ...]], dtype: str) -> Case:
    op = BUILTIN_OPS[name]
    names = [x.name for x in op.inputs]
    rng = np.random.default_rng(0)
    inputs = {
        name: dtypes.cast(rng.normal(size=shape), dtype)
        for name, shape in zip(names, shapes.values(), strict=True)
    }
    return case_from_arrays(op, inputs, {param.name: param.choices[0] for param in op.params})


def in_float32(case: Case) -> dict[str, Any]:
    """The op's reference run on float32 arrays: a kernel that accumulates in float32."""
    narrow = {name: array.astype(np.float32) for name, array in case.originals.items()}
    optional = references.optional_params(case.op)
    output = references.call_by_name(case.op.references[0], narrow, case.params, optional=optional)
    return {case.op.outputs[0].name: np.asarray(output, dtype=np.float64)}


def main() -> None:
    print(f"{'op':<12} {'shape':<14} {'dtype':<9} {'reference':>10} {'rounded':>16} {'float32 inside':>32}")
    for name, every_shape in SHAPES.items():
        for shapes in every_shape:
            for dtype in ("float16", "float32"):
                case = case_of(name, shapes, dtype)
                reference = case.op.references[0]
                reference_s = best_s(lambda: references.evaluate(case.op, reference, case))  # noqa: B023
                line = f"{name:<12} {list(shapes['input'])!s:<14} {dtype:<9} {reference_s * 1e3:7.2f} ms"
                for values in (references.evaluate(case.op, reference, case), in_float32(case)):
                    output = {key: dtypes.cast(value, dtype) for key, value in values.items()}
                    judge_s = best_s(lambda: judge(case, output))  # noqa: B023
                    method = judge(case, output).comparisons[0].method
                    line += f"  {judge_s * 1e3:7.2f} ms {judge_s / reference_s:4.1f}x ({method})"
                print(line)


if __name__ == "__main__":
    main()
