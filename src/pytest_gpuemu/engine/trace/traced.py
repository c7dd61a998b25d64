"""An array with a bound on its rounding error, which a reference takes for a NumPy array.

Here: the pair (value, error), its attributes and methods, indexing and item assignment.
Elsewhere: the rules (ufuncs.py, reductions.py, contractions.py, structural.py, assignment.py), which
NumPy's protocols reach through dispatch.py.

It is no ndarray, so that no function of NumPy can strip the error unseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.run import Run, Untraceable, activated

# An array of the value's shape, or 0.0 where every element is exact: most arrays start like that.
Error: TypeAlias = Any


class Traced(np.lib.mixins.NDArrayOperatorsMixin):
    """A value (as NumPy computes it, in the reference's own dtype) and a bound on its error.

    error >= 0 bounds |kernel's value - value|; inf means undetermined. For a bool, an error above 0
    means undecided. leaf marks inputs and constants, rearranged or joined: a kernel reads them in their
    storage dtype, so that an operand of a matmul is not rounded again. nonnegative marks what no rounding
    can make negative, such as a sum of squares: its square root is never NaN. terms is how many terms a sum
    or a contraction had whose result this is, and 0 for anything else: what is added to it may be where a
    kernel's accumulator begins. shrunk is by how much scalar factors made it smaller, at least 1: a kernel
    may sum first and scale the sum, which overflows sooner.
    """

    __slots__ = ("_parent", "error", "leaf", "nonnegative", "run", "shrunk", "terms", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        run: Run,
        value: Any,
        error: Error = 0.0,
        leaf: bool = False,
        parent: tuple[Traced, Callable[[Array], Array]] | None = None,
    ) -> None:
        self.run = run
        self.value: Array = np.asarray(value)
        if not isinstance(error, np.ndarray) and error:
            # What NumPy makes of a 0-d array (+e, e[i]) is a scalar, which rearranging would take for exact.
            error = np.full(self.value.shape, error)
        self.error = error
        self.leaf = leaf
        self.nonnegative = False
        self.terms = 0
        self.shrunk = 1.0
        # A view that has no error array yet gets it from the array it looks into, by the same function.
        self._parent = parent

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.value.dtype

    @property
    def itemsize(self) -> int:
        return self.value.itemsize

    @property
    def nbytes(self) -> int:
        return self.value.nbytes

    @property
    def T(self) -> Traced:
        if isinstance(self.error, np.ndarray):
            return Traced(self.run, self.value.T, self.error.T, self.leaf)
        return Traced(self.run, self.value.T, 0.0, self.leaf, parent=(self, np.transpose))

    @property
    def mT(self) -> Traced:
        return self.swapaxes(-1, -2)  # type: ignore[no-any-return]

    @property
    def real(self) -> Traced:
        return self

    @property
    def flat(self) -> Traced:
        return self.ravel()  # type: ignore[no-any-return]

    def full_error(self) -> Array:
        """The error as a writable array of the value's shape, made where it was 0.0."""
        if not isinstance(self.error, np.ndarray):
            if self._parent is not None:
                base, view_of = self._parent
                self.error = view_of(base.full_error())
                self._parent = None
            else:
                self.error = np.zeros(self.value.shape) + self.error
        elif not self.error.flags.writeable:
            self.error = self.error.copy()
        if not isinstance(self.error, np.ndarray):  # NumPy turns 0-d results into scalars
            self.error = np.asarray(self.error)
        return self.error

    @property
    def is_exact(self) -> bool:
        return not np.any(self.error)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Traced]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self.value)))

    def __repr__(self) -> str:
        return f"Traced({self.value!r}, error={self.error!r})"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        value = bool(self.value)
        if self.is_exact:
            return value
        if self.value.dtype == bool:
            return self.run.decide(value)
        # The truth of a number is `number != 0`.
        return self.run.decide(value) if abs(self.value.item()) <= float(self.error) else value

    def __index__(self) -> int:
        if self.is_exact and self.value.dtype.kind in "iu":
            return self.value.__index__()
        raise Untraceable("it uses a computed number as a Python integer")

    def __int__(self) -> int:
        value = self.value.item()
        error = float(np.asarray(self.error))
        if error == 0.0 or int(value - error) == int(value + error):
            return int(value)
        raise Untraceable("it turns a number with a rounding error into a Python int")

    def __float__(self) -> float:
        if self.is_exact and self.value.dtype.kind in "iub":
            return float(self.value)
        raise Untraceable("it turns an array element into a Python float")

    def __complex__(self) -> complex:
        raise Untraceable("it computes with complex numbers")

    def __array__(self, *args: Any, **kwargs: Any) -> Array:
        if self.is_exact and self.value.dtype.kind in "iub":
            return self.value
        raise Untraceable("it turns a traced array into a plain NumPy array")

    def __getitem__(self, index: Any) -> Traced:
        from pytest_gpuemu.engine.trace import assignment

        with activated(None):
            return assignment.get_item(self, index)

    def __setitem__(self, index: Any, new: Any) -> None:
        from pytest_gpuemu.engine.trace import assignment

        with activated(None):
            assignment.set_item(self, index, new)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        from pytest_gpuemu.engine.trace import dispatch

        return dispatch.ufunc(self.run, ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        from pytest_gpuemu.engine.trace import dispatch

        return dispatch.function(self.run, function, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        from pytest_gpuemu.engine.trace import dispatch, numpy_table

        method = numpy_table.METHODS.get(name)
        if method is None:
            if name.startswith("__"):
                raise AttributeError(name)
            raise Untraceable(f"it uses .{name} of an array")
        return lambda *args, **kwargs: dispatch.method(self, method, args, kwargs)


def value_of(x: Any) -> Any:
    """The plain value of an operand."""
    return x.value if isinstance(x, Traced) else x


def error_of(run: Run, x: Any) -> Error:
    """The error of an operand; a plain float carries |c - float32(c)|, as a kernel holds it."""
    if isinstance(x, Traced):
        return x.error
    if isinstance(x, float):
        return run.arithmetic.constant_error(x)
    if isinstance(x, (np.ndarray, np.floating)) and x.dtype.kind == "f":
        return run.arithmetic.constant_error(x)
    if isinstance(x, (list, tuple)):
        return error_of(run, np.asarray(x))
    return 0.0


def in_range(run: Run, x: Any) -> Any:
    """A plain constant beyond the arithmetic's range, such as finfo(float64).min in a mask, halfway to it.

    A kernel writes the smallest number of its own type there, which is as far from every score; taken
    literally, the masked row would overflow and be undetermined.
    """
    limit = run.arithmetic.largest
    if isinstance(x, float):
        return x if abs(x) <= limit or not np.isfinite(x) else float(np.copysign(limit / 2, x))
    if isinstance(x, np.ndarray) and x.dtype == np.float64 and run.arithmetic.rounded is not np.float64:
        beyond = (np.abs(x) > limit) & np.isfinite(x)
        return np.where(beyond, np.copysign(limit / 2, x), x) if beyond.any() else x
    return x


def has_error(error: Error) -> bool:
    """Whether some element may be inexact: False only for the scalar 0.0."""
    return isinstance(error, np.ndarray) or bool(error)


def is_real(value: Array) -> bool:
    """Whether a value is floating, ml_dtypes' types included (NumPy calls those kind V)."""
    return value.dtype.kind == "f" or value.dtype.name.startswith(("bfloat16", "float8"))
