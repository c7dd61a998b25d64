"""The tensors of an op: its schema, and what is said of each input and output.

Here: the schema's two forms, `inputs=`, `outputs=`, `inplace=`. Elsewhere: the schema's grammar
(schema.py), the other keys (read_keys.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_gpuemu.engine.dtypes import INTEGERS
from pytest_gpuemu.engine.errors import ConfigError, SchemaError
from pytest_gpuemu.engine.op import INPUT_KINDS, LAYOUTS, VALUES, Input, Op, Output
from pytest_gpuemu.engine.read_keys import (
    LAYOUT_ALIASES,
    check_known,
    read_choice,
    read_choices,
    read_dtype,
    read_flag,
)
from pytest_gpuemu.engine.schema import DimExpr, Schema, TensorSchema, parse_dim, parse_schema

# Elements of an output that share memory cannot all be written.
_OUTPUT_LAYOUTS = tuple(layout for layout in LAYOUTS if layout != "broadcast")
_INPUT_KEYS = ("kind", "dtype", "low", "high", "of", "ignore", "nonzero", "layouts", "values")
_OUTPUT_KEYS = ("dtype", "layouts")


def read_schema(schema: str | Mapping[str, Any]) -> tuple[Schema, dict[str, list[int]]]:
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


def read_inputs(place: str, schema: Schema, given: Any, dim_names: Iterable[str]) -> tuple[Input, ...]:
    _check_tables(place, "inputs", given, [tensor.name for tensor in schema.inputs], _INPUT_KEYS)
    found = []
    for tensor in schema.inputs:
        keys = dict(given.get(tensor.name, {}))
        where = f"inputs[{tensor.name!r}]"
        kind = read_choice(place, f"{where}.kind", keys.get("kind", "values"), INPUT_KINDS)
        of = _read_bound(place, f"{where}.of", keys.get("of"), dim_names)
        if kind in ("index", "offsets", "lengths") and of is None:
            raise ConfigError(
                f"{place}: {where} has kind {kind!r} and needs 'of', the dim that it is bounded by"
            )
        ignore = keys.get("ignore")
        if ignore is not None and (isinstance(ignore, bool) or not isinstance(ignore, int)):
            raise ConfigError(f"{place}: {where}.ignore = {ignore!r} is not a whole number")
        low, high = (
            _read_bound(place, f"{where}.{key}", keys.get(key), dim_names, floats=True)
            for key in ("low", "high")
        )
        found.append(
            Input(
                name=tensor.name,
                dims=tensor.dims or (),
                kind=kind,
                dtype=_input_dtype(place, where, kind, keys.get("dtype")),
                low=low,
                high=high,
                of=of if isinstance(of, DimExpr) or of is None else parse_dim(int(of)),
                ignore=ignore,
                nonzero=read_flag(place, f"{where}.nonzero", keys.get("nonzero", False)),
                layouts=None
                if keys.get("layouts") is None
                else read_choices(place, f"{where}.layouts", keys["layouts"], LAYOUTS, LAYOUT_ALIASES),
                values=None
                if keys.get("values") is None
                else read_choices(place, f"{where}.values", keys["values"], VALUES),
            )
        )
    return tuple(found)


def read_outputs(place: str, schema: Schema, given: Any) -> tuple[Output, ...]:
    _check_tables(place, "outputs", given, [tensor.name for tensor in schema.outputs], _OUTPUT_KEYS)
    return tuple(
        Output(
            name=tensor.name,
            dims=tensor.dims,
            dtype=None
            if given.get(tensor.name, {}).get("dtype") is None
            else read_dtype(place, f"outputs[{tensor.name!r}].dtype", given[tensor.name]["dtype"]),
            layouts=read_choices(
                place,
                f"outputs[{tensor.name!r}].layouts",
                given.get(tensor.name, {}).get("layouts", ["contiguous"]),
                _OUTPUT_LAYOUTS,
                LAYOUT_ALIASES,
            ),
        )
        for tensor in schema.outputs
    )


def narrow_inputs(place: str, op: Op, given: Any) -> tuple[Input, ...]:
    """The op's inputs with the given keys of some of them changed."""
    _check_tables(place, "inputs", given, [x.name for x in op.inputs], _INPUT_KEYS)
    merged = {x.name: {**_keys_of(x, _INPUT_KEYS), **given.get(x.name, {})} for x in op.inputs}
    return read_inputs(place, _schema_of(op), merged, op.dim_names)


def narrow_outputs(place: str, op: Op, given: Any) -> tuple[Output, ...]:
    """The op's outputs with the given keys of some of them changed."""
    _check_tables(place, "outputs", given, [x.name for x in op.outputs], _OUTPUT_KEYS)
    merged = {x.name: {**_keys_of(x, _OUTPUT_KEYS), **given.get(x.name, {})} for x in op.outputs}
    return read_outputs(place, _schema_of(op), merged)


def narrow_inplace(place: str, op: Op, given: Any) -> dict[str, str]:
    """By output name, the input that is overwritten with it; the op's own remain."""
    return {**op.inplace, **read_inplace(place, _schema_of(op), given)}


def _schema_of(op: Op) -> Schema:
    return Schema(
        tuple(TensorSchema(x.name, x.dims) for x in op.inputs),
        tuple(TensorSchema(x.name, x.dims) for x in op.outputs),
    )


def _keys_of(tensor: Input | Output, keys: Iterable[str]) -> dict[str, Any]:
    """What was said of a tensor, as the marker would say it."""
    said = {key: getattr(tensor, key) for key in keys}
    return {
        key: str(value) if isinstance(value, DimExpr) else value
        for key, value in said.items()
        if value is not None
    }


def _check_tables(place: str, key: str, given: Any, names: Sequence[str], keys: Sequence[str]) -> None:
    """That given is a table of names, each with a table of keys."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"{place}: {key} = {given!r} is not a table of {key[:-1]} name to its keys")
    for name, table in given.items():
        check_known(place, key, name, names)
        if not isinstance(table, Mapping):
            raise ConfigError(
                f"{place}: {key}[{name!r}] = {table!r} is not a table; write one such as {{'dtype': 'int8'}}"
            )
        for entry in table:
            check_known(place, f"{key}[{name!r}]", entry, keys)


def _input_dtype(place: str, where: str, kind: str, given: Any) -> str | None:
    if given is None:
        return None
    dtype = read_dtype(place, f"{where}.dtype", given)
    allowed = (*INTEGERS, "bool") if kind == "mask" else INTEGERS
    if kind != "values" and dtype not in allowed:
        raise ConfigError(f"{place}: {where}.dtype = {given!r}, but kind {kind!r} is one of integers")
    return dtype


def read_inplace(place: str, schema: Schema, given: Mapping[str, str] | Sequence[str]) -> dict[str, str]:
    """By output name, the input that is overwritten with it."""
    if isinstance(given, str):
        given = [given]
    if not isinstance(given, Mapping):
        outputs = [tensor.name for tensor in schema.outputs]
        if len(given) > len(outputs):
            raise ConfigError(f"{place}: inplace = {given!r} has more entries than the op has outputs")
        given = dict(zip(outputs, given, strict=False))
    for output, name in given.items():
        check_known(place, "inplace", output, [tensor.name for tensor in schema.outputs])
        check_known(place, "inplace", name, [tensor.name for tensor in schema.inputs])
    return dict(given)


def _read_bound(
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
            check_known(place, key, name, dim_names)
        return expression
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ConfigError(f"{place}: {key} = {given!r} is neither a number nor a dim")
    if not floats:
        return parse_dim(int(given))
    return given
