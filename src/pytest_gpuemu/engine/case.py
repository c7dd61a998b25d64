"""A case: a plan with its arrays, as a kernel gets them and as the reference reads them.

Here: building the arrays of a plan, and a case from a caller's own arrays.
Elsewhere: the plan (plan.py), the values (values.py), the memory (buffers.py), buffers for outputs
(output_buffers.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_gpuemu.engine import values
from pytest_gpuemu.engine.buffers import Buffer, allocate
from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.given_shapes import fit_given
from pytest_gpuemu.engine.op import Array, Input, Op
from pytest_gpuemu.engine.plan import Plan, plan_case
from pytest_gpuemu.engine.rng import derive_seed


@dataclass(slots=True, kw_only=True)
class Case:
    """One set of inputs for an op.

    inputs are views with the plan's layouts inside buffers of ours; they may be handed to a kernel,
    which may spoil them. originals are equal C-contiguous arrays that no kernel sees; the reference
    reads these. buffers (by input name) and output_buffers (by output name, where asked for) know
    the memory around the views. A case made from a caller's own arrays has no buffers.
    """

    op: Op
    plan: Plan
    inputs: dict[str, Array]
    originals: Mapping[str, Array]
    buffers: dict[str, Buffer] = field(default_factory=dict)
    output_buffers: dict[str, Buffer] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.plan.params)


def make_case(op: Op, seed: int, edits: str = "") -> Case:
    """The case of that op, seed and edits. Raises what plan_case and build_case raise."""
    return build_case(op, plan_case(op, seed, edits))


def build_case(op: Op, plan: Plan) -> Case:
    """The arrays of a plan. Raises CannotRunHere where a layout cannot be mapped."""
    buffers, originals = {}, {}
    for x in op.inputs:
        gap = None if x.kind == "values" else _harmless_gap(x, plan.dims)
        buffer = allocate(
            plan.shapes[x.name],
            plan.dtypes[x.name],
            plan.layouts[x.name],
            derive_seed(plan.seed, f"layout/{x.name}"),
            gap=gap,
        )
        drawn = _values(x, plan, buffer.view)
        buffer.fill(np.broadcast_to(drawn, buffer.view.shape))
        buffers[x.name] = buffer
        originals[x.name] = np.array(buffer.view, order="C")
    return Case(
        op=op,
        plan=plan,
        inputs={name: buffer.view for name, buffer in buffers.items()},
        originals=originals,
        buffers=buffers,
    )


def case_from_arrays(
    op: Op, inputs: Mapping[str, Array], params: Mapping[str, Any] | None = None, seed: int = 0
) -> Case:
    """A case of a caller's own arrays, with the dims that their shapes give. It has no buffers.

    Its op is as it takes these arrays: of their ranks, and without optional inputs that are not there.
    An op with one input takes its array under any name. Params that are not given have their first
    choice. Raises ConfigError for an unknown or missing name, and for a shape that does not fit.
    """
    if len(op.inputs) == 1 and len(inputs) == 1:
        inputs = {op.inputs[0].name: next(iter(inputs.values()))}
    op, dims = fit_given(op, inputs)
    names = [x.name for x in op.inputs]
    known = [param.name for param in op.params]
    for name in params or {}:
        if name not in known:
            raise ConfigError(f"op {op.name!r}: unknown param {name!r}; {did_you_mean(name, known)}")
    dtypes = {name: str(inputs[name].dtype) for name in names}
    for name, dtype in dtypes.items():
        try:
            numpy_dtype(dtype)
        except ConfigError as error:
            raise ConfigError(f"op {op.name!r}: input {name!r}: {error}") from None
    floating = [dtypes[x.name] for x in op.inputs if x.is_floating]
    plan = Plan(
        op_name=op.name,
        seed=seed,
        dims=dims,
        dtype=floating[0] if floating else op.dtypes[0],
        shapes={name: inputs[name].shape for name in names},
        dtypes=dtypes,
        layouts={name: "contiguous" if inputs[name].flags.c_contiguous else "strided" for name in names},
        values=dict.fromkeys(names, "given"),
        params={param.name: param.choices[0] for param in op.params} | dict(params or {}),
    )
    return Case(
        op=op,
        plan=plan,
        inputs={name: inputs[name] for name in names},
        originals={name: np.array(inputs[name], order="C") for name in names},
    )


def _values(x: Input, plan: Plan, view: Array) -> Array:
    """The values of an input, of its shape, or of length 1 along an axis of stride 0."""
    shape = plan.shapes[x.name]
    if plan.layouts[x.name] == "broadcast":
        shape = tuple(1 if step == 0 else size for size, step in zip(shape, view.strides, strict=True))
    distribution = plan.values[x.name] if x.kind == "values" else "uniform"  # other kinds have their own
    domain = f"values/{x.name}/{plan.draw}" if plan.draw else f"values/{x.name}"
    seed = derive_seed(plan.seed, domain)
    drawn = values.fill(x, shape, plan.dtypes[x.name], distribution, plan.dims, seed)
    if x.name in plan.keep:
        kept = np.zeros_like(drawn)
        if x.kind == "values":  # its domain may exclude 0
            kept = values.fill(x, shape, plan.dtypes[x.name], "zeros", plan.dims, seed)
        indices = [index for index in plan.keep[x.name] if index < drawn.size]
        kept.reshape(-1)[indices] = drawn.reshape(-1)[indices]
        drawn = kept
    return drawn


def _harmless_gap(x: Input, dims: Mapping[str, int]) -> int:
    """What lies around and between indices: wrong where it is read, but not out of bounds."""
    if x.kind == "index" and x.of is not None:
        return max(x.of.evaluate(dims) - 1, 0)
    return 0
