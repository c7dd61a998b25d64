"""From the parsed file to a Config: each table read by its keys, then put into its record.

Here: the tables of the file, in turn. Elsewhere: their keys (sections.py, op_keys.py), finding and parsing
the file (find.py).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.config.sections import (
    FUZZ,
    POLICIES,
    PROJECT,
    SECTIONS,
    ci_table,
    kernel_table,
    validation_table,
)
from pytest_gpuemu.engine.config.settings import (
    ArtifactChecks,
    CiSettings,
    Config,
    FuzzSettings,
    KernelEntry,
    OpEntry,
    Policies,
    Project,
    Validation,
)
from pytest_gpuemu.engine.config.table import Table
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean, shortened


def read_config(data: Mapping[str, Any], path: Path) -> Config:
    """Check a parsed file. path names it in errors; its folder is the root. Raises ConfigError."""
    for name in data:
        if name not in SECTIONS:
            raise ConfigError(
                f"{path}: unknown section {name!r} (= {shortened(data[name])}); "
                f"{did_you_mean(name, SECTIONS)}"
            )
    project = Project(**_section(path, data, "project", PROJECT))
    validation = Validation()
    if "validation" in data:
        validation = _read_validation(path, data)
    ci = CiSettings()
    if "ci" in data:
        ci = CiSettings(**_section(path, data, "ci", ci_table()))
    kernels = _read_kernels(path, data)
    ops = _read_ops(path, data)
    return Config(
        path=path,
        root=path.parent,
        project=project.name,
        fuzz=FuzzSettings(**_section(path, data, "fuzz", FUZZ)),
        tolerances=validation.tolerances,
        reference_timeout_s=validation.reference_timeout_s,
        reference_memory_mb=validation.reference_memory_mb,
        op_timeout_s=validation.op_timeout_s,
        op_memory_mb=validation.op_memory_mb,
        ops=(*ops, *_ops_of_kernels(kernels, {entry.name for entry in ops})),
        kernels=kernels,
        policies=Policies(**_section(path, data, "policies", POLICIES)),
        ci=ci,
    )


def _section(path: Path, data: Mapping[str, Any], name: str, table: Table) -> dict[str, Any]:
    return table.read(f"{path}: [{name}]", data.get(name, {}))


def _read_validation(path: Path, data: Mapping[str, Any]) -> Validation:
    from pytest_gpuemu.engine.config.op_keys import read_tolerances

    found = _section(path, data, "validation", validation_table())
    if "tolerances" in found:
        found["tolerances"] = read_tolerances(f"{path}: [validation]: tolerances", found["tolerances"])
    return Validation(**found)


def _read_ops(path: Path, data: Mapping[str, Any]) -> tuple[OpEntry, ...]:
    entries = _entries(path, data, "ops")
    if not entries:
        return ()
    from pytest_gpuemu.engine.config.op_keys import OP, OP_KEYS

    ops = []
    for place, entry in entries:
        found = OP.read(place, entry)
        keys = _flattened({key: entry[key] for key in OP_KEYS if key in entry})
        own = {name: value for name, value in found.items() if name not in OP_KEYS}
        ops.append(OpEntry(place=place, keys=keys, **own))
    _refuse_twins(ops, "ops")
    return tuple(ops)


def _flattened(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys of an op with the params and domains of a schema in tables moved to where the marker has
    them: what is said outside the schema wins."""
    schema = keys.get("schema")
    if not isinstance(schema, Mapping):
        return keys
    if "params" in schema:
        keys["params"] = {**schema["params"], **keys.get("params", {})}
    if "domains" in schema:
        inputs = {name: {"low": low, "high": high} for name, (low, high) in schema["domains"].items()}
        for name, said in keys.get("inputs", {}).items():
            inputs[name] = {**inputs.get(name, {}), **said}
        keys["inputs"] = inputs
    own = ("params", "domains", "name")
    keys["schema"] = {key: value for key, value in schema.items() if key not in own}
    return keys


def _read_kernels(path: Path, data: Mapping[str, Any]) -> tuple[KernelEntry, ...]:
    entries = _entries(path, data, "kernels")
    if not entries:
        return ()
    table = kernel_table()
    kernels = []
    for place, entry in entries:
        found = table.read(place, entry)
        found["artifact_checks"] = ArtifactChecks(**found.get("artifact_checks", {}))
        kernels.append(KernelEntry(place=place, **found))
    _refuse_twins(kernels, "kernels")
    return tuple(kernels)


def _ops_of_kernels(kernels: Iterable[KernelEntry], named: Container[str]) -> list[OpEntry]:
    """The ops that `[[kernels]]` describe beside what is compiled: an `[[ops]]` of that name wins."""
    return [
        OpEntry(
            name=kernel.name,
            place=kernel.place,
            reference=kernel.reference,
            keys={"invariants": list(kernel.invariants)} if kernel.invariants else {},
            tolerances=kernel.tolerances,
        )
        for kernel in kernels
        if kernel.name not in named and (kernel.reference or kernel.tolerances or kernel.invariants)
    ]


def _entries(path: Path, data: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    """Each table of a list of tables, with its place: the file, the section, the entry's name."""
    given = data.get(section, [])
    if not isinstance(given, list):
        raise ConfigError(f"{path}: [{section}] is one table: write [[{section}]], with two brackets")
    found: list[tuple[str, Any]] = []
    for entry in given:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        named = f" {name!r}" if isinstance(name, str) and name else ""
        found.append((f"{path}: [[{section}]]{named}", entry))
    return found


def _refuse_twins(entries: Sequence[OpEntry] | Sequence[KernelEntry], section: str) -> None:
    for entry in entries:
        if _count(entry.name, entries) > 1:
            raise ConfigError(
                f"{entry.place}: the name {entry.name!r} stands in two [[{section}]]; rename one"
            )


def _count(name: str, entries: Iterable[OpEntry | KernelEntry]) -> int:
    return sum(entry.name == name for entry in entries)
