"""Suspicions that are other inputs to the same reference.

Here: strides ignored, an operand forgotten or exchanged, a tensor reversed or transposed, taken by another
group or in part. Elsewhere: the memory that wrong strides read (memory.py), indices (indices.py), params
(params.py), a bug inside of the computation (one_step.py), lanes beyond the end of an axis (padding.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis, altered, with_inputs
from pytest_gpuemu.engine.diagnose.suspected import memory
from pytest_gpuemu.engine.op import Array, Input

_BOUNDS = (1.0, 6.0, 10.0, 16.0, 20.0, 30.0, 50.0, 80.0, 88.0, 127.0, 448.0, 1e4, 65504.0)


def input_hypotheses(case: Case) -> Iterator[Hypothesis]:
    """The suspicions of this module, the likeliest first."""
    yield from _misread(case)
    yield from _operands(case)
    yield from _rearranged(case)
    yield from _grouped(case)
    yield from _parts(case)
    yield from _clamped(case)


def _misread(case: Case) -> Iterator[Hypothesis]:
    """One input read with wrong strides, then all of them as contiguous."""
    dense = {}
    for name, array in case.inputs.items():
        if array.size < 2:
            continue
        for phrase, strides in memory.wrong_strides(case, name):
            found = memory.read(case, name, strides)
            if found is None:
                break
            if phrase == "as if it were contiguous":
                dense[name] = found
            kind = "axis" if "exchanged" in phrase else "strides"
            yield with_inputs(case, kind, f"{name} is read {phrase}", {name: found}, has_unknown=True)
    if len(dense) > 1:
        text = "the inputs are read as if they were contiguous"
        yield with_inputs(case, "strides", text, dense, has_unknown=True)


def _operands(case: Case) -> Iterator[Hypothesis]:
    """One input in the place of another, exchanged, forgotten, or one value of it used throughout."""
    names = [x.name for x in case.op.inputs if x.kind == "values"]
    arrays = case.originals
    for at, one in enumerate(names):
        for two in names[at + 1 :]:
            if arrays[one].shape != arrays[two].shape or arrays[one].dtype != arrays[two].dtype:
                continue
            exchanged = {one: arrays[two], two: arrays[one]}
            yield with_inputs(case, "operand", f"{one} and {two} are exchanged", exchanged)
            yield with_inputs(case, "operand", f"{one} is used in place of {two}", {two: arrays[one]})
            yield with_inputs(case, "operand", f"{two} is used in place of {one}", {one: arrays[two]})
    for name in names:
        array = arrays[name]
        if len(names) > 1:
            for value, text in ((0, "is forgotten, or taken as 0"), (1, "is forgotten, or taken as 1")):
                yield with_inputs(case, "operand", f"{name} {text}", {name: np.full_like(array, value)})
        yield with_inputs(case, "sign", f"the sign of {name} is wrong", {name: -array.astype(np.float64)})


def _rearranged(case: Case) -> Iterator[Hypothesis]:
    """An input transposed, reversed, moved by one, or with its heads in another order."""
    for x in case.op.inputs:
        array = case.originals[x.name]
        if x.kind != "values" or array.size < 2:
            continue
        ndim = array.ndim
        if ndim >= 2:
            swapped = np.swapaxes(array, -1, -2)
            text = f"{x.name} is read with its last two axes exchanged"
            yield with_inputs(
                case, "axis", text, {x.name: np.ascontiguousarray(swapped).reshape(array.shape)}
            )
        for axis in range(ndim):
            if array.shape[axis] < 2:
                continue
            text = f"{x.name} is read in reverse along axis {axis}"
            yield with_inputs(case, "axis", text, {x.name: np.ascontiguousarray(np.flip(array, axis))})
            for step in (1, -1):
                text = f"{x.name} is read one place off along axis {axis}"
                yield with_inputs(case, "index", text, {x.name: np.roll(array, step, axis=axis)})
        for axis, dim in enumerate(x.dims):
            factors = [case.plan.dims[part] for part in dim.names if part in case.plan.dims]
            if len(factors) == 2 and min(factors) > 1 and array.shape[axis] == factors[0] * factors[1]:
                yield from _regrouped(case, x.name, axis, factors, str(dim))


def _grouped(case: Case) -> Iterator[Hypothesis]:
    """A vector that is taken by group in place of by channel; heads that are given to the wrong group."""
    counts = {
        name: value
        for name, value in [*case.params.items(), *case.plan.dims.items()]
        if isinstance(value, int) and not isinstance(value, bool) and value > 1
    }
    for x in case.op.inputs:
        array = case.originals[x.name]
        if x.kind != "values" or array.ndim != 1:
            continue
        for name, count in counts.items():
            if count >= array.size or array.size % count:
                continue
            at = np.arange(array.size)
            by_group = at // (array.size // count), f"by its group, of {name} = {count}"
            for places, text in (by_group, (at % count, f"modulo {name} = {count}")):
                yield with_inputs(case, "axis", f"{x.name} is taken {text}", {x.name: array[places]})
        if array.size > 1:
            text = f"one value of {x.name} is used for all"
            yield with_inputs(case, "operand", text, {x.name: np.full_like(array, array[0])})
    for one in case.op.inputs:
        for two in case.op.inputs:
            if one.kind == two.kind == "values":
                yield from _heads(case, one, two)


def _parts(case: Case) -> Iterator[Hypothesis]:
    """One place of an input along an axis that is used for all; integers that are read without their sign."""
    for x in case.op.inputs:
        array = case.originals[x.name]
        if x.kind != "values" or not array.size:
            continue
        if array.dtype.kind == "i" and array.itemsize < 8 and (array < 0).any():
            unsigned = array.astype(np.int64) + (array < 0) * 2 ** (8 * array.itemsize)
            text = f"{x.name} is read without its sign, as uint{8 * array.itemsize}"
            yield with_inputs(case, "dtype", text, {x.name: unsigned})
        for axis in range(array.ndim if array.ndim > 1 else 0):
            if array.shape[axis] > 1:
                first = np.broadcast_to(np.take(array, [0], axis=axis), array.shape)
                text = f"the first place of {x.name} along axis {axis} is used for all"
                yield with_inputs(case, "operand", text, {x.name: first.copy()})


def _heads(case: Case, one: Input, two: Input) -> Iterator[Hypothesis]:
    """Where one has an axis of groups times heads, and two one of groups: two by another mapping of these."""
    for axis, (many, few) in enumerate(zip(one.dims, two.dims, strict=False)):
        heads, groups = case.originals[one.name].shape[axis], case.originals[two.name].shape[axis]
        if str(many) == str(few) or groups < 2 or heads < groups or heads % groups:
            continue
        head = np.arange(heads)
        for places, text in (
            (head % groups, "modulo the number of groups"),
            (np.minimum(head // groups, groups - 1), "divided by the number of groups"),
        ):
            alike = [x for x in case.op.inputs if axis < len(x.dims) and str(x.dims[axis]) == str(few)]
            changed = {x.name: np.take(case.originals[x.name], places, axis=axis) for x in alike}
            yield with_inputs(
                case, "head mapping", f"the group of a head of {one.name} is its number {text}", changed
            )


def _clamped(case: Case) -> Iterator[Hypothesis]:
    """An input limited to what some format or some function can hold."""
    for x in case.op.inputs:
        if not x.is_floating or not case.originals[x.name].size:
            continue
        array = np.asarray(case.originals[x.name], dtype=np.float64)
        for bound in _BOUNDS:
            if (np.abs(array) > bound).any():
                text = f"{x.name} is limited to {-bound:g} .. {bound:g}"
                yield with_inputs(case, "clamp", text, {x.name: np.clip(array, -bound, bound)})


def _regrouped(case: Case, name: str, axis: int, factors: list[int], dim: str) -> Iterator[Hypothesis]:
    """An axis of length H*G taken as G*H: heads that are mapped by % where / is meant."""
    order = np.arange(factors[0] * factors[1]).reshape(factors).T.reshape(-1)
    text = f"axis {axis} of {name}, {dim}, is mapped in the other order (a modulo where a division is meant)"
    array = np.take(case.originals[name], order, axis=axis)

    def outputs() -> Mapping[str, Array] | None:
        found = altered(case, {name: array})
        back = np.argsort(order)
        return found and {
            key: np.take(value, back, axis=axis)
            if value.ndim > axis and value.shape[axis] == order.size
            else value
            for key, value in found.items()
        }

    yield Hypothesis(kind="head mapping", text=text, outputs=outputs)
