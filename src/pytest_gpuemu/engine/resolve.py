"""Which op a name means: a marker's own, an `[[ops]]` entry's, or a built-in.

Here: that order, the tolerances of gpuemu.toml, and loading the references that it names.
Elsewhere: reading the keys (define.py), the file (config.py), running a script (scripts.py).
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.config import Config, OpEntry
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.errors import ConfigError, UnknownOpError, did_you_mean
from pytest_gpuemu.engine.op import Op, Tolerance
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.scripts import Script
from pytest_gpuemu.engine.user_code import call

# Keys that say what an op is; they come with its reference. All others narrow an op that exists.
_DEFINING_KEYS = ("schema", "canonical", "shape_rule")
# The dims of an op whose gpuemu.toml entry gives no schema: every input has the one shape.
DEFAULT_DIMS = ("batch", "seq", "hidden")


def resolve_op(name: str, keys: Mapping[str, Any], config: Config | None) -> Op:
    """The op of that name, with the marker's (or call's) keys applied.

    A marker with `reference` defines the op, unless it leaves the schema to an `[[ops]]` entry or a
    built-in of the name; else the `[[ops]]` entry counts, else the built-in. Raises UnknownOpError,
    ConfigError or SchemaError.
    """
    given = {key: value for key, value in keys.items() if value is not None}
    entry = config.op_entry(name) if config is not None else None
    if "reference" in given and "schema" in given:
        op = define_op(name, **given)
    else:
        op = _known_op(name, entry, config)
        reference = given.pop("reference", None)
        for key in _DEFINING_KEYS:
            if key in given:
                raise ConfigError(
                    f"gpuemu_op {name!r}: {key} = {given[key]!r} changes what the op is and needs reference= "
                    f"beside it; the {op.origin} {name!r} has its own"
                )
        if reference is not None:
            functions = tuple(reference) if isinstance(reference, (list, tuple)) else (reference,)
            if not functions or not all(map(callable, functions)):
                raise ConfigError(f"gpuemu_op {name!r}: reference = {reference!r} is not callable")
            op = dataclasses.replace(op, references=functions, origin="marker")
        op = narrow_op(op, **given)
    return _with_settings(op, entry, config, given)


def _known_op(name: str, entry: OpEntry | None, config: Config | None) -> Op:
    if entry is not None and config is not None:
        return _op_of_entry(entry, config)
    if name in BUILTIN_OPS:
        return BUILTIN_OPS[name]
    named = [found.name for found in config.ops] if config is not None else []
    where = f" nor in {config.path}" if config is not None and config.path is not None else ""
    raise UnknownOpError(
        f"gpuemu_op {name!r}: no such op among the built-ins{where}; "
        f"{did_you_mean(name, [*BUILTIN_OPS, *named])}"
        "\n  an op of your own needs reference= and schema=, in the marker or under [[ops]] in gpuemu.toml"
    )


def _op_of_entry(entry: OpEntry, config: Config) -> Op:
    """The op of an `[[ops]]` entry: defined by its reference, else the built-in of its name, narrowed."""
    keys = dict(entry.keys)
    if entry.reference is None:
        if entry.name not in BUILTIN_OPS:
            raise ConfigError(
                f"{entry.place}: reference is missing, and no built-in op has this name; write reference = "
                f'"refs/{entry.name}.py" or "package.module:function"; built-ins: '
                f"{did_you_mean(entry.name, BUILTIN_OPS)}"
            )
        for key in _DEFINING_KEYS:
            if key in keys:
                raise ConfigError(
                    f"{entry.place}: {key} changes what the op is, and needs a reference beside it; "
                    f"the built-in {entry.name!r} has its own"
                )
        return dataclasses.replace(
            narrow_op(BUILTIN_OPS[entry.name], place=entry.place, **keys), overrides={}, origin="[[ops]]"
        )
    schema = keys.pop("schema", None)
    if schema is None:
        schema = schema_of_one_shape(entry.input_names or _input_names(entry, config))
    origin = entry.place.removesuffix(f" {entry.name!r}")
    op = define_op(entry.name, reference=_missing_reference, schema=schema, origin=origin, **keys)
    if entry.input_names and tuple(x.name for x in op.inputs) != entry.input_names:
        raise ConfigError(
            f"{entry.place}: input_names = {list(entry.input_names)!r}, but its schema has the inputs "
            f"{[x.name for x in op.inputs]!r}; leave input_names out where there is a schema"
        )
    return dataclasses.replace(op, references=(load_reference(entry, config, op),), origin="[[ops]]")


def schema_of_one_shape(input_names: Sequence[str]) -> str:
    """The schema of an op that has none: each input [batch, seq, hidden], outputs as the reference says."""
    dims = ",".join(DEFAULT_DIMS)
    return ", ".join(f"{name}[{dims}]" for name in input_names) + " -> [...]"


def _input_names(entry: OpEntry, config: Config) -> tuple[str, ...]:
    """The inputs where the entry does not name them: two parameters or more that a function asks for, else
    the one called input."""
    if str(entry.reference).endswith(".py"):
        return ("input",)
    try:
        parameters = inspect.signature(_load_function_of(entry, config)).parameters.values()
    except (TypeError, ValueError):
        return ("input",)
    asked = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return tuple(asked) if len(asked) > 1 else ("input",)


def _load_function_of(entry: OpEntry, config: Config) -> Callable[..., Any]:
    text = str(entry.reference)
    return load_function(text, config.root, f"{entry.place}: reference = {text!r}")


def load_reference(entry: OpEntry, config: Config, op: Op) -> Callable[..., Any]:
    """The callable that an entry's `reference` names. Raises ConfigError where it cannot be had."""
    text = str(entry.reference)
    if text.endswith(".py"):
        path = config.root / text
        if not path.is_file():
            raise ConfigError(f"{entry.place}: reference = {text!r}: there is no file {path}")
        return Script(
            path,
            role="reference script",
            input_names=tuple(x.name for x in op.inputs),
            param_defaults={param.name: param.choices[0] for param in op.params},
            timeout_s=config.reference_timeout_s,
            limit="reference_timeout_s under [validation]",
            memory_mb=config.reference_memory_mb,
        )
    return _load_function_of(entry, config)


def load_function(text: str, root: Path, place: str) -> Callable[..., Any]:
    """Import "package.module:function", looked up in root too. Raises ConfigError, beginning with place."""
    module_name, _, path = text.partition(":")
    if str(root) not in sys.path:
        sys.path.append(str(root))
    imported = call(importlib.import_module, module_name)
    if imported.error is not None:
        raise ConfigError(
            f"{place}: cannot import {module_name!r} (searched {root} and sys.path): {imported.summary}"
        ) from imported.error
    found: Any = imported.value
    for part in path.split("."):
        if not hasattr(found, part):
            names = [name for name in vars(found) if not name.startswith("_")]
            raise ConfigError(f"{place}: {module_name} has no {path!r}; {did_you_mean(part, names)}")
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(f"{place} is {found!r}, which is not callable")
    return found  # type: ignore[no-any-return]


def _with_settings(op: Op, entry: OpEntry | None, config: Config | None, given: Mapping[str, Any]) -> Op:
    """Tolerances (marker, then [ops.tolerances], then [validation.tolerances]) and the byte limit."""
    if config is None:
        return op
    if config.fuzz.max_bytes is not None and "max_bytes" not in given:
        op = narrow_op(op, max_bytes=config.fuzz.max_bytes)
    own = dict(entry.tolerances) if entry is not None else {}
    if op.tolerance is None and "" in own:
        op = dataclasses.replace(op, tolerance=Tolerance(**own.pop(""), source="[ops.tolerances]"))
    by_dtype = {
        dtype: Tolerance(**numbers, source=source)
        for table, source in (
            (config.tolerances, "[validation.tolerances]"),
            (own, "[ops.tolerances]"),
        )
        for dtype, numbers in table.items()
        if dtype
    }
    return dataclasses.replace(op, tolerances=by_dtype)


def _missing_reference(*_: Any, **__: Any) -> Any:
    raise AssertionError("the reference of an [[ops]] entry is loaded right after its schema is read")
