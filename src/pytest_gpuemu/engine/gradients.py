"""Gradients of a case: the incoming gradient, and an op whose outputs are the gradients of the inputs.

Here: drawing the incoming gradient, the gradient case that judge.judge judges as any other, and the elements
for which no one gradient is right. Elsewhere: the gradients of the built-in ops (ops/gradients.py), those of
references in torch and JAX, and running the function under test (autograd.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pytest_gpuemu.engine import dtypes, values
from pytest_gpuemu.engine.buffers import Buffer, allocate
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.op import Array, Float64Array, Gradient, Input, Op, Output
from pytest_gpuemu.engine.plan import UNREPRESENTABLE, layout_fits
from pytest_gpuemu.engine.references import evaluate
from pytest_gpuemu.engine.rng import SeededRng, derive_seed
from pytest_gpuemu.engine.tolerance import ErrorBounds

# out.sum().backward() hands over a gradient of stride 0 in every axis, a broadcast or mean one of stride 0 in
# some: kernels that read it as contiguous are the most common bug, so these layouts come most often.
LAYOUTS = (
    "contiguous",
    "strided",
    "transposed",
    "broadcast",
    "everywhere_broadcast",
    "offset",
    "channels_last",
)
VALUES = ("normal", "uniform", "integers", "sparse", "one_signed", "near_equal")
# How far inputs move where a kink is looked for: far below what a kernel rounds, so that a smooth gradient
# stays within its error bound, and far above float64's own rounding. A zero moves away from 0 by _AWAY.
_MOVED_BY = 2.0**-40
_AWAY = 2.0**-200
_JUMP = 2.0**-20
_PAIRS = 4
_STAND_INS = (1.0, -2.0)


def differentiable_inputs(op: Op, case: Case) -> tuple[str, ...]:
    """The names of the inputs that have a gradient: those of a floating dtype."""
    return tuple(x.name for x in op.inputs if dtypes.is_floating(str(case.originals[x.name].dtype)))


def incoming_names(op: Op, outputs: Mapping[str, Array]) -> dict[str, str]:
    """What the incoming gradient of each floating output is called: grad_output where there is one output."""
    floating = [name for name, array in outputs.items() if dtypes.is_floating(str(array.dtype))]
    taken = {x.name for x in op.inputs}
    names = {}
    for name in floating:
        called = "grad_output" if len(op.outputs) == 1 else f"grad_{name}"
        while called in taken:
            called = f"grad_{called}"
        names[name] = called
    return names


def gradient_case(case: Case, gradient: Gradient, outputs: Mapping[str, Array], library: str) -> Case:
    """The case whose outputs are the gradients of case's inputs, with incoming gradients for these outputs.

    outputs are what the function under test gave; each incoming gradient has its output's shape and dtype,
    finite values and a layout that library can hold, all drawn from the case's seed. The op that comes with
    it is called `<op> (gradient)`; its output `grad of x` has x's shape and dtype.
    """
    op, plan = case.op, case.plan
    buffers: dict[str, Buffer] = {}
    views: dict[str, Array] = {}
    layouts, distributions = {}, {}
    inputs = []
    for output, name in incoming_names(op, outputs).items():
        array = outputs[output]
        rng = SeededRng(derive_seed(plan.seed, name))
        layouts[name] = _layout(array.shape, library, rng)
        distributions[name] = rng.choice(VALUES)
        x = Input(name=name, dims=())
        seed = derive_seed(plan.seed, f"{name}/values")
        buffers[name], views[name] = _incoming(x, array, layouts[name], distributions[name], case, seed)
        inputs.append(x)
    of_input = {x.name: x for x in op.inputs}
    gradient_op = replace(
        op,
        name=f"{op.name} (gradient)",
        references=gradient.references,
        inputs=(*inputs, *op.inputs),
        outputs=tuple(
            Output(name=grad_of(name), dims=of_input[name].dims, dtype=plan.dtypes[name])
            for name in gradient.of
        ),
        invariants=(),
        canonical=None,
        shape_rule=None,
        gradient=None,
        inplace={},
        # x + y hands its incoming gradient on as it is.
        checks={**op.checks, "alias": False},
        conventions=conventions,
    )
    return Case(
        op=gradient_op,
        plan=replace(
            plan,
            op_name=gradient_op.name,
            shapes={**{name: view.shape for name, view in views.items()}, **plan.shapes},
            dtypes={**{name: str(view.dtype) for name, view in views.items()}, **plan.dtypes},
            layouts={**layouts, **plan.layouts},
            values={**distributions, **plan.values},
        ),
        inputs={**views, **case.inputs},
        originals={**{name: np.array(view, order="C") for name, view in views.items()}, **case.originals},
        buffers={**buffers, **case.buffers},
    )


def grad_of(name: str) -> str:
    """The name of the output that is the gradient of this input."""
    return f"grad of {name}"


def _layout(shape: tuple[int, ...], library: str, rng: SeededRng) -> str:
    out_of_reach = UNREPRESENTABLE.get(library, frozenset())
    if "broadcast" in out_of_reach:
        return "contiguous"
    fitting = [name for name in LAYOUTS if layout_fits(name.removeprefix("everywhere_"), shape)]
    return rng.choice([name for name in fitting if name not in out_of_reach])


def _incoming(
    x: Input, output: Array, layout: str, distribution: str, case: Case, seed: int
) -> tuple[Buffer, Array]:
    """An incoming gradient in guard bands: its buffer, and the view of the output's shape."""
    dtype, shape = str(output.dtype), output.shape
    held = (1,) * len(shape) if layout == "everywhere_broadcast" else shape
    plain = "contiguous" if layout == "everywhere_broadcast" else layout
    buffer = allocate(held, dtype, plain, derive_seed(seed, "layout"))
    own = tuple(
        1 if step == 0 else size for size, step in zip(buffer.view.shape, buffer.view.strides, strict=True)
    )
    drawn = values.fill(x, own, dtype, distribution, case.plan.dims, seed)
    buffer.fill(np.broadcast_to(drawn, held))
    if held == shape:
        return buffer, buffer.view
    # Writable, unlike broadcast_to's: torch would get a copy, without guard bands, of a read-only array.
    return buffer, np.lib.stride_tricks.as_strided(buffer.view, shape, (0,) * len(shape))


def conventions(bounds: ErrorBounds) -> dict[str, Array]:
    """By gradient, the mask of the elements for which no one value is right.

    Two rules, found by runs of the reference in float64, whatever the op is.

    - What depends on an input that is not finite: NaN and infinities reach a gradient by products with 0
      and by masks, and which of them do differs between correct kernels. An element depends on them where
      it changes when other values stand in for them.
    - Kinks: an element whose gradient jumps, by more than its error bound, when the inputs move by 2**-40
      of themselves, and every element of the same input with an equal value (all members of a tie, of
      which any may get the gradient). relu at 0 may have 0, 1 or anything else.
    """
    case, reference = bounds.case, bounds.reference
    floating = {
        x.name: case.originals[x.name].astype(np.float64)
        for x in case.op.inputs
        if dtypes.is_floating(str(case.originals[x.name].dtype))
    }

    def run(inputs: Mapping[str, Float64Array]) -> dict[str, Array]:
        return evaluate(case.op, reference, replace(case, originals={**case.originals, **inputs}))

    with np.errstate(all="ignore"):
        found = run(floating)
        finite = {name: np.isfinite(x) for name, x in floating.items()}
        masks = {name: np.zeros(np.shape(value), dtype=bool) for name, value in found.items()}
        if not all(mask.all() for mask in finite.values()):
            runs = [
                run({name: np.where(finite[name], x, other) for name, x in floating.items()})
                for other in _STAND_INS
            ]
            for name, value in found.items():
                one, other = (values_[name] for values_ in runs)
                masks[name] |= _differ(one, other, _JUMP) | (~np.isfinite(value) & np.isfinite(one))
            floating = {name: np.where(finite[name], x, _STAND_INS[0]) for name, x in floating.items()}
            found = runs[0]
        kinks = {name: np.zeros(np.shape(value), dtype=bool) for name, value in found.items()}
        rng = np.random.default_rng(0)
        for _ in range(_PAIRS):
            by = {name: rng.uniform(-1.0, 1.0, x.shape) for name, x in floating.items()}
            for sign in (1.0, -1.0):
                moved = run({name: _moved(x, sign * by[name]) for name, x in floating.items()})
                for name, value in found.items():
                    beyond = np.abs(moved[name] - value) > bounds.traced(name)
                    kinks[name] |= beyond & _differ(moved[name], value, _JUMP)
    for x in case.op.inputs:
        if (name := grad_of(x.name)) in kinks and kinks[name].any():
            kinks[name] |= np.isin(floating[x.name], floating[x.name][kinks[name]])
    return {name: mask | kinks[name] for name, mask in masks.items()}


def _moved(x: Float64Array, by: Float64Array) -> Float64Array:
    return np.where(x == 0, _AWAY * by, x * (1.0 + _MOVED_BY * by))


def _differ(one: Array, other: Array, share: float) -> Array:
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    near = np.abs(one - other) <= share * (np.abs(one) + np.abs(other))
    return np.asarray(~(same | near))


def no_gradient_known(op: Op, why: str) -> ConfigError:
    """The error for an op whose gradients nothing tells."""
    return ConfigError(
        f"op {op.name!r}: check_grad knows no gradient of its reference: {why}; write the reference in torch "
        "(or, for library='jax', in JAX), or test the backward kernel as an op of its own"
    )
