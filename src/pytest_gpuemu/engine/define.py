"""From what a user wrote to an op's record: one way in for markers, gpuemu.toml and the built-ins.

Here: defining an op, narrowing one, and the list of keys. Elsewhere: reading the value of each key
(read_keys.py, read_tensors.py), finding the op of a name (resolve.py), the grammar of schemas (schema.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pytest_gpuemu.engine.configs import is_autotuner, read_configs
from pytest_gpuemu.engine.errors import ConfigError, SchemaError, did_you_mean
from pytest_gpuemu.engine.op import (
    COMPUTE_TYPES,
    LAYOUTS,
    LIBRARIES,
    ROUNDINGS,
    SCALES,
    VALUES,
    Dims,
    Op,
    Param,
)
from pytest_gpuemu.engine.read_keys import (
    LAYOUT_ALIASES,
    check_known,
    narrow_params,
    read_checks,
    read_choice,
    read_choices,
    read_dims,
    read_dtype,
    read_invariant,
    read_params,
    read_positive,
    read_several,
    read_tolerance,
)
from pytest_gpuemu.engine.read_tensors import (
    narrow_inplace,
    narrow_inputs,
    narrow_outputs,
    read_inplace,
    read_inputs,
    read_outputs,
    read_schema,
)
from pytest_gpuemu.engine.schema import Comparison, parse_comparison

# What a caller may narrow; stored with a failure as its fuzz_config.
CASE_KEYS = (
    "dims",
    "where",
    "inputs",
    "outputs",
    "dtypes",
    "layouts",
    "values",
    "params",
    "library",
    "max_bytes",
)


def define_op(
    name: str,
    *,
    reference: Callable[..., Any] | Sequence[Callable[..., Any]],
    schema: str | Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    outputs: Mapping[str, Mapping[str, Any]] | None = None,
    where: str | Sequence[str] = (),
    inplace: Mapping[str, str] | Sequence[str] = (),
    canonical: Callable[..., Any] | None = None,
    shape_rule: Callable[..., Any] | None = None,
    param_dims: Mapping[str, Mapping[Any, Mapping[str, Any]]] | None = None,
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
        parsed, schema_dims = read_schema(schema)
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from None
    dim_names = {dim for tensor in parsed.inputs for expr in tensor.dims or () for dim in expr.names}
    op = Op(
        name=name,
        references=references,
        inputs=read_inputs(place, parsed, inputs or {}, dim_names),
        outputs=read_outputs(place, parsed, outputs or {}),
        where=_read_where(place, where, dim_names),
        inplace=read_inplace(place, parsed, inplace),
        canonical=canonical,
        shape_rule=shape_rule,
        param_dims={
            param: {choice: read_dims(place, dims, dim_names) for choice, dims in by_value.items()}
            for param, by_value in (param_dims or {}).items()
        },
        aliases=tuple(aliases),
        origin=origin,
        dims=read_dims(place, schema_dims, dim_names),
        params=read_params(place, keys.pop("params", None) or {}),
    )
    return dataclasses.replace(narrow_op(op, place=place, **keys), overrides={})


def narrow_op(op: Op, *, place: str | None = None, **keys: Any) -> Op:
    """The same op with the given keys changed: those of CASE_KEYS, which decide what cases are drawn and are
    kept in `overrides`, and tolerance, compute, rounding, scale, invariants, checks, configs, inplace, cases.

    A key that is None changes nothing. Raises ConfigError, naming the op, the key and the value.
    """
    place = place or f"gpuemu_op {op.name!r}"
    given = {key: value for key, value in keys.items() if value is not None}
    readers: dict[str, Callable[[Any], Any]] = {
        "dims": lambda value: {**op.dims, **read_dims(place, value, op.dim_names)},
        "where": lambda value: (*op.where, *_read_where(place, value, op.dim_names)),
        "inputs": lambda value: narrow_inputs(place, op, value),
        "outputs": lambda value: narrow_outputs(place, op, value),
        "inplace": lambda value: narrow_inplace(place, op, value),
        "dtypes": lambda value: tuple(
            read_dtype(place, "dtypes", x) for x in read_several(place, "dtypes", value)
        ),
        "layouts": lambda value: read_choices(place, "layouts", value, LAYOUTS, LAYOUT_ALIASES),
        "values": lambda value: read_choices(place, "values", value, VALUES),
        "params": lambda value: narrow_params(place, op, value),
        "library": lambda value: read_choice(place, "library", value, LIBRARIES),
        "max_bytes": lambda value: read_positive(place, "max_bytes", value),
        "tolerance": lambda value: read_tolerance(place, value),
        "compute": lambda value: read_choice(place, "compute", value, COMPUTE_TYPES),
        "rounding": lambda value: read_choice(place, "rounding", value, ROUNDINGS),
        "scale": lambda value: read_choice(place, "scale", value, SCALES),
        "invariants": lambda value: tuple(
            read_invariant(place, x) for x in read_several(place, "invariants", value)
        ),
        "checks": lambda value: read_checks(place, value),
        "configs": lambda value: read_configs(place, value),
        "cases": lambda value: read_positive(place, "cases", value),
    }
    for key in given:
        if key not in readers:
            raise ConfigError(f"{place}: unknown key {key!r}; {did_you_mean(key, MARKER_KEYS)}")
    changed = {key: readers[key](value) for key, value in given.items()}
    if "params" in changed and op.param_dims:
        brought = _dims_of_params(place, op, changed["params"])
        changed["dims"] = {**op.dims, **brought, **read_dims(place, given.get("dims", {}), op.dim_names)}
    if "configs" in given:
        changed["autotuner"] = given["configs"] if is_autotuner(given["configs"]) else None
    overrides = {key: value for key, value in given.items() if key in CASE_KEYS}
    return dataclasses.replace(op, **changed, overrides={**op.overrides, **overrides})


def _dims_of_params(place: str, op: Op, params: Iterable[Param]) -> Dims:
    """What op.param_dims says of these params, each of which needs one value for it."""
    found: Dims = {}
    for param in params:
        by_value = op.param_dims.get(param.name, {})
        met = [choice for choice in param.choices if choice in by_value]
        if met and len(param.choices) > 1:
            raise ConfigError(
                f"{place}: params: {param.name} = {list(param.choices)!r}: each value needs sizes of its "
                f"own, so a test takes one: params={{{param.name!r}: {met[0]!r}}}, and another test another"
            )
        for choice in met:
            found = {**found, **by_value[choice]}
    return found


def _read_where(place: str, given: str | Sequence[str], dim_names: Iterable[str]) -> tuple[Comparison, ...]:
    try:
        read = tuple(parse_comparison(text) for text in ([given] if isinstance(given, str) else given))
    except SchemaError as error:
        raise SchemaError(f"{place}: {error}") from None
    for comparison in read:
        for dim in (*comparison.left.names, *comparison.right.names):
            check_known(place, "where", dim, dim_names)
    return read


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
