"""How a minimized case reads: one line that names what is left of it.

Here: the line. Elsewhere: the report of a failing case (report.py), the commands around it (pytest_items).
"""

from __future__ import annotations

from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan


def describe_smallest(op: Op, plan: Plan) -> str:
    """`input float16 [1, 33], strided, values ones; dim=0`, without what is plain, and fixed params."""
    inputs = []
    for x in op.inputs:
        said = [f"{x.name} {plan.dtypes[x.name]} {list(plan.shapes[x.name])}"]
        if plan.layouts[x.name] != "contiguous":
            said.append(plan.layouts[x.name])
        if x.kind == "values" and plan.values[x.name] != "uniform":
            said.append(f"values {plan.values[x.name]}")
        if x.name in plan.keep:
            said.append(f"0 but at {', '.join(map(str, plan.keep[x.name]))}")
        inputs.append(", ".join(said))
    outputs = [f"{name} {layout}" for name, layout in plan.output_layouts.items() if layout != "contiguous"]
    params = [f"{param.name}={plan.params[param.name]!r}" for param in op.params if len(param.choices) > 1]
    config = [f"config {plan.config!r}"] if plan.config is not None else []
    return "; ".join([*inputs, *outputs, *params, *config])
