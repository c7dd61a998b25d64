"""The keys of a marker or an `[[ops]]` entry: reading each value, and saying what is wrong with it.

Here: one reader a key, and the checks that they share; place begins every message, such as
`gpuemu_op 'softmax'`. Elsewhere: the tensors (read_tensors.py), which keys there are (define.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_gpuemu.engine import dtypes as dtype_names
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.invariants import parse_invariant
from pytest_gpuemu.engine.op import CHECKS, Invariant, Op, Param, Range, Tolerance

LAYOUT_ALIASES = {"Contiguous": "contiguous", "Strided": "strided", "Transposed": "transposed"}
_TOLERANCE_KEYS = ("atol", "rtol", "ulp", "fraction")


def read_dims(place: str, given: Any, dim_names: Iterable[str]) -> dict[str, tuple[int, ...] | Range]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: dims = {given!r} is not a table of dim name to sizes")
    found: dict[str, tuple[int, ...] | Range] = {}
    for name, sizes in given.items():
        check_known(place, "dims", name, dim_names)
        if isinstance(sizes, int):
            sizes = [sizes]
        if isinstance(sizes, Mapping) and set(sizes) == {"min", "max"}:
            sizes = (sizes["min"], sizes["max"])
        whole = isinstance(sizes, (list, tuple, range)) and all(
            isinstance(size, int) and not isinstance(size, bool) and size >= 0 for size in sizes
        )
        if not whole or not sizes:
            raise ConfigError(
                f"{place}: dims[{name!r}] = {sizes!r}; write a list of sizes [1, 16, 17], "
                "or a range: (1, 300) in Python, {min = 1, max = 300} in TOML"
            )
        if isinstance(sizes, tuple) and len(sizes) == 2:
            if sizes[0] > sizes[1]:
                raise ConfigError(f"{place}: dims[{name!r}] = {sizes!r} is an empty range")
            found[name] = Range(*sizes)
        else:
            found[name] = tuple(sizes)
    return found


def read_params(place: str, given: Any) -> tuple[Param, ...]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: params = {given!r} is not a table of name to value, or list of values")
    for name, value in given.items():
        if isinstance(value, list) and not value:
            raise ConfigError(f"{place}: params[{name!r}] = [] has no value to draw from")
    return tuple(
        Param(name=name, choices=tuple(value) if isinstance(value, list) else (value,))
        for name, value in given.items()
    )


def narrow_params(place: str, op: Op, given: Any) -> tuple[Param, ...]:
    """The op's params with the given ones in their place; one that the op has not must be its reference's."""
    found = {param.name: param for param in op.params}
    taken = {name for reference in op.references for name in _keywords(reference)}
    for param in read_params(place, given):
        if None not in taken:
            known = {*found, *(name for name in taken if name)} - {x.name for x in op.inputs}
            check_known(place, "params", param.name, sorted(known))
        found[param.name] = param
    return tuple(found.values())


def _keywords(reference: Callable[..., Any]) -> Iterator[str | None]:
    """The names of what a function takes; None where it takes any, or cannot be asked."""
    try:
        parameters = inspect.signature(reference).parameters.values()
    except (TypeError, ValueError):
        yield None
        return
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            yield None
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            yield parameter.name


def read_tolerance(place: str, given: Any) -> Tolerance:
    if isinstance(given, Tolerance):
        return given
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(
            f"{place}: tolerance = {given!r}; write a table such as {{'rtol': 1e-3, 'atol': 1e-5}}"
        )
    for key, value in given.items():
        check_known(place, "tolerance", key, _TOLERANCE_KEYS)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ConfigError(f"{place}: tolerance[{key!r}] = {value!r} is not a number >= 0")
    if given.get("fraction", 1.0) > 1:
        raise ConfigError(
            f"{place}: tolerance['fraction'] = {given['fraction']!r} is not a share from 0 to 1"
        )
    return Tolerance(**{key: float(value) for key, value in given.items()}, source="marker")


def read_checks(place: str, given: Any) -> dict[str, bool]:
    """A list switches the others off; a table switches the named ones."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            check_known(place, "checks", name, CHECKS)
            if not isinstance(value, bool):
                raise ConfigError(f"{place}: checks[{name!r}] = {value!r} is not True or False")
        return dict(given)
    names = read_choices(place, "checks", given, CHECKS)
    return {name: name in names for name in CHECKS}


def read_invariant(place: str, given: Any) -> Invariant:
    try:
        return given if isinstance(given, Invariant) else parse_invariant(given)
    except ConfigError as error:
        raise ConfigError(f"{place}: invariants: {error}") from None


def read_dtype(place: str, key: str, given: Any) -> str:
    try:
        if given is None:  # which NumPy takes for float64
            raise TypeError
        return dtype_names.dtype_name(given)
    except ConfigError as error:
        raise ConfigError(f"{place}: {key}: {error}") from None
    except TypeError:
        raise ConfigError(f"{place}: {key}: {given!r} is not a dtype; write a name: 'float16'") from None


def check_known(place: str, key: str, name: Any, known: Iterable[str]) -> None:
    if name not in (names := tuple(known)):
        raise ConfigError(f"{place}: {key}: unknown name {name!r}; {did_you_mean(str(name), names)}")


def read_several(place: str, key: str, given: Any) -> Sequence[Any]:
    if isinstance(given, str) or not isinstance(given, (list, tuple)) or not given:
        raise ConfigError(f"{place}: {key} = {given!r} is not a list with at least one entry")
    return given


def read_choice(place: str, key: str, given: Any, known: Sequence[str]) -> str:
    if given not in known:
        raise ConfigError(f"{place}: {key} = {given!r}; {did_you_mean(str(given), known)}")
    return str(given)


def read_choices(
    place: str, key: str, given: Any, known: Sequence[str], aliases: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    names = [
        (aliases or {}).get(name, name) if isinstance(name, str) else name
        for name in read_several(place, key, given)
    ]
    return tuple(dict.fromkeys(read_choice(place, key, name, known) for name in names))


def read_flag(place: str, key: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise ConfigError(f"{place}: {key} = {given!r} is not True or False")
    return given


def read_positive(place: str, key: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigError(f"{place}: {key} = {given!r} is not a whole number >= 1")
    return given
