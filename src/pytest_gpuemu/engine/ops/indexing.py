"""Reading and writing by index: embedding, gather, index_select, scatter_add; counting: bincount, histc.

Here: the references and the records. Elsewhere: outputs that are indices (ordering.py).
Every index lies below the dim that it reads or writes; what happens beyond is no part of the ops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array


def embedding(input: Array, weight: Float64Array) -> Float64Array:
    """weight[input]: the row of weight for each index."""
    return weight[input]


EMBEDDING = define_op(
    "embedding",
    reference=embedding,
    schema="input[N], weight[V,D] -> [N,D]",
    inputs={"input": {"kind": "index", "of": "V"}},
    origin="built-in",
)


def index_select(input: Float64Array, index: Array, *, dim: int = 0) -> Float64Array:
    """The slices of input along dim that index [K] names, in its order."""
    return np.take(input, index, axis=dim)


INDEX_SELECT = define_op(
    "index_select",
    reference=index_select,
    schema="input[M,N], index[K] -> output[...]",
    inputs={"index": {"kind": "index", "of": "M"}},
    params={"dim": 0},
    origin="built-in",
)


def gather(input: Float64Array, index: Array, *, dim: int = 1) -> Float64Array:
    """For each place of index, the element of input there, with index in place of its position along dim.

    Along the other dims index may be shorter than input, as in torch.
    """
    axis = dim % input.ndim
    kept = tuple(slice(None) if a == axis else slice(size) for a, size in enumerate(index.shape))
    return np.take_along_axis(input[kept], index, axis=axis)


GATHER = define_op(
    "gather",
    reference=gather,
    schema="input[M,N], index[M,K] -> [M,K]",
    inputs={"index": {"kind": "index", "of": "N"}},
    params={"dim": 1},
    origin="built-in",
)


def scatter_add(input: Float64Array, index: Array, src: Float64Array, *, dim: int = 0) -> Float64Array:
    """input, and each element of src added where index puts it along dim; equal indices add up."""
    axis = dim % input.ndim
    places: list[Array] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    added = src[tuple(slice(size) for size in index.shape)]
    result = input.copy()
    np.add.at(result, tuple(places), added)
    return result


SCATTER_ADD = define_op(
    "scatter_add",
    reference=scatter_add,
    schema="input[M,N], index[K,N], src[K,N] -> [M,N]",
    inputs={"index": {"kind": "index", "of": "M"}},
    params={"dim": 0},
    # Atomic additions come in any order, and torch documents its own as not deterministic.
    checks={"deterministic": False},
    origin="built-in",
)


def bincount(input: Array, *, minlength: int = 64) -> Array:
    """How often each number from 0 on occurs; at least minlength counts."""
    return np.bincount(input, minlength=minlength)


BINCOUNT = define_op(
    "bincount",
    reference=bincount,
    schema="input[N] -> output[...]",
    inputs={"input": {"kind": "index", "of": 64}},
    outputs={"output": {"dtype": "int64"}},
    params={"minlength": 64},
    origin="built-in",
)


def histc(input: Float64Array, *, bins: int = 16, min: float = -1.0, max: float = 1.0) -> Float64Array:
    """How many elements lie in each of `bins` equal parts of [min, max], as torch.histc.

    A part has its lower edge and not its upper; the last has both. Elements outside, and NaN, are
    left out. torch's default min = max = 0, the range of the data itself, is not offered. The part of
    an element is computed, not looked up, so one that rounding moves over an edge may count on either side.
    """
    flat = input.reshape(-1)[:, None]
    part = (flat - min) / (max - min) * bins
    above = np.where(part >= np.arange(bins), 1.0, 0.0)
    inside = np.where((flat >= min) & (flat <= max), above, 0.0)
    reached = inside.sum(axis=0)
    return reached - np.concatenate([reached[1:], np.zeros(1)])


def every_element_counts_once(
    output: Float64Array, inputs: Mapping[str, Array], params: Mapping[str, Any]
) -> str | None:
    """The parts hold as many elements as lie in [min, max], though rounding may move one to the next part.

    Where min, max or a count has more bits than bfloat16 holds, what its rounding may change is left open.
    """
    (values,) = inputs.values()
    edges = np.array([params["min"], params["max"]], dtype=np.float64)
    inside = int(np.count_nonzero((values >= edges[0]) & (values <= edges[1])))
    unsure = 0.0
    for edge in edges[dtypes.round_to(edges, "bfloat16") != edges]:
        unsure += np.count_nonzero(np.abs(values - edge) <= 2.0**-8 * np.abs(edge))
    unsure += float(np.where(output >= 2**8, 2.0**-8 * output, 0.0).sum())
    if not np.isfinite(unsure) or abs(output.sum() - inside) <= unsure:
        return None
    return f"the counts sum to {output.sum():g}, but {inside} elements lie in [{edges[0]:g}, {edges[1]:g}]"


HISTC = define_op(
    "histc",
    reference=histc,
    schema="input[N] -> output[...]",
    params={"bins": 16, "min": -1.0, "max": 1.0},
    invariants=[every_element_counts_once],
    aliases=["histogram"],
    origin="built-in",
)

INDEXING = (EMBEDDING, INDEX_SELECT, GATHER, SCATTER_ADD, BINCOUNT, HISTC)
