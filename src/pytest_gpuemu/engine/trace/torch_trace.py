"""References written in torch, on objects that carry their rounding error.

Here: an object that torch's functions take for a tensor (__torch_function__), torch's constructors
while such a reference runs, and reading the outputs.
Elsewhere: what each function does (torch_functions.py), NumPy's side (dispatch.py, patching.py).
Imported only where torch already is.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pytest_gpuemu.engine import arrays, dtypes
from pytest_gpuemu.engine.trace.numpy_table import new_array
from pytest_gpuemu.engine.trace.run import Run, Untraceable, activated, active_run
from pytest_gpuemu.engine.trace.structural import cast
from pytest_gpuemu.engine.trace.torch_table import RULES
from pytest_gpuemu.engine.trace.traced import Traced, error_of

_TORCH_DTYPES = {name: getattr(torch, name) for name in dtypes.DTYPES if hasattr(torch, name)}
_NAMES = {dtype: name for name, dtype in _TORCH_DTYPES.items()}
_CASTS = {
    "float": "float32",
    "double": "float64",
    "half": "float16",
    "bfloat16": "bfloat16",
    "int": "int32",
    "long": "int64",
    "bool": "bool",
}


class TracedTensor:
    """A traced array under torch's interface: torch functions, Tensor methods, operators."""

    __slots__ = ("traced",)
    __hash__ = None  # type: ignore[assignment]
    is_cuda = False
    requires_grad = False
    layout = torch.strided

    def __init__(self, traced: Traced) -> None:
        self.traced = traced

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = getattr(function, "__name__", str(function))
        kwargs = dict(kwargs or {})
        if name in ("__get__", "__set__"):
            raise Untraceable("it reads an attribute of a tensor that no rule knows")
        if name.startswith("__") and name.endswith("__") and name[2:-2] in _OPERATORS:
            return _OPERATORS[name[2:-2]](*args)
        if name in ("__getitem__", "__setitem__"):
            run = _run_of((args, kwargs))
            if name == "__setitem__":
                raise Untraceable("it writes a traced result into a plain tensor")
            return TracedTensor(Traced(run, arrays.to_numpy(args[0])))[args[1]]
        return called(name, args, kwargs)

    @property
    def shape(self) -> Any:
        return torch.Size(self.traced.shape)

    @property
    def ndim(self) -> int:
        return self.traced.ndim

    @property
    def dtype(self) -> Any:
        return _TORCH_DTYPES[self.traced.dtype.name]

    @property
    def device(self) -> Any:
        return torch.device("cpu")

    @property
    def T(self) -> TracedTensor:
        return TracedTensor(self.traced.T)

    @property
    def mT(self) -> TracedTensor:
        return TracedTensor(self.traced.mT)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return self.traced.size

    def is_floating_point(self) -> bool:
        return self.traced.dtype.kind == "f"

    def is_contiguous(self) -> bool:
        return True

    def to(self, *args: Any, **kwargs: Any) -> TracedTensor:
        wanted = [
            a for a in (*args, *kwargs.values()) if isinstance(a, (torch.dtype, TracedTensor, torch.Tensor))
        ]
        if not wanted:
            return self
        dtype = wanted[0] if isinstance(wanted[0], torch.dtype) else wanted[0].dtype
        return TracedTensor(cast(self.traced, plain_dtype(dtype)))

    def type_as(self, other: Any) -> TracedTensor:
        return self.to(other.dtype)

    def new_zeros(self, *shape: Any, **kwargs: Any) -> TracedTensor:
        new = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return TracedTensor(new_array(self.traced.run, tuple(new), 0.0, self.traced.dtype))

    def new_full(self, shape: Any, fill_value: Any, **kwargs: Any) -> TracedTensor:
        return TracedTensor(new_array(self.traced.run, tuple(shape), fill_value, self.traced.dtype))

    def item(self) -> TracedTensor:
        return TracedTensor(self.traced.reshape(()))

    def __len__(self) -> int:
        return len(self.traced)

    def __iter__(self) -> Iterator[TracedTensor]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.traced)

    def __int__(self) -> int:
        return int(self.traced)

    def __index__(self) -> int:
        return operator.index(self.traced)

    def __float__(self) -> float:
        return float(self.traced)

    def __getitem__(self, index: Any) -> TracedTensor:
        return TracedTensor(self.traced[_plain(index)])

    def __setitem__(self, index: Any, new: Any) -> None:
        self.traced[_plain(index)] = _plain(new)

    def __getattr__(self, name: str) -> Any:
        if name in _CASTS:
            return lambda *a, **k: TracedTensor(cast(self.traced, dtypes.numpy_dtype(_CASTS[name])))
        if name in RULES:
            return lambda *args, **kwargs: called(name, (self, *args), kwargs)
        if name.endswith("_") and not name.startswith("_") and name[:-1] in RULES:
            return functools.partial(self._in_place, name[:-1])
        if name.startswith("__"):
            raise AttributeError(name)
        raise Untraceable(f"it uses .{name} of a tensor")

    def _in_place(self, name: str, *args: Any, **kwargs: Any) -> TracedTensor:
        self[...] = called(name, (self, *args), kwargs)
        return self


def _binary(rule: str, swapped: bool) -> Callable[..., Any]:
    def operation(a: Any, b: Any) -> Any:
        return called(rule, (b, a) if swapped else (a, b), {})

    return operation


def _in_place(rule: str) -> Callable[..., Any]:
    def operation(a: Any, b: Any) -> Any:
        if not isinstance(a, TracedTensor):
            raise Untraceable("it writes a traced result into a plain tensor")
        a[...] = called(rule, (a, b), {})
        return a

    return operation


_BINARY = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_OPERATORS: dict[str, Callable[..., Any]] = {
    **{name: _binary(rule, False) for name, rule in _BINARY.items()},
    **{f"r{name}": _binary(rule, True) for name, rule in _BINARY.items()},
    **{f"i{name}": _in_place(rule) for name, rule in _BINARY.items()},
    **{name: _binary(name, False) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
    "neg": lambda a: called("neg", (a,), {}),
    "abs": lambda a: called("abs", (a,), {}),
    "invert": lambda a: called("bitwise_not", (a,), {}),
}
for _name, _operator in _OPERATORS.items():
    setattr(TracedTensor, f"__{_name}__", _operator)


def plain_dtype(dtype: Any) -> np.dtype[Any]:
    """NumPy's type of a torch dtype. Raises Untraceable for one that NumPy has not."""
    if dtype not in _NAMES:
        raise Untraceable(f"it uses the dtype {dtype}")
    return dtypes.numpy_dtype(_NAMES[dtype])


def _plain(x: Any) -> Any:
    """torch's argument as the rules take it: traced or NumPy arrays, NumPy dtypes."""
    if isinstance(x, TracedTensor):
        return x.traced
    if isinstance(x, torch.Tensor):
        return arrays.to_numpy(x.detach())
    if isinstance(x, torch.dtype):
        return plain_dtype(x)
    if isinstance(x, torch.Size):
        return tuple(x)
    if isinstance(x, (list, tuple)):
        return type(x)(_plain(item) for item in x)
    return x


def _run_of(x: Any) -> Run:
    if isinstance(x, TracedTensor):
        return x.traced.run
    items = x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else ()
    for item in items:
        try:
            return _run_of(item)
        except LookupError:
            continue
    raise LookupError("no traced tensor among the arguments")


def _wrapped(run: Run, result: Any) -> Any:
    if isinstance(result, np.ndarray) and result.dtype == bool and run.ranges.decide():
        return arrays.from_numpy(result, "torch")
    if isinstance(result, (Traced, np.ndarray, np.generic)):
        return TracedTensor(result if isinstance(result, Traced) else Traced(run, result))
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*(_wrapped(run, item) for item in result))
    if isinstance(result, (list, tuple)):
        return tuple(_wrapped(run, item) for item in result)
    return result


def called(name: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run torch's function of that name by its rule."""
    rule = RULES.get(name)
    if rule is None:
        raise Untraceable(f"it calls torch's {name}")
    run = _run_of((args, kwargs))
    run.check_time()
    out = kwargs.pop("out", None)
    first, *rest = [_plain(a) for a in args] or [kwargs.pop("input", None)]
    kwargs = {key: _plain(item) for key, item in kwargs.items()}
    if "input" in kwargs:
        kwargs["x"] = kwargs.pop("input")
    if isinstance(first, np.ndarray):
        first = Traced(run, first, run.arithmetic.constant_error(first) if first.dtype.kind == "f" else 0.0)
    with activated(None):
        result = _wrapped(run, rule(first, *rest, **kwargs) if first is not None else rule(*rest, **kwargs))
    if out is not None:
        out[...] = result
        return out
    return result


# torch's constructors while such a reference runs, for that thread alone.

_LOCK = threading.RLock()
_depth = 0
_originals: dict[str, Callable[..., Any]] = {}


def _constructing(original: Callable[..., Any], fill: float | None) -> Callable[..., Any]:
    @functools.wraps(original)
    def construct(*args: Any, **kwargs: Any) -> Any:
        run = active_run()
        if run is None:
            return original(*args, **kwargs)
        with activated(None):
            filling = fill
            if filling is None:
                filling = kwargs.pop("fill_value") if "fill_value" in kwargs else args[1]
                made = original(args[0] if args else kwargs.pop("size"), 0.0, **kwargs)
            else:
                made = original(*args, **kwargs)
            return TracedTensor(new_array(run, tuple(made.shape), _plain(filling), plain_dtype(made.dtype)))

    return construct


def _counting(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def count(*args: Any, **kwargs: Any) -> Any:
        run = active_run()
        made = original(*args, **kwargs)
        if run is None or not run.ranges.decide():
            return made
        value = arrays.to_numpy(made)
        return TracedTensor(Traced(run, value, error_of(run, value), leaf=True))

    return count


@contextmanager
def patched_torch() -> Iterator[None]:
    """Let torch.zeros, empty, ones and full take item assignment of traced values, and trace what is
    computed from arange and linspace, for the block.
    """
    global _depth
    fills: dict[str, float | None] = {"zeros": 0.0, "empty": 0.0, "ones": 1.0, "full": None}
    with _LOCK:
        if _depth == 0:
            for name in (*fills, "arange", "linspace"):
                original = _originals[name] = getattr(torch, name)
                made = _constructing(original, fills[name]) if name in fills else _counting(original)
                setattr(torch, name, made)
        _depth += 1
    try:
        yield
    finally:
        with _LOCK:
            _depth -= 1
            if _depth == 0:
                for name, original in _originals.items():
                    setattr(torch, name, original)


def torch_input(x: Any) -> Any:
    """A traced float input as a tensor; integers and bools as real tensors."""
    return TracedTensor(x) if isinstance(x, Traced) else arrays.from_numpy(x, "torch")


def unwrapped(result: Any) -> Any:
    """A reference's result with traced and NumPy arrays in the place of tensors."""
    if isinstance(result, Mapping):
        return {name: unwrapped(item) for name, item in result.items()}
    if isinstance(result, (list, tuple)):
        return tuple(unwrapped(item) for item in result)
    return _plain(result)
