"""Outputs that name elements by their order: argmax, argmin, max with indices, sort, topk.

Here: the references, the records, and what is compared in place of an index.
Any index whose value ties is right, so indices are judged by the values that they lead to. An index
out of range, or one named twice where each may be named once, leads to a value that is never right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.dtypes import to_float64
from pytest_gpuemu.engine.op import Array, Float64Array

Canonical: TypeAlias = Callable[
    [Mapping[str, Array], Mapping[str, Array], Mapping[str, Any]], Mapping[str, Array]
]
INDEX: dict[str, Any] = {"dtype": "int64"}


def never_right(right: Array) -> Array:
    """For each right value another that differs from it: NaN, or 0 where NaN is right."""
    if right.dtype.kind == "f":
        return np.where(np.isnan(right), 0.0, np.nan)
    return right ^ 1 if right.dtype.kind in "iu" else ~right


def values_at(index: Array, input: Array, right: Array, axis: int, *, once: bool = False) -> Array:
    """The values of input that index leads to along axis; where it may not point, one that is not right.

    right has the shape of index and holds the right value of each place. once: no index may be
    named twice along axis.
    """
    index = np.asarray(index)
    allowed = (index >= 0) & (index < input.shape[axis])
    if once:
        order = np.argsort(index, axis=axis, kind="stable")
        repeated = np.diff(np.take_along_axis(index, order, axis=axis), axis=axis, prepend=-1) == 0
        again = np.zeros(index.shape, dtype=bool)
        np.put_along_axis(again, order, repeated, axis=axis)
        allowed &= ~again
    if input.shape[axis] == 0:
        return never_right(right)
    values = np.take_along_axis(input, np.where(allowed, index, 0).astype(np.int64), axis=axis)
    return np.where(allowed, values, never_right(right))


def _value_at_extremum(extremum: Callable[..., Array], name: str) -> Canonical:
    def canonical(
        outputs: Mapping[str, Array], inputs: Mapping[str, Array], params: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        """The outputs with the index replaced by the value it leads to."""
        input, dim, index = to_float64(inputs["input"]), params.get("dim", -1), np.asarray(outputs[name])
        if dim is None:
            input, dim, index = input.reshape(-1), 0, index.reshape(1)
        elif not params.get("keepdim", False):
            index = np.expand_dims(index, dim)
        right = extremum(input, axis=dim, keepdims=True)
        found = values_at(index, input, right, dim).reshape(np.shape(outputs[name]))
        return {**outputs, name: found}

    return canonical


def argmax(input: Float64Array, *, dim: int | None = -1, keepdim: bool = False) -> Array:
    """The index of the largest value along dim, of the first NaN where there is one."""
    return np.argmax(input, axis=dim, keepdims=keepdim)


ARGMAX = define_op(
    "argmax",
    reference=argmax,
    schema="input[rows,cols] -> output[...]",
    outputs={"output": INDEX},
    params={"dim": -1, "keepdim": False},
    canonical=_value_at_extremum(np.max, "output"),
    origin="built-in",
)


def argmin(input: Float64Array, *, dim: int | None = -1, keepdim: bool = False) -> Array:
    """The index of the smallest value along dim, of the first NaN where there is one."""
    return np.argmin(input, axis=dim, keepdims=keepdim)


ARGMIN = define_op(
    "argmin",
    reference=argmin,
    schema="input[rows,cols] -> output[...]",
    outputs={"output": INDEX},
    params={"dim": -1, "keepdim": False},
    canonical=_value_at_extremum(np.min, "output"),
    origin="built-in",
)


def max_with_indices(input: Float64Array, *, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    """The largest value along dim and where it is, as torch.max(input, dim)."""
    return input.max(axis=dim, keepdims=keepdim), np.argmax(input, axis=dim, keepdims=keepdim)


MAX_WITH_INDICES = define_op(
    "max_with_indices",
    reference=max_with_indices,
    schema="input[rows,cols] -> values[...], indices[...]",
    outputs={"indices": INDEX},
    params={"dim": -1, "keepdim": False},
    canonical=_value_at_extremum(np.max, "indices"),
    aliases=["max_dim"],
    origin="built-in",
)


def order(input: Float64Array, dim: int, descending: bool) -> Array:
    """The indices that sort input along dim; ties in their old order, NaN above every number."""
    if not descending:
        return np.argsort(input, axis=dim, kind="stable")
    backwards = np.argsort(np.flip(input, axis=dim), axis=dim, kind="stable")
    return input.shape[dim] - 1 - np.flip(backwards, axis=dim)


def sort(
    input: Float64Array, *, dim: int = -1, descending: bool = False, stable: bool = False
) -> tuple[Array, Array]:
    """The values along dim in order, and where each was; NaN counts as the largest, as in torch."""
    rising = np.sort(input, axis=dim)
    values = np.flip(rising, axis=dim) if descending else rising
    return values, order(input, dim, descending)


def sorted_canonical(
    outputs: Mapping[str, Array], inputs: Mapping[str, Array], params: Mapping[str, Any]
) -> Mapping[str, Array]:
    """The values that the indices lead to, each index once; the indices themselves where stable."""
    if params.get("stable", False):
        return outputs
    dim = params.get("dim", -1)
    input = to_float64(inputs["input"])
    right, _ = sort(input, dim=dim, descending=params.get("descending", False))
    return {**outputs, "indices": values_at(outputs["indices"], input, right, dim, once=True)}


SORT = define_op(
    "sort",
    reference=sort,
    schema="input[rows,cols] -> values[rows,cols], indices[rows,cols]",
    outputs={"indices": INDEX},
    params={"dim": -1, "descending": False, "stable": False},
    canonical=sorted_canonical,
    origin="built-in",
)


def topk(
    input: Float64Array, *, k: int = 4, dim: int = -1, largest: bool = True, sorted: bool = True
) -> tuple[Array, Array]:
    """The k largest (or smallest) values along dim, best first, and where they are; NaN is the largest."""
    values, indices = sort(input, dim=dim, descending=largest)
    axis = dim % input.ndim
    best = (*(slice(None) for _ in range(axis)), slice(k))
    return values[best], indices[best]


def topk_canonical(
    outputs: Mapping[str, Array], inputs: Mapping[str, Array], params: Mapping[str, Any]
) -> Mapping[str, Array]:
    """The values that the indices lead to, each index once; both in order where any order will do."""
    dim, largest = params.get("dim", -1), params.get("largest", True)
    input = to_float64(inputs["input"])
    right, _ = topk(input, k=np.shape(outputs["indices"])[dim], dim=dim, largest=largest)
    found = values_at(outputs["indices"], input, right, dim, once=True)
    values = to_float64(np.asarray(outputs["values"]))
    if not params.get("sorted", True):
        found, _ = sort(found, dim=dim, descending=largest)
        values, _ = sort(values, dim=dim, descending=largest)
    return {**outputs, "values": values, "indices": found}


TOPK = define_op(
    "topk",
    reference=topk,
    schema="input[rows,cols] -> values[...], indices[...]",
    outputs={"indices": INDEX},
    where=["8 <= cols"],  # so that every k up to 8 is at home
    params={"k": 4, "dim": -1, "largest": True, "sorted": True},
    canonical=topk_canonical,
    origin="built-in",
)

ORDERING = (ARGMAX, ARGMIN, MAX_WITH_INDICES, SORT, TOPK)
