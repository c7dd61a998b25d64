"""From what a user wrote to an op's record: one way in for markers, gpuemu.toml and the built-ins.

Here: reading and checking the marker's keys. Elsewhere: finding the op of a name (resolve.py),
the grammar of schemas (schema.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pytest_gpuemu.engine import dtypes as dtype_names
from pytest_gpuemu.engine.errors import ConfigError, SchemaError, did_you_mean
from pytest_gpuemu.engine.invariants import parse_invariant
from pytest_gpuemu.engine.op import (
    CHECKS,
    COMPUTE_TYPES,
    INPUT_KINDS,
    LAYOUTS,
    LIBRARIES,
    ROUNDINGS,
    SCALES,
    VALUES,
    Input,
    Invariant,
    Op,
    Output,
    Param,
    Range,
    Tolerance,
)
from pytest_gpuemu.engine.schema import (
    DimExpr,
    Schema,
    TensorSchema,
    parse_comparison,
    parse_dim,
    parse_schema,
)

T = TypeVar("T")

# What a caller may narrow; stored with a failure as its fuzz_config.
CASE_KEYS = ("dims", "dtypes", "layouts", "values", "params", "library", "max_bytes")
_INPUT_KEYS = ("kind", "dtype", "low", "high", "of", "ignore", "nonzero", "layouts", "values")
_OUTPUT_KEYS = ("dtype", "layouts")
_TOLERANCE_KEYS = ("atol", "rtol", "ulp", "fraction")


def define_op(
    name: str,
    *,
    reference: Callable[..., Any] | Sequence[Callable[..., Any]],
    schema: str | Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    where: Sequence[str] = (),
    inplace: Mapping[str, str] | Sequence[str] = (),
    canonical: Callable[..., Any] | None = None,
    shape_rule: Callable[..., Any] | None = None,
    aliases: Sequence[str] = (),
    origin: str = "marker",
    **keys: Any,
) -> Op:
    """Build the record of an op from the keys of the marker (docs/ops.md lists them).

    Raises ConfigError or SchemaError; the message names the op, the key and the value.
    """
    place = f"gpuemu_op {name!r}" if origin == "marker" else f"{origin} {name!r}"
    references = tuple(reference) if isinstance(reference, (list, tuple)) else (reference,)
    for found in references:
        if not callable(found):
            raise ConfigError(f"{place}: reference = {found!r} is not callable")
    if not references:
        raise ConfigError(f"{place}: reference is an empty list; give at least one callable")
    try:
        parsed, schema_dims = _read_schema(schema)
        comparisons = tuple(parse_comparison(text) for text in where)
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from None
    dim_names = {dim for tensor in parsed.inputs for expr in tensor.dims or () for dim in expr.names}
    for comparison in comparisons:
        for dim in (*comparison.left.names, *comparison.right.names):
            _known(place, "where", dim, dim_names)
    op = Op(
        name=name,
        references=references,
        inputs=_read_inputs(place, parsed, inputs or {}, dim_names),
        outputs=_read_outputs(place, parsed, outputs or {}),
        where=comparisons,
        inplace=_read_inplace(place, parsed, inplace),
        canonical=canonical,
        shape_rule=shape_rule,
        aliases=tuple(aliases),
        origin=origin,
    )
    if schema_dims:
        keys["dims"] = {**schema_dims, **(keys.get("dims") or {})}
    return dataclasses.replace(narrow_op(op, place=place, **keys), overrides={})


def narrow_op(op: Op, *, place: str | None = None, **keys: Any) -> Op:
    """The same op with the given keys changed: dims, dtypes, layouts, values, params, library, max_bytes,
    tolerance, compute, rounding, scale, invariants, checks, configs, cases.

    The first seven decide which cases are drawn and are kept in `overrides`. A key that is None
    changes nothing. Raises ConfigError, naming the op, the key and the value.
    """
    place = place or f"gpuemu_op {op.name!r}"
    given = {key: value for key, value in keys.items() if value is not None}
    readers: dict[str, Callable[[Any], Any]] = {
        "dims": lambda value: {**op.dims, **_read_dims(place, value, op.dim_names)},
        "dtypes": lambda value: tuple(_dtype(place, "dtypes", x) for x in _several(place, "dtypes", value)),
        "layouts": lambda value: _choices(place, "layouts", value, LAYOUTS, LAYOUT_ALIASES),
        "values": lambda value: _choices(place, "values", value, VALUES),
        "params": lambda value: _read_params(place, op.params, value),
        "library": lambda value: _choice(place, "library", value, LIBRARIES),
        "max_bytes": lambda value: _positive(place, "max_bytes", value),
        "tolerance": lambda value: _read_tolerance(place, value),
        "compute": lambda value: _choice(place, "compute", value, COMPUTE_TYPES),
        "rounding": lambda value: _choice(place, "rounding", value, ROUNDINGS),
        "scale": lambda value: _choice(place, "scale", value, SCALES),
        "invariants": lambda value: tuple(_invariant(place, x) for x in _several(place, "invariants", value)),
        "checks": lambda value: _read_checks(place, value),
        "configs": lambda value: tuple(_several(place, "configs", value)),
        "cases": lambda value: _positive(place, "cases", value),
    }
    for key in given:
        if key not in readers:
            raise ConfigError(f"{place}: unknown key {key!r}; {did_you_mean(key, MARKER_KEYS)}")
    changed = {key: readers[key](value) for key, value in given.items()}
    overrides = {key: value for key, value in given.items() if key in CASE_KEYS}
    return dataclasses.replace(op, **changed, overrides={**op.overrides, **overrides})


MARKER_KEYS = (
    "reference",
    "schema",
    "dims",
    "inputs",
    "outputs",
    "params",
    "dtypes",
    "layouts",
    "values",
    "library",
    "max_bytes",
    "tolerance",
    "compute",
    "rounding",
    "scale",
    "invariants",
    "checks",
    "configs",
    "inplace",
    "where",
    "cases",
)
LAYOUT_ALIASES = {"Contiguous": "contiguous", "Strided": "strided", "Transposed": "transposed"}


def _read_schema(schema: str | Mapping[str, Any]) -> tuple[Schema, dict[str, list[int]]]:
    """The parsed schema, and the candidates of its dims where the dict form gives them."""
    if isinstance(schema, str):
        return parse_schema(schema), {}
    try:
        dims = {dim["name"]: list(dim["candidates"]) for dim in schema.get("dims", ())}
        inputs = tuple(
            TensorSchema(x["name"], tuple(parse_dim(dim) for dim in x["dims"])) for x in schema["inputs"]
        )
        outputs = schema.get("outputs") or [schema["output"]]
        return Schema(
            inputs,
            tuple(
                TensorSchema(x.get("name", "output"), tuple(parse_dim(dim) for dim in x["dims"]))
                for x in outputs
            ),
        ), dims
    except (KeyError, TypeError, AttributeError) as error:
        raise SchemaError(
            f"schema = {schema!r} lacks or misspells {error}; write 'a[M,K], b[K,N] -> [M,N]' or a dict "
            '{"dims": [{"name", "candidates"}], "inputs": [{"name", "dims"}], "output": {"name", "dims"}}'
        ) from None


def _read_inputs(
    place: str, schema: Schema, given: Mapping[str, Mapping[str, Any]], dim_names: Iterable[str]
) -> tuple[Input, ...]:
    names = [tensor.name for tensor in schema.inputs]
    for name in given:
        _known(place, "inputs", name, names)
    found = []
    for tensor in schema.inputs:
        keys = dict(given.get(tensor.name, {}))
        where = f"inputs[{tensor.name!r}]"
        for key in keys:
            _known(place, where, key, _INPUT_KEYS)
        kind = _choice(place, f"{where}.kind", keys.get("kind", "values"), INPUT_KINDS)
        of = _bound(place, f"{where}.of", keys.get("of"), dim_names)
        if kind in ("index", "offsets", "lengths") and of is None:
            raise ConfigError(
                f"{place}: {where} has kind {kind!r} and needs 'of', the dim that it is bounded by"
            )
        low, high = (
            _bound(place, f"{where}.{key}", keys.get(key), dim_names, floats=True) for key in ("low", "high")
        )
        found.append(
            Input(
                name=tensor.name,
                dims=tensor.dims or (),
                kind=kind,
                dtype=None if keys.get("dtype") is None else _dtype(place, f"{where}.dtype", keys["dtype"]),
                low=low,
                high=high,
                of=of if isinstance(of, DimExpr) or of is None else parse_dim(int(of)),
                ignore=keys.get("ignore"),
                nonzero=_flag(place, f"{where}.nonzero", keys.get("nonzero", False)),
                layouts=None
                if keys.get("layouts") is None
                else _choices(place, f"{where}.layouts", keys["layouts"], LAYOUTS, LAYOUT_ALIASES),
                values=None
                if keys.get("values") is None
                else _choices(place, f"{where}.values", keys["values"], VALUES),
            )
        )
    return tuple(found)


def _read_outputs(place: str, schema: Schema, given: Mapping[str, Mapping[str, Any]]) -> tuple[Output, ...]:
    for name, keys in given.items():
        _known(place, "outputs", name, [tensor.name for tensor in schema.outputs])
        for key in keys:
            _known(place, f"outputs[{name!r}]", key, _OUTPUT_KEYS)
    return tuple(
        Output(
            name=tensor.name,
            dims=tensor.dims,
            dtype=None
            if given.get(tensor.name, {}).get("dtype") is None
            else _dtype(place, f"outputs[{tensor.name!r}].dtype", given[tensor.name]["dtype"]),
            layouts=_choices(
                place,
                f"outputs[{tensor.name!r}].layouts",
                given.get(tensor.name, {}).get("layouts", ["contiguous"]),
                LAYOUTS,
                LAYOUT_ALIASES,
            ),
        )
        for tensor in schema.outputs
    )


def _read_inplace(place: str, schema: Schema, given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """By output name, the input that is overwritten with it."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Mapping):
        given = dict(zip([tensor.name for tensor in schema.outputs], given, strict=False))
    for output, name in given.items():
        _known(place, "inplace", output, [tensor.name for tensor in schema.outputs])
        _known(place, "inplace", name, [tensor.name for tensor in schema.inputs])
    return dict(given)


def _read_dims(place: str, given: Any, dim_names: Iterable[str]) -> dict[str, tuple[int, ...] | Range]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: dims = {given!r} is not a table of dim name to sizes")
    found: dict[str, tuple[int, ...] | Range] = {}
    for name, sizes in given.items():
        _known(place, "dims", name, dim_names)
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


def _read_params(place: str, declared: tuple[Param, ...], given: Any) -> tuple[Param, ...]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: params = {given!r} is not a table of name to value, or list of values")
    for name, value in given.items():
        if isinstance(value, list) and not value:
            raise ConfigError(f"{place}: params[{name!r}] = [] has no value to draw from")
    read = {
        name: Param(name=name, choices=tuple(value) if isinstance(value, list) else (value,))
        for name, value in given.items()
    }
    kept = {param.name: param for param in declared}
    return tuple({**kept, **read}.values())


def _read_tolerance(place: str, given: Any) -> Tolerance:
    if isinstance(given, Tolerance):
        return given
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(
            f"{place}: tolerance = {given!r}; write a table such as {{'rtol': 1e-3, 'atol': 1e-5}}"
        )
    for key, value in given.items():
        _known(place, "tolerance", key, _TOLERANCE_KEYS)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise ConfigError(f"{place}: tolerance[{key!r}] = {value!r} is not a number >= 0")
    if given.get("fraction", 1.0) > 1:
        raise ConfigError(
            f"{place}: tolerance['fraction'] = {given['fraction']!r} is not a share from 0 to 1"
        )
    return Tolerance(**{key: float(value) for key, value in given.items()}, source="marker")


def _read_checks(place: str, given: Any) -> dict[str, bool]:
    """A list switches the others off; a table switches the named ones."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            _known(place, "checks", name, CHECKS)
            if not isinstance(value, bool):
                raise ConfigError(f"{place}: checks[{name!r}] = {value!r} is not True or False")
        return dict(given)
    names = _choices(place, "checks", given, CHECKS)
    return {name: name in names for name in CHECKS}


def _invariant(place: str, given: Any) -> Invariant:
    try:
        return given if isinstance(given, Invariant) else parse_invariant(given)
    except ConfigError as error:
        raise ConfigError(f"{place}: invariants: {error}") from None


def _bound(
    place: str, key: str, given: Any, dim_names: Iterable[str], *, floats: bool = False
) -> float | DimExpr | None:
    if given is None:
        return None
    if isinstance(given, str):
        try:
            expression = parse_dim(given)
        except SchemaError as error:
            raise SchemaError(f"{place}: {key}: {error}") from None
        for name in expression.names:
            _known(place, key, name, dim_names)
        return expression
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ConfigError(f"{place}: {key} = {given!r} is neither a number nor a dim")
    if not floats:
        return parse_dim(int(given))
    return given


def _dtype(place: str, key: str, given: Any) -> str:
    try:
        return dtype_names.dtype_name(given)
    except ConfigError as error:
        raise ConfigError(f"{place}: {key}: {error}") from None


def _known(place: str, key: str, name: Any, known: Iterable[str]) -> None:
    if name not in (names := tuple(known)):
        raise ConfigError(f"{place}: {key}: unknown name {name!r}; {did_you_mean(str(name), names)}")


def _several(place: str, key: str, given: Any) -> Sequence[Any]:
    if isinstance(given, str) or not isinstance(given, (list, tuple)) or not given:
        raise ConfigError(f"{place}: {key} = {given!r} is not a list with at least one entry")
    return given


def _choice(place: str, key: str, given: Any, known: Sequence[str]) -> str:
    if given not in known:
        raise ConfigError(f"{place}: {key} = {given!r}; {did_you_mean(str(given), known)}")
    return str(given)


def _choices(
    place: str, key: str, given: Any, known: Sequence[str], aliases: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    names = [
        (aliases or {}).get(name, name) if isinstance(name, str) else name
        for name in _several(place, key, given)
    ]
    return tuple(dict.fromkeys(_choice(place, key, name, known) for name in names))


def _flag(place: str, key: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise ConfigError(f"{place}: {key} = {given!r} is not True or False")
    return given


def _positive(place: str, key: str, given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ConfigError(f"{place}: {key} = {given!r} is not a whole number >= 1")
    return given
