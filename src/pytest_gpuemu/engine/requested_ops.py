"""The op that a request means: a name, and what the request's fuzz_config narrows.

Here: reading a fuzz_config of the wire, and the op it leads to for a seed or for a caller's arrays.
Elsewhere: the op of a name (resolve.py), drawing its cases (plan.py).
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.define import CASE_KEYS, define_op, narrow_op
from pytest_gpuemu.engine.errors import ConfigError, ProtocolError, did_you_mean
from pytest_gpuemu.engine.op import Array, Op, Param, Reference, Tolerance
from pytest_gpuemu.engine.protocol.requests.fields import MAX_SEED
from pytest_gpuemu.engine.resolve import DEFAULT_DIMS, resolve_op
from pytest_gpuemu.engine.rng import derive_seed
from pytest_gpuemu.engine.schema import parse_dim

_SHAPE_LISTS = {"batch_sizes": "batch", "seq_lengths": "seq", "hidden_dims": "hidden"}
_CONFIG_KEYS = ("seed", "shape_options", "op_schema", *CASE_KEYS)
# The `gpuemu` client of PyPI decodes these as another type: it gets none of them.
NOT_FOR_PROTOCOL_1 = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
_TOLERANCE = ("atol", "rtol")
_OVERRIDE_KEYS = (*CASE_KEYS, "op_schema", "edge_cases")
_EDGE_SHARE = 10


@dataclass(frozen=True, slots=True)
class FuzzRequest:
    """A fuzz_config as read. overrides is what narrows the op, kept with each case that is handed out."""

    seed: int | None
    overrides: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_fuzz_config(given: Mapping[str, Any], op: Op, *, proxied_floats: bool) -> FuzzRequest:
    """Check a fuzz_config for an op. proxied_floats: leave out the dtypes that protocol 1's client cannot
    hold. Raises ProtocolError."""
    for key in given:
        if key not in _CONFIG_KEYS:
            raise ProtocolError(f"fuzz_config: unknown key {key!r}; {did_you_mean(key, _CONFIG_KEYS)}")
    seed = given.get("seed")
    if seed is not None and (
        isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED
    ):
        raise ProtocolError(f"fuzz_config.seed = {seed!r}: expected a whole number from 0 to 2**64 - 1")
    overrides = {key: given[key] for key in CASE_KEYS if given.get(key) is not None}
    notes = []
    if given.get("op_schema") is not None:
        overrides["op_schema"] = given["op_schema"]
    options = given.get("shape_options")
    if options is not None:
        if not isinstance(options, Mapping):
            raise ProtocolError(f"fuzz_config.shape_options = {options!r}: expected an object of lists")
        if has_default_dims(op) and "op_schema" not in overrides:
            overrides.update(_read_shape_options(options))
        else:
            notes.append("shape_options ignored: the op has a schema, whose dims decide its shapes")
    if proxied_floats:
        asked = [*overrides.get("dtypes", op.dtypes)]
        kept = [name for name in asked if name not in NOT_FOR_PROTOCOL_1]
        if not kept:
            raise ProtocolError(
                f"dtypes = {asked!r}: the client of protocol 1 decodes these as another type; use the client "
                "of pytest-gpuemu, or other dtypes"
            )
        fixed = [x.name for x in op.inputs if x.dtype in NOT_FOR_PROTOCOL_1]
        if fixed:
            raise ProtocolError(
                f"op {op.name!r}: input {fixed[0]!r} is of a dtype that the client of protocol 1 decodes as "
                "another type; use the client of pytest-gpuemu"
            )
        if kept != asked:
            notes.append(
                "dtypes left out, since protocol 1's client cannot hold them: "
                + ", ".join(name for name in asked if name not in kept)
            )
        overrides["dtypes"] = kept
    return FuzzRequest(seed, overrides, tuple(notes))


def _read_shape_options(options: Mapping[str, Any]) -> dict[str, Any]:
    known = (*_SHAPE_LISTS, "edge_cases")
    found: dict[str, Any] = {"dims": {}}
    for key, sizes in options.items():
        if key not in known:
            raise ProtocolError(f"shape_options: unknown key {key!r}; {did_you_mean(key, known)}")
        entries = sizes if isinstance(sizes, list) else None
        if key == "edge_cases":
            _check_edges("shape_options.edge_cases", sizes)
            found["edge_cases"] = entries
        elif not entries or not all(map(_is_size, entries)):
            raise ProtocolError(f"shape_options.{key} = {sizes!r}: expected a list of sizes")
        else:
            found["dims"][_SHAPE_LISTS[key]] = entries
    return found


def requested_op(name: str, overrides: Mapping[str, Any], config: Config, seed: int | None = None) -> Op:
    """The op of a name under overrides, for the case of a seed: where the op has no schema, a tenth of the
    seeds have one of the edge shapes. Raises UnknownOpError, ConfigError or SchemaError."""
    for key in overrides:
        if key not in _OVERRIDE_KEYS:
            raise ProtocolError(f"fuzz_config: unknown key {key!r}; {did_you_mean(key, _OVERRIDE_KEYS)}")
    narrowed = {key: value for key, value in overrides.items() if key in CASE_KEYS}
    op = resolve_op(name, {}, config)
    if overrides.get("op_schema") is not None:
        own = define_op(
            op.name, reference=list(op.references), schema=overrides["op_schema"], origin=op.origin
        )
        op = dataclasses.replace(
            op,
            inputs=own.inputs,
            outputs=own.outputs,
            dims=own.dims,
            where=(),
            shape_rule=None,
            inplace={},
            also_takes=(),
        )
    edges = overrides.get("edge_cases")
    if edges is not None:
        _check_edges("edge_cases", edges)
    if edges and seed is not None and has_default_dims(op):
        draw = derive_seed(seed, "edge shape")
        if draw % _EDGE_SHARE == 0:
            shape = edges[(draw // _EDGE_SHARE) % len(edges)]
            op = _with_shapes(op, {x.name: tuple(shape) for x in op.inputs})
            narrowed.pop("dims", None)
    op = narrow_op(op, **narrowed) if narrowed else op
    return dataclasses.replace(op, overrides=dict(overrides))  # op_schema and edge_cases, too, are shown


def op_for_arrays(op: Op, inputs: Mapping[str, Array]) -> Op:
    """The op as it takes a caller's arrays: one without a schema takes any shapes, and as a param what came
    as one."""
    if not has_default_dims(op):
        return op
    params = {param.name for param in op.params}
    op = dataclasses.replace(op, inputs=tuple(x for x in op.inputs if x.name not in params))
    shapes = {x.name: inputs[x.name].shape for x in op.inputs if x.name in inputs}
    if len(op.inputs) == 1 and len(inputs) == 1:
        shapes = {op.inputs[0].name: next(iter(inputs.values())).shape}
    return _with_shapes(op, shapes)


def has_default_dims(op: Op) -> bool:
    """Whether gpuemu.toml names the op without a schema, so that its inputs' shapes mean nothing."""
    return op.dim_names == DEFAULT_DIMS and op.origin == "[[ops]]"


def read_kwargs(op: Op, kwargs: Mapping[str, Any]) -> tuple[Op, dict[str, Any]]:
    """The op with the further params and the tolerance that a request's kwargs give, and its params among
    them. Raises ConfigError for what is no param's value, or no tolerance."""
    params = _read_params(op, kwargs)
    return _with_tolerance(with_params(op, params), kwargs), params


def _read_params(op: Op, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The params among a request's kwargs. Protocol 1 sends texts: `"-1"` and `"True"` become what they say,
    unless the param's default is a text."""
    defaults = {param.name: param.choices[0] for param in op.params}
    found = {}
    for name, value in kwargs.items():
        if name in ("dtype", "seed", *_TOLERANCE) and name not in defaults:
            continue  # arguments of validate_op in the API reference and of the adapters, not of the op
        if isinstance(value, str) and not isinstance(defaults.get(name), str):
            try:
                value = ast.literal_eval(value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                if name in defaults:
                    raise ConfigError(
                        f"op {op.name!r}: param {name} = {value!r} is no value such as {defaults[name]!r}"
                    ) from None
        found[name] = value
    return found


def _with_tolerance(op: Op, kwargs: Mapping[str, Any]) -> Op:
    """The op with the atol and rtol among a request's kwargs, unless these are params of its own. Raises
    ConfigError for what is no number >= 0."""
    declared = {param.name for param in op.params}
    given = {}
    for name in _TOLERANCE:
        if name not in kwargs or name in declared:
            continue
        try:
            given[name] = float(kwargs[name])
        except (TypeError, ValueError):
            given[name] = -1.0
        if not 0 <= given[name] < inf:
            raise ConfigError(f"op {op.name!r}: {name} = {kwargs[name]!r}: expected a finite number >= 0")
    if not given:
        return op
    return dataclasses.replace(op, tolerance=Tolerance(**given, source="call"), tolerances={})


def with_params(op: Op, params: Mapping[str, Any]) -> Op:
    """The op with the params that its record does not have, but every reference of its takes."""
    declared = {param.name for param in op.params}
    added = [
        Param(name=name, choices=(value,))
        for name, value in params.items()
        if name not in declared and all(_takes(reference, name) for reference in op.references)
    ]
    return dataclasses.replace(op, params=(*op.params, *added)) if added else op


def _takes(reference: Reference, name: str) -> bool:
    try:
        parameters = inspect.signature(reference).parameters
    except (TypeError, ValueError):
        return False
    return any(
        p.kind is p.VAR_KEYWORD or (p.name == name and p.kind is not p.POSITIONAL_ONLY)
        for p in parameters.values()
    )


def _with_shapes(op: Op, shapes: Mapping[str, tuple[int, ...]]) -> Op:
    inputs = tuple(
        dataclasses.replace(x, dims=tuple(parse_dim(size) for size in shapes.get(x.name, ())))
        for x in op.inputs
    )
    return dataclasses.replace(op, inputs=inputs, dims={})


def _check_edges(place: str, value: Any) -> None:
    is_list = isinstance(value, list)
    if not is_list or not all(isinstance(shape, list) and all(map(_is_size, shape)) for shape in value):
        raise ProtocolError(f"{place} = {value!r}: expected a list of shapes")


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31
