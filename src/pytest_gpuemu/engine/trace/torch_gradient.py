"""The rounding of gradients that torch's autograd derives: its own backward formulas, step by step.

Here: recording what autograd runs as a graph of aten operations, and running that graph on traced arrays by
the rules of torch's functions. Elsewhere: those rules (torch_table.py), the traced tensors (torch_trace.py).
Imported only where torch already is.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch._decomp import decomposition_table
from torch.fx.experimental.proxy_tensor import make_fx

from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.trace.numpy_table import new_array
from pytest_gpuemu.engine.trace.rounding import difference
from pytest_gpuemu.engine.trace.run import Untraceable, activated
from pytest_gpuemu.engine.trace.stored import stored
from pytest_gpuemu.engine.trace.structural import cast
from pytest_gpuemu.engine.trace.torch_table import RULES
from pytest_gpuemu.engine.trace.torch_trace import TracedTensor, called, plain_dtype
from pytest_gpuemu.engine.trace.traced import Traced
from pytest_gpuemu.engine.user_code import call

# aten's names of what torch's functions call otherwise, and what changes neither values nor errors.
_NAMES = {
    "view": "reshape",
    "_unsafe_view": "reshape",
}
_VIEWS = ("_unsafe_view", "split_with_sizes")
_WHERE = ("memory_format", "layout", "device", "pin_memory")
_CONSTRUCTORS = (
    "full_like", "zeros_like", "ones_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty"
)  # fmt: skip
_SAME = ("alias", "detach", "clone", "lift_fresh_copy", "contiguous", "lift_fresh")


def traced_gradients(function: Callable[..., Any], given: Sequence[Any]) -> tuple[Any, ...]:
    """The gradients that function(*given) returns, as traced arrays.

    function takes tensors and returns (outputs, gradients), two tuples of tensors, the second by
    torch.autograd.grad of the first. What a backward formula reads of an output comes back from the storage
    dtype. Raises Untraceable for an operation without a rule, and where nothing can be recorded.
    """
    inputs = [_tensor(x) for x in given]
    with activated(None):  # torch.zeros is replaced for references that run on traced tensors
        recorded = call(make_fx(function, decomposition_table=_decompositions()), *map(_plain, inputs))
    if recorded.error is not None:
        raise Untraceable(f"torch cannot record its gradient: {recorded.summary.splitlines()[-1]}")
    graph = recorded.value
    *steps, last = graph.graph.nodes
    outputs, gradients = last.args[0]
    values: dict[Any, Any] = {}
    waiting = iter(inputs)
    for node in steps:
        arguments = torch.fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        if node.op == "placeholder":
            values[node] = next(waiting)
        elif node.op == "get_attr":
            values[node] = getattr(graph, node.target)
        else:
            values[node] = _step(node.target, *arguments)
        if node in outputs and isinstance(values[node], TracedTensor):
            values[node] = TracedTensor(stored(values[node].traced))
    found = torch.fx.node.map_arg(gradients, values.__getitem__)
    return tuple(x.traced if isinstance(x, TracedTensor) else arrays.to_numpy(x) for x in found)


@functools.cache
def prepare() -> None:
    """Load what recording needs: it takes a second, which is not the reference's own."""
    make_fx(lambda x: torch.exp(x), decomposition_table=_decompositions())(torch.zeros(1))


@functools.cache
def _decompositions() -> dict[Any, Any]:
    """torch's own, for all operations but those that have a rule."""
    known = {*RULES, *_NAMES, *_SAME, *_VIEWS, *_OWN}
    return {
        target: made
        for target, made in decomposition_table.items()
        if target.name().partition("::")[2].partition(".")[0] not in known
    }


def _tensor(x: Any) -> Any:
    return TracedTensor(x) if isinstance(x, Traced) else x


def _plain(x: Any) -> Any:
    if isinstance(x, TracedTensor):
        return arrays.from_numpy(x.traced.value.copy(), "torch")
    return x if isinstance(x, torch.Tensor) else arrays.from_numpy(x, "torch")


def _step(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """One operation of the graph: by its rule where an argument is traced, else by torch."""
    if target is operator.getitem:
        return args[0][args[1]]
    if not _holds(args) and not _holds(kwargs.values()):
        return target(*args, **kwargs)
    name = target._schema.name.partition("::")[2]
    if name in _SAME:
        return args[0]
    if name == "_to_copy":
        dtype = kwargs.get("dtype")
        return args[0] if dtype is None else TracedTensor(cast(args[0].traced, plain_dtype(dtype)))
    if name == "squeeze" and len(args) > 1 and not isinstance(args[1], int):
        dims = {dim % max(args[0].ndim, 1) for dim in args[1]}
        return args[0].reshape(
            [size for dim, size in enumerate(args[0].shape) if size != 1 or dim not in dims]
        )
    if name in _CONSTRUCTORS:
        return target(_plain(args[0]), *args[1:], **kwargs)
    if name in _OWN:
        return _OWN[name](*args, **kwargs)
    kwargs = {key: x for key, x in kwargs.items() if key not in _WHERE}
    return called(_NAMES.get(name, name), args, kwargs)


def _sliced(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, end, step),)]


def _indexed(x: Any, indices: Sequence[Any]) -> Any:
    return x[tuple(slice(None) if index is None else index for index in indices)]


def _zeros_like(x: Any, shape: Sequence[int]) -> Any:
    return TracedTensor(new_array(x.traced.run, tuple(shape), 0.0, x.traced.dtype))


def _slice_backward(grad: Any, shape: Sequence[int], dim: int, start: Any, end: Any, step: int) -> Any:
    zeros = _zeros_like(grad, shape)
    zeros[(slice(None),) * (dim % len(shape)) + (slice(start, end, step),)] = grad
    return zeros


def _select_backward(grad: Any, shape: Sequence[int], dim: int, index: int) -> Any:
    zeros = _zeros_like(grad, shape)
    zeros[(slice(None),) * (dim % len(shape)) + (index,)] = grad
    return zeros


def _selected_backward(grad: Any, dim: int, index: Any, shape: Sequence[int], keepdim: bool) -> Any:
    if not keepdim and len(shape):
        grad, index = called("unsqueeze", (grad, dim), {}), index.unsqueeze(dim)
    return called("scatter", (_zeros_like(grad, shape), dim, index, grad), {})


def _copied(x: Any, source: Any, *_: Any) -> Any:
    x[...] = source
    return x


def _embedding_backward(grad: Any, index: Any, rows: int, padding: int, by_frequency: bool) -> Any:
    if padding >= 0 or by_frequency:
        raise Untraceable("it differentiates an embedding with padding_idx or scale_grad_by_freq")
    flat = grad.reshape(-1, grad.shape[-1])
    return called("index_add", (_zeros_like(grad, (rows, flat.shape[-1])), 0, index.reshape(-1), flat), {})


def _layer_norm(x: Any, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any]:
    """native_layer_norm: the output, the mean and 1/deviation, undetermined where the variance overflows."""
    t, axes = x.traced, tuple(range(-len(shape), 0))
    mean = np.mean(t, axis=axes, keepdims=True)
    variance = np.mean(np.square(t - mean), axis=axes, keepdims=True) + eps
    a = np.sqrt(variance) / variance  # infinity over infinity, where kernels give 0 or NaN
    output = called("layer_norm", (x, shape, weight, bias, eps), {})
    return output, TracedTensor(mean), TracedTensor(a)


def _layer_norm_backward(
    grad: Any, x: Any, shape: Sequence[int], mean: Any, a: Any, weight: Any, bias: Any, wanted: Sequence[bool]
) -> tuple[Any, Any, Any]:
    """In both forms that kernels have: by normalized values, and as a line in x. Either will do."""
    t, g, m, r = x.traced, grad.traced, mean.traced, a.traced
    axes, rows = tuple(range(-len(shape), 0)), tuple(range(x.ndim - len(shape)))
    n, h = prod(shape), g if weight is None else g * weight.traced
    normed = (t - m) * r
    total, along = h.sum(axis=axes, keepdims=True), (h * t).sum(axis=axes, keepdims=True)
    one = (h - total / n - normed * ((h * normed).sum(axis=axes, keepdims=True) / n)) * r
    b = (total * m - along) * r * r * r / n
    other = h * r + t * b + (-b * m - total * r / n)
    with np.errstate(all="ignore"):
        apart = np.asarray(difference(other.value, one.value))
        error = np.maximum(one.error, np.where(apart == 0, 0.0, apart) + other.error)
    of_x = TracedTensor(Traced(one.run, one.value, error))
    of_weight = TracedTensor((g * normed).sum(axis=rows)) if wanted[1] else None
    return of_x, of_weight, TracedTensor(g.sum(axis=rows)) if wanted[2] else None


_OWN: dict[str, Callable[..., Any]] = {
    "slice": _sliced,
    "index": _indexed,
    "copy_": _copied,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_backward,
    "embedding": lambda weight, index, *_: weight[index],  # F.embedding has them the other way round
    "slice_backward": _slice_backward,
    "select_backward": _select_backward,
    "value_selecting_reduction_backward": _selected_backward,
    "embedding_dense_backward": _embedding_backward,
}


def _holds(items: Any) -> bool:
    return any(isinstance(x, TracedTensor) or (isinstance(x, (list, tuple)) and _holds(x)) for x in items)
