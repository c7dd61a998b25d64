"""Invariants: what every output of an op fulfils, whatever its reference says.

Here: the ones that come with the package, reading them from text, and a user's own callables.
A NaN fulfils every one but finite(): whether it may be there is for the comparison to say.
Elsewhere: when they are checked, and the allowance of each element (judge.py).
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import Array, Float64Array, Invariant
from pytest_gpuemu.engine.user_code import call

_Arrays = Mapping[str, Float64Array]


def within(low: float, high: float, *, of: str | None = None) -> Invariant:
    """Every element lies in [low, high], up to its tolerance. of names the output; the first otherwise."""
    return _bounded(f"within({low!r}, {high!r}{_suffix(of)})", low, high, of)


def at_least(low: float, *, of: str | None = None) -> Invariant:
    """No element is below low by more than its tolerance."""
    return _bounded(f"at_least({low!r}{_suffix(of)})", low, np.inf, of)


def at_most(high: float, *, of: str | None = None) -> Invariant:
    """No element is above high by more than its tolerance."""
    return _bounded(f"at_most({high!r}{_suffix(of)})", -np.inf, high, of)


def nonnegative(*, of: str | None = None) -> Invariant:
    """No element is negative by more than its tolerance."""
    return _bounded(f"nonnegative({_suffix(of).lstrip(', ')})", 0.0, np.inf, of)


def finite(*, of: str | None = None) -> Invariant:
    """No element is NaN or infinite."""
    name = f"finite({_suffix(of).lstrip(', ')})"

    def check(outputs: _Arrays, inputs: Mapping[str, Array], params: Mapping[str, Any]) -> str | None:
        key, output = _chosen(outputs, of)
        return _first(name, key, output, ~np.isfinite(output))

    return Invariant(name=name, check=check)


def sums_to(value: float, dim: int | str = -1, *, of: str | None = None) -> Invariant:
    """The elements along dim sum to value, up to the tolerances of all of them together.

    dim is an axis, or the name of the param that holds it.
    """
    name = f"sums_to({value!r}, dim={dim!r}{_suffix(of)})"

    def check(
        outputs: _Arrays, inputs: Mapping[str, Array], params: Mapping[str, Any], allowed: _Arrays
    ) -> str | None:
        key, output = _chosen(outputs, of)
        axis = params[dim] if isinstance(dim, str) else dim
        if output.shape[axis] == 0:
            return None
        with np.errstate(all="ignore"):
            total = output.sum(axis=axis)
            # Summing here in float64 costs at most (n - 1) * 2**-53 of the magnitudes.
            own = output.shape[axis] * 2.0**-53 * np.abs(output).sum(axis=axis)
            broken = np.abs(total - value) > allowed[key].sum(axis=axis) + own
        if not np.any(broken):
            return None
        at = tuple(int(i) for i in np.argwhere(broken)[0])
        place: list[Any] = list(at)
        place.insert(axis % output.ndim, ":")
        return (
            f"{name}: the sum of {key}[{', '.join(map(str, place))}] is {float(total[at])!r} "
            f"({np.count_nonzero(broken)} of {broken.size} sums)"
        )

    return Invariant(name=name, check=check, tolerant=True)


def holds(function: Callable[..., Any]) -> Invariant:
    """A user's own: function(output), function(output, inputs) or function(output, inputs, params).

    output is the float64 array, or a dict by name where the op has several. It gives True or an array
    of bools (all must be true), False, or a message; None is no objection.
    """
    name = getattr(function, "__name__", type(function).__name__)
    count = _positional_count(function)

    def check(outputs: _Arrays, inputs: Mapping[str, Array], params: Mapping[str, Any]) -> str | None:
        output = next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)
        called = call(function, *(output, dict(inputs), dict(params))[:count])
        if called.error is not None:
            return f"{name} raised {called.summary}\n{called.traceback}"
        return _objection(name, called.value)

    return Invariant(name=name, check=check)


_BY_NAME: dict[str, Callable[..., Invariant]] = {
    "within": within,
    "at_least": at_least,
    "at_most": at_most,
    "nonnegative": nonnegative,
    "finite": finite,
    "sums_to": sums_to,
}


def parse_invariant(given: Any) -> Invariant:
    """Read an invariant: text such as `within(0, 1)` or `finite`, or a callable. Raises ConfigError."""
    if isinstance(given, Invariant):
        return given
    if callable(given):
        return holds(given)
    known = "write one of " + ", ".join(f"{name}{inspect.signature(f)}" for name, f in _BY_NAME.items())
    known = known.replace(" -> 'Invariant'", "").replace("'", "")
    if not isinstance(given, str):
        raise ConfigError(f"{given!r} is not an invariant; give a callable, or {known}")
    try:
        tree = ast.parse(given.strip(), mode="eval").body
    except SyntaxError as error:
        raise ConfigError(f"{given!r} is not an invariant; {known}") from error
    name = tree.func if isinstance(tree, ast.Call) else tree
    if not isinstance(name, ast.Name):
        raise ConfigError(f"{given!r} is not an invariant; {known}")
    if name.id not in _BY_NAME:
        raise ConfigError(f"{given!r}: unknown invariant {name.id!r}; {did_you_mean(name.id, _BY_NAME)}")
    call_node = tree if isinstance(tree, ast.Call) else ast.Call(func=name, args=[], keywords=[])
    try:
        args = [ast.literal_eval(arg) for arg in call_node.args]
        keywords = {str(key.arg): ast.literal_eval(key.value) for key in call_node.keywords}
        inspect.signature(_BY_NAME[name.id]).bind(*args, **keywords)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{given!r}: {error}; {known}") from error
    return _BY_NAME[name.id](*args, **keywords)


def _bounded(name: str, low: float, high: float, of: str | None) -> Invariant:
    def check(
        outputs: _Arrays, inputs: Mapping[str, Array], params: Mapping[str, Any], allowed: _Arrays
    ) -> str | None:
        key, output = _chosen(outputs, of)
        broken = (output < low - allowed[key]) | (output > high + allowed[key])
        return _first(name, key, output, broken)

    return Invariant(name=name, check=check, tolerant=True)


def _chosen(outputs: _Arrays, of: str | None) -> tuple[str, Float64Array]:
    key = next(iter(outputs)) if of is None else of
    if key not in outputs:
        raise ConfigError(f"an invariant is of the output {key!r}; {did_you_mean(key, outputs)}")
    return key, outputs[key]


def _first(name: str, key: str, output: Float64Array, broken: Array) -> str | None:
    if not np.any(broken):
        return None
    at = tuple(int(i) for i in np.argwhere(broken)[0])
    count = np.count_nonzero(broken)
    place = f"{key}[{', '.join(map(str, at))}]"
    return f"{name}: {place} = {float(output[at])!r} ({count} of {broken.size} elements)"


def _objection(name: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return f"{name}: {value}" if value else None
    verdict = np.asarray(value)
    if verdict.dtype != bool:
        return f"{name} gave {value!r}, which is neither a bool, an array of bools, nor a message"
    if verdict.all():
        return None
    if verdict.ndim == 0:
        return f"{name} is not fulfilled"
    at = [int(i) for i in np.argwhere(~verdict)[0]]
    return f"{name} is not fulfilled at {at} ({np.count_nonzero(~verdict)} of {verdict.size} places)"


def _positional_count(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return 3
    required = [
        p
        for p in parameters
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        and p.default is inspect.Parameter.empty
    ]
    return min(max(len(required), 1), 3)


def _suffix(of: str | None) -> str:
    return "" if of is None else f", of={of!r}"
