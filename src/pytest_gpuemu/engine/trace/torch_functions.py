"""torch's functions, written out in NumPy's on traced arrays.

Here: one rule a function, by torch's name for it; reductions, indices, shapes.
Elsewhere: how torch's calls get here (torch_trace.py). Every rule takes traced or plain NumPy arrays
where torch takes tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from pytest_gpuemu.engine.trace import composites
from pytest_gpuemu.engine.trace.run import Untraceable
from pytest_gpuemu.engine.trace.structural import cast
from pytest_gpuemu.engine.trace.traced import Traced, value_of

Rule = Callable[..., Any]


class ValuesAndIndices(NamedTuple):
    """What torch.max(x, dim) and torch.topk give."""

    values: Any
    indices: Any


def axis_of(dim: Any) -> Any:
    if isinstance(dim, (list, tuple)):
        return tuple(dim) or None
    return dim


def cast_to(x: Any, dtype: Any) -> Any:
    return x if dtype is None or x.dtype == dtype else cast(x, dtype)


def reduction(plain: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        return plain(cast_to(x, dtype), axis=axis_of(dim), keepdims=keepdim)

    return rule


def variance(plain: Rule) -> Rule:
    def rule(
        x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None
    ) -> Any:
        if isinstance(dim, bool):  # x.var(False): dim was left out
            dim, unbiased = None, dim
        ddof = int(bool(unbiased)) if correction is None else correction
        return plain(x, axis=axis_of(dim), ddof=ddof, keepdims=keepdim)

    return rule


def var_mean(x: Any, dim: Any = None, unbiased: Any = True, keepdim: bool = False, **kwargs: Any) -> Any:
    return variance(np.var)(x, dim, unbiased, keepdim, **kwargs), np.mean(
        x, axis=axis_of(dim), keepdims=keepdim
    )


def extremum(of_all: Rule, position: Rule, of_two: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
        if other is not None or isinstance(dim, Traced):
            return of_two(x, dim if other is None else other)
        if dim is None:
            return of_all(x)
        return ValuesAndIndices(
            of_all(x, axis=dim, keepdims=keepdim), position(x, axis=dim, keepdims=keepdim)
        )

    return rule


def position(plain: Rule) -> Rule:
    def rule(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        return plain(x, axis=dim, keepdims=keepdim)

    return rule


def scan(plain: Rule) -> Rule:
    def rule(x: Any, dim: int, *, dtype: Any = None) -> Any:
        return plain(cast_to(x, dtype), axis=dim)

    return rule


def scaled(plain: Rule) -> Rule:
    def rule(x: Any, other: Any, *, alpha: Any = 1) -> Any:
        return plain(x, other if alpha == 1 else other * alpha)

    return rule


def div(x: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    quotient = np.true_divide(x, other)
    if rounding_mode is None:
        return quotient
    return np.floor(quotient) if rounding_mode == "floor" else np.trunc(quotient)


def clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    return composites.logsumexp(x, axis=axis_of(dim), keepdims=keepdim)


def vector_norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, p: Any = None
) -> Any:
    x = cast_to(x, dtype)
    order = ord if p is None else p
    axis = axis_of(dim)
    if order in (2, "fro", None):
        return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdim))
    if order == 1:
        return np.sum(np.abs(x), axis=axis, keepdims=keepdim)
    if order == float("inf"):
        return np.max(np.abs(x), axis=axis, keepdims=keepdim)
    raise Untraceable(f"it calls a torch norm of order {order!r}")


def linalg_norm(x: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """Of two dims, an ord that is given is a matrix norm's: 2 is the largest singular value."""
    of_matrices = len(dim) == 2 if isinstance(dim, (tuple, list)) else dim is None and x.ndim == 2
    if of_matrices and ord not in (None, "fro"):
        raise Untraceable(f"it calls a torch matrix norm of order {ord!r}")
    return vector_norm(x, ord, dim, keepdim, dtype=dtype)


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    return np.where(mask, value, x)


def gather(x: Any, dim: int, index: Any, **_: Any) -> Any:
    return np.take_along_axis(*_trimmed(x, dim, index), axis=dim)


def _trimmed(x: Any, dim: int, index: Any) -> tuple[Any, Any]:
    """x cut to the index's shape in every other dim, as torch's gather and scatter read it."""
    dim = dim % x.ndim
    cut = tuple(slice(None) if i == dim else slice(0, n) for i, n in enumerate(index.shape))
    return x[cut], index


def _places(x: Any, dim: int, index: Any) -> tuple[Any, ...]:
    """The indices into x of every element of a torch scatter."""
    places = list(np.indices(index.shape, sparse=True))
    places[dim % x.ndim] = value_of(index)
    return tuple(places)


def _spoil_undecided(out: Any, dim: int, index: Any) -> Any:
    """out, undetermined along dim where rounding may change an index: which places were meant is unknown."""
    if isinstance(index, Traced) and not index.is_exact:
        dim = dim % out.ndim
        lines = tuple(slice(None) if i == dim else slice(0, n) for i, n in enumerate(index.shape))
        undecided = np.broadcast_to(index.error, index.shape) > 0
        region = out.full_error()[lines]
        region[...] = np.where(undecided.any(axis=dim, keepdims=True), np.inf, region)
    return out


def scatter_add(x: Any, dim: int, index: Any, src: Any) -> Any:
    out = x.copy()
    src = src[tuple(slice(0, n) for n in index.shape)]
    np.add.at(out, _places(x, dim, index), src)
    return _spoil_undecided(out, dim, index)


def scatter(x: Any, dim: int, index: Any, src: Any = None, value: Any = None, **kwargs: Any) -> Any:
    if kwargs:
        raise Untraceable("it calls scatter with reduce=")
    new = value if src is None else src
    new = new[tuple(slice(0, n) for n in index.shape)] if np.ndim(value_of(new)) else new
    out = x.copy()
    out[_places(x, dim, index)] = new
    return _spoil_undecided(out, dim, index)


def index_add(x: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    out = x.copy()
    place = (slice(None),) * (dim % x.ndim) + (value_of(index),)
    np.add.at(out, place, source if alpha == 1 else source * alpha)
    if isinstance(index, Traced) and not index.is_exact:
        out.full_error()[...] = np.inf
    return out


def sizes(given: Sequence[Any]) -> Any:
    return given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else tuple(given)


def reshape(x: Any, *shape: Any, **kwargs: Any) -> Any:
    if shape and isinstance(shape[0], np.dtype):
        raise Untraceable("it reinterprets the bits of a tensor")
    return x.reshape(tuple(int(n) for n in sizes(shape or (kwargs["shape"],))))


def expand(x: Any, *shape: Any) -> Any:
    new = sizes(shape)
    old = (1,) * (len(new) - x.ndim) + tuple(x.shape)
    return np.broadcast_to(x, tuple(o if n == -1 else n for n, o in zip(new, old, strict=True)))


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    if x.ndim == 0:
        return x.reshape(1)
    start, end = start_dim % x.ndim, end_dim % x.ndim
    return x.reshape((*x.shape[:start], -1, *x.shape[end + 1 :]))


def split(x: Any, size: Any, dim: int = 0) -> Any:
    length = x.shape[dim]
    edges = list(range(size, length, size)) if isinstance(size, int) else list(np.cumsum(size)[:-1])
    return tuple(np.split(x, edges, axis=dim))


def chunk(x: Any, chunks: int, dim: int = 0) -> Any:
    return split(x, max(1, -(-x.shape[dim] // chunks)), dim)


def unbind(x: Any, dim: int = 0) -> Any:
    return tuple(np.moveaxis(x, dim, 0)[i] for i in range(x.shape[dim]))


def repeat_interleave(x: Any, repeats: Any, dim: Any = None, **_: Any) -> Any:
    return np.repeat(x, value_of(repeats), axis=dim)


def sort(x: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    order = np.argsort(-x if descending else x, axis=dim, kind="stable")
    return ValuesAndIndices(np.sort(x, axis=dim) if not descending else -np.sort(-x, axis=dim), order)


def topk(x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    values, indices = sort(x, dim, largest)
    first = (slice(None),) * (dim % x.ndim) + (slice(0, k),)
    return ValuesAndIndices(values[first], indices[first])


def narrow(x: Any, dim: int, start: int, length: int) -> Any:
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, start + length),)]


def einsum(equation: str, *operands: Any) -> Any:
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return np.einsum(equation, *operands)


def where(condition: Any, *choices: Any) -> Any:
    if not choices:
        raise Untraceable("it lists the true places of a tensor")
    return np.where(condition, *choices)


def pad(x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    if mode != "constant":
        raise Untraceable(f"it pads with mode={mode!r}")
    widths = [(0, 0)] * x.ndim
    for i in range(len(pad) // 2):
        widths[-1 - i] = (pad[2 * i], pad[2 * i + 1])
    return np.pad(x, widths, constant_values=0.0 if value is None else value)


def pow(x: Any, exponent: Any) -> Any:
    return np.power(x, exponent)


def rsqrt(x: Any) -> Any:
    return 1.0 / np.sqrt(x)
