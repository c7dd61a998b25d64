"""The reference as a program: its steps, and running it with one of them changed.

Here: an array that tells of each NumPy function it meets, recording the steps of a run, and handing each
step to a hook that may give another result. Elsewhere: which changes stand for which bug (one_step.py,
padding.py).

A reference that leaves these arrays (np.asarray, item assignment into a fresh array, torch) has fewer steps
or none; then nothing is suspected of it. Nothing here is needed for the verdict.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Outputs, altered
from pytest_gpuemu.engine.op import Array

_FLOAT32_MAX = float(np.finfo(np.float32).max)
_FLOAT32_TINY = 2.0**-150
# Functions that are one step; all others are what their implementation is made of, or no step of interest.
_WHOLE = {
    "where",
    "einsum",
    "tensordot",
    "dot",
    "inner",
    "take_along_axis",
    "concatenate",
    "sort",
    "argmax",
    "argmin",
    "pad",
}
_MOST_STEPS = 200


@dataclass(slots=True, eq=False)
class Step:
    """One function of the reference: its name ("add", "add.reduce", "where"), what it got and what it gave.

    args are plain arrays and numbers; sources, beside them, the steps that made these, where known.
    """

    number: int
    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sources: tuple[Step | None, ...]
    result: Any = None

    def compute(self) -> Any:
        """What the step gives unchanged."""
        return self.function(*self.args, **self.kwargs)

    def again(self, *args: Any) -> Any:
        """What it gives for other arrays."""
        return self.function(*args, **self.kwargs)

    def with_argument(self, place: int, value: Any) -> Any:
        """What it gives with one of its arguments replaced."""
        return self.again(*self.args[:place], value, *self.args[place + 1 :])


Hook = Callable[[Step], Any]


@dataclass(slots=True)
class _Run:
    """One run: how many steps there were, the hook, and the steps where they are kept."""

    hook: Hook | None
    clamps: bool
    keeps: bool
    count: int = 0
    steps: list[Step] = field(default_factory=list)

    def step(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sources: tuple[Step | None, ...],
    ) -> tuple[Any, Step]:
        made = Step(self.count, name, function, args, kwargs, sources)
        self.count += 1
        result = made.compute() if self.hook is None else self.hook(made)
        if self.clamps:
            result = _as_in_float32(result)
        made.result = result
        if self.keeps and len(self.steps) < _MOST_STEPS:
            self.steps.append(made)
        return result, made


class Tracked(np.ndarray):
    """An array of a run, which it tells of each function that it meets."""

    run: _Run | None
    origin: Step | None

    def __array_finalize__(self, obj: Any) -> None:
        self.run = getattr(obj, "run", None)
        self.origin = None

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        return np.argmax(self, *args, **kwargs)

    def argmin(self, *args: Any, **kwargs: Any) -> Any:
        return np.argmin(self, *args, **kwargs)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        run = _run_of((*args, *kwargs.get("out", ())))
        outs = kwargs.pop("out", None)
        kwargs = {key: _plain(value) for key, value in kwargs.items()}
        name = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        plain = tuple(map(_plain, args))
        if run is None:
            return getattr(ufunc, method)(*plain, **kwargs)
        if method == "at":  # changes its first argument
            run.step(name, ufunc.at, plain, kwargs, tuple(map(_origin, args)))
            return None
        result, made = run.step(name, getattr(ufunc, method), plain, kwargs, tuple(map(_origin, args)))
        if outs is not None and outs[0] is not None:
            np.asarray(_plain(outs[0]))[...] = result
            return outs[0]
        return _wrap(result, run, made)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(func, "__name__", "")
        run = _run_of(args)
        if name in _WHOLE and run is not None:
            plain = tuple(map(_plain, args))
            kwargs = {key: _plain(value) for key, value in kwargs.items()}
            result, made = run.step(name, func, plain, kwargs, tuple(map(_origin, args)))
            return _wrap(result, run, made)
        return super().__array_function__(func, types, args, kwargs)


def record(case: Case) -> list[Step]:
    """The steps of the op's first reference on the case; none where it cannot be followed."""
    run = _Run(hook=None, clamps=False, keeps=True)
    altered(case, reference=_tracking(case.op.references[0], run))
    return run.steps


def run_with(
    case: Case,
    hook: Hook,
    *,
    clamps: bool = False,
    inputs: Mapping[str, Array] | None = None,
    dims: Mapping[str, int] | None = None,
) -> Outputs | None:
    """What the reference gives when the hook gives the result of each step.

    clamps: what float32 cannot hold becomes infinite, or 0, after each step. None where the reference raises.
    """
    run = _Run(hook=hook, clamps=clamps, keeps=False)
    with np.errstate(all="ignore"):
        return altered(case, inputs, dims=dims, reference=_tracking(case.op.references[0], run))


def at_step(number: int, change: Callable[[Step], Any]) -> Hook:
    """A hook that changes one step."""
    return lambda step: change(step) if step.number == number else step.compute()


def _tracking(reference: Callable[..., Any], run: _Run) -> Callable[..., Any]:
    """The reference, called with tracked arrays in place of its floating ones."""

    @functools.wraps(reference)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = reference(
            *(_tracked(value, run) for value in args),
            **{key: _tracked(value, run) for key, value in kwargs.items()},
        )
        return _untracked(result)

    return call


def _tracked(value: Any, run: _Run) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    return _wrap(value, run, None)


def _wrap(value: Any, run: _Run, made: Step | None) -> Any:
    if isinstance(value, tuple):
        return tuple(_wrap(part, run, made) for part in value)
    if not isinstance(value, (np.ndarray, np.floating)):
        return value
    wrapped = np.asarray(value).view(Tracked)
    wrapped.run, wrapped.origin = run, made
    return wrapped


def _untracked(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value)(map(_untracked, value)) if not hasattr(value, "_fields") else value
    if isinstance(value, dict):
        return {key: _untracked(part) for key, part in value.items()}
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Tracked):
        return value.view(np.ndarray)
    if isinstance(value, (tuple, list)) and any(isinstance(part, Tracked) for part in value):
        return type(value)(map(_plain, value))
    return value


def _origin(value: Any) -> Step | None:
    return value.origin if isinstance(value, Tracked) else None


def _run_of(values: Any) -> _Run | None:
    for value in values:
        if isinstance(value, Tracked) and value.run is not None:
            return value.run
        if isinstance(value, (tuple, list)) and (found := _run_of(value)) is not None:
            return found
    return None


def _as_in_float32(result: Any) -> Any:
    if not isinstance(result, (np.ndarray, np.floating)) or np.asarray(result).dtype.kind != "f":
        return result
    values = np.asarray(result)
    size = np.abs(values)
    clamped = np.where(size > _FLOAT32_MAX, np.copysign(np.inf, values), values)
    return np.where(size < _FLOAT32_TINY, 0.0, clamped)
