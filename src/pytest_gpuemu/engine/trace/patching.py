"""NumPy's array constructors while a reference is traced, for that thread alone.

Here: zeros, empty, ones, full (so that they take item assignment of traced arrays), array and asarray
(so that they do not strip the error), arange and linspace (so that what is computed from them is traced),
and SciPy's functions that begin with asarray.
Elsewhere: which run is active in which thread (run.py).

The replacements stand in NumPy's namespace, in scipy.special's and in the globals of the reference's
module (`from numpy import zeros`) while at least one trace runs. Each asks for this thread's active
run and hands over to the original where there is none, so a kernel in another thread gets plain
NumPy, and so do the rules themselves.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pytest_gpuemu.engine.trace.composites import SCIPY_SPECIAL, holds_traced
from pytest_gpuemu.engine.trace.numpy_table import new_array
from pytest_gpuemu.engine.trace.run import Run, activated, active_run
from pytest_gpuemu.engine.trace.structural import cast
from pytest_gpuemu.engine.trace.traced import Traced, error_of, value_of

Function = Callable[..., Any]
_LOCK = threading.RLock()
_depth = 0
_restore: list[tuple[dict[str, Any], str, Any]] = []


def _as_traced(run: Run, x: Any, dtype: Any, copy: bool) -> Any:
    """np.array of something that holds traced arrays."""
    if isinstance(x, Traced):
        if dtype is not None and np.dtype(dtype) != x.dtype:
            return cast(x, dtype)
        return x.copy() if copy else x
    joined = np.stack(
        [_as_traced(run, item, None, False) if holds_traced(item) else np.asarray(item) for item in x]
    )
    return joined if dtype is None else _as_traced(run, joined, dtype, False)


def _converting(original: Function, copies: bool) -> Function:
    @functools.wraps(original)
    def convert(x: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        run = active_run()
        if run is None or not holds_traced(x):
            return original(x, dtype, *args, **kwargs) if dtype is not None else original(x, *args, **kwargs)
        with activated(None):
            return _as_traced(run, x, dtype, copies and kwargs.get("copy", True))

    return convert


def _filling(original: Function, fill: float) -> Function:
    @functools.wraps(original)
    def construct(shape: Any, dtype: Any = float, *args: Any, **kwargs: Any) -> Any:
        run = active_run()
        if run is None:
            return original(shape, dtype, *args, **kwargs)
        with activated(None):
            return new_array(run, _plain_shape(shape), fill, dtype)

    return construct


def _full(original: Function) -> Function:
    @functools.wraps(original)
    def full(shape: Any, fill_value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        run = active_run()
        if run is None:
            return original(shape, fill_value, dtype, *args, **kwargs)
        with activated(None):
            kind = np.asarray(value_of(fill_value)).dtype if dtype is None else dtype
            return new_array(run, _plain_shape(shape), fill_value, kind)

    return full


def _filling_like(original: Function, fill: float | None) -> Function:
    @functools.wraps(original)
    def construct(x: Any, *args: Any, **kwargs: Any) -> Any:
        run = active_run()
        if run is None or isinstance(x, Traced):
            return original(x, *args, **kwargs)
        # Of a plain array, such as an integer input: the result may be assigned traced values.
        with activated(None):
            return Traced(run, original(x, *args, **kwargs), np.zeros(kwargs.get("shape") or np.shape(x)))

    return construct


def _counting(original: Function) -> Function:
    @functools.wraps(original)
    def count(*args: Any, **kwargs: Any) -> Any:
        run = active_run()
        made = original(*args, **kwargs)
        if run is None or not isinstance(made, np.ndarray) or not run.ranges.decide():
            return made
        return Traced(run, made, error_of(run, made), leaf=True)

    return count


def _plain_shape(shape: Any) -> Any:
    return tuple(int(n) for n in shape) if isinstance(shape, (tuple, list)) else int(shape)


def _on_traced(original: Function, written_out: Function) -> Function:
    @functools.wraps(original)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        if active_run() is None or not isinstance(x, Traced):
            return original(x, *args, **kwargs)
        return written_out(x, *args, **kwargs)

    return call


# Made once: (namespace, name, original, replacement). Made again where an original was exchanged.
_made: list[tuple[dict[str, Any], str, Any, Function]] = []


def _replacements() -> list[tuple[dict[str, Any], str, Any, Function]]:
    namespaces = {id(namespace) for namespace, _, _, _ in _made}
    special = sys.modules.get("scipy.special")
    complete = bool(_made) and (special is None or id(vars(special)) in namespaces)
    if not complete or any(namespace[name] is not original for namespace, name, original, _ in _made):
        _made[:] = [(place, name, place[name], new) for place, name, new in _new_replacements()]
    return _made


def _new_replacements() -> list[tuple[dict[str, Any], str, Function]]:
    made: list[tuple[dict[str, Any], str, Function]] = []
    numpy = vars(np)
    for name, copies in (
        ("array", True),
        ("asarray", False),
        ("asanyarray", False),
        ("ascontiguousarray", False),
        ("asfarray", False),
        ("require", False),
    ):
        if name in numpy:
            made.append((numpy, name, _converting(numpy[name], copies)))
    for name, fill in (("zeros", 0.0), ("empty", 0.0), ("ones", 1.0)):
        made.append((numpy, name, _filling(numpy[name], fill)))
        made.append((numpy, f"{name}_like", _filling_like(numpy[f"{name}_like"], fill)))
    for name in ("arange", "linspace"):
        made.append((numpy, name, _counting(numpy[name])))
    made.append((numpy, "full", _full(numpy["full"])))
    made.append((numpy, "full_like", _filling_like(numpy["full_like"], None)))
    special = sys.modules.get("scipy.special")
    if special is not None:
        for name, written_out in SCIPY_SPECIAL.items():
            made.append((vars(special), name, _on_traced(vars(special)[name], written_out)))
    return made


def _module_globals(reference: Any) -> dict[str, Any]:
    seen = 0
    while seen < 16:
        inner = getattr(reference, "__wrapped__", None) or getattr(reference, "func", None)
        if inner is None:
            break
        reference, seen = inner, seen + 1
    reference = getattr(reference, "__func__", reference)
    found = getattr(reference, "__globals__", None)
    if found is None:
        # An object with a __call__ written in Python.
        found = getattr(vars(type(reference)).get("__call__"), "__globals__", {})
    return found if isinstance(found, dict) else {}


@contextmanager
def patched(reference: Any) -> Iterator[None]:
    """Replace the constructors for the block; nested and concurrent blocks share one replacement."""
    global _depth
    with _LOCK:
        if _depth == 0:
            _restore.clear()
            for namespace, name, original, replacement in _replacements():
                _restore.append((namespace, name, original))
                namespace[name] = replacement
        _depth += 1
        own = _rebind(_module_globals(reference))
    try:
        yield
    finally:
        with _LOCK:
            for namespace, name, original in own:
                namespace[name] = original
            _depth -= 1
            if _depth == 0:
                for namespace, name, original in reversed(_restore):
                    namespace[name] = original


def _rebind(namespace: dict[str, Any]) -> list[tuple[dict[str, Any], str, Any]]:
    """Names of the reference's own module that hold an original: `from numpy import zeros`."""
    by_original = {id(original): (place[name]) for place, name, original in _restore}
    if namespace is vars(np):
        return []
    found = []
    for name, held in list(namespace.items()):
        replacement = by_original.get(id(held))
        if replacement is not None:
            found.append((namespace, name, held))
            namespace[name] = replacement
    return found
