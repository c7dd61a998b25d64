"""How a minimized case reads: one line that names what is left of it.

Here: the line. Elsewhere: the report of a failing case (report.py), the commands around it (pytest_items).
"""

from __future__ import annotations

from math import prod
from typing import Any

from pytest_gpuemu.engine.case import build_case
from pytest_gpuemu.engine.minimize.values import CONSTANT
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan

_MOST_SHOWN = 4


def describe_smallest(op: Op, plan: Plan) -> str:
    """`input float16 [1, 33], strided, values ones; dim=0`, without what is plain, and fixed params.

    Of a few elements the values are told themselves: `input float32 [1, 2] = [[-3, nan]]`.
    """
    few = [
        name
        for name, shape in plan.shapes.items()
        if prod(shape) <= _MOST_SHOWN and plan.values[name] not in CONSTANT
    ]
    shown = build_case(op, plan).originals if few else {}
    inputs = []
    for x in op.inputs:
        said = [f"{x.name} {plan.dtypes[x.name]} {list(plan.shapes[x.name])}"]
        is_shown = x.name in few
        if is_shown:
            said[0] += f" = {_numbers(shown[x.name].tolist())}"
        if plan.layouts[x.name] != "contiguous":
            said.append(plan.layouts[x.name])
        if x.kind == "values" and plan.values[x.name] != "uniform" and not is_shown:
            said.append(f"values {plan.values[x.name]}")
        if x.name in plan.keep and not is_shown:
            said.append(f"0 but at {', '.join(map(str, plan.keep[x.name]))}")
        inputs.append(", ".join(said))
    outputs = [f"{name} {layout}" for name, layout in plan.output_layouts.items() if layout != "contiguous"]
    params = [f"{param.name}={plan.params[param.name]!r}" for param in op.params if len(param.choices) > 1]
    config = [f"config {plan.config!r}"] if plan.config is not None else []
    return "; ".join([*inputs, *outputs, *params, *config])


def _numbers(numbers: Any) -> str:
    """A number, or nested lists of numbers, to six digits."""
    if isinstance(numbers, list):
        return f"[{', '.join(map(_numbers, numbers))}]"
    return f"{float(numbers):.6g}"
