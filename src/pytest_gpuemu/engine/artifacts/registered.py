"""Kernels that somebody registered to be linted: an entry of `[[kernels]]`, or a marker.

Here: from their keys to a source, architectures and limits, and the lint of one of them for one architecture.
Elsewhere: the keys of gpuemu.toml (engine/config/), the compilers (sources/), the lint itself (lint.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.artifacts.data import Artifact, Limits, LintReport
from pytest_gpuemu.engine.artifacts.lint import lint
from pytest_gpuemu.engine.artifacts.on_device import attributes_here, completed
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.sources import KernelSource, compile_kernel
from pytest_gpuemu.engine.config import ArtifactChecks, KernelEntry
from pytest_gpuemu.engine.config.sections import ARTIFACT_CHECKS, kernel_table
from pytest_gpuemu.engine.errors import ArtifactError, ConfigError, PtxParseError, did_you_mean, shortened

_SOURCE_KEYS = ("entry", "arch", "options", "signature", "constants", "threads")
MARKER_KEYS = ("source", *_SOURCE_KEYS, *(key.name for key in ARTIFACT_CHECKS.keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredKernel:
    """A kernel to be linted. place is where it is registered, for messages."""

    name: str
    place: str
    source: KernelSource
    archs: tuple[str, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class Linted:
    """The PTX that was linted, and what was found."""

    artifact: Artifact
    report: LintReport


def of_entry(entry: KernelEntry, root: Path) -> RegisteredKernel:
    """The kernel of a `[[kernels]]` entry; its paths are relative to root."""
    return RegisteredKernel(
        name=entry.name,
        place=entry.place,
        source=KernelSource(
            given=entry.source,
            root=root,
            kernel=entry.entry or (entry.name if "<" in entry.name else None),
            options=entry.options,
            signature=entry.signature,
            constants=entry.constants,
        ),
        archs=entry.arch,
        limits=limits_of(entry.artifact_checks, entry.threads),
    )


def of_keys(
    name: str, keys: Mapping[str, Any], *, place: str, entry: KernelEntry | None, root: Path, folder: Path
) -> RegisteredKernel:
    """The kernel that the keys of a marker describe, beyond what the entry of that name says already.

    A source's path is looked up in folder, where the test is, and then in root. Raises ConfigError.
    """
    for key in keys:
        if key not in MARKER_KEYS:
            raise ConfigError(
                f"{place}: unknown key {key!r} (= {shortened(keys[key])}); {did_you_mean(key, MARKER_KEYS)}"
            )
    if "source" not in keys and entry is None:
        raise ConfigError(
            f"{place}: no source is given, and no [[kernels]] entry has the name {name!r}: write "
            'source="kernels/softmax.cu", or the kernel object itself'
        )
    given = {key: _as_toml(value) for key, value in keys.items() if key not in ("source", "signature")}
    if isinstance(given.get("arch"), str):
        given["arch"] = [given["arch"]]
    own = {key: given[key] for key in given if key in _SOURCE_KEYS}
    read = kernel_table().read(place, {"name": name, "source": "(the marker's)", **own})
    checks = ARTIFACT_CHECKS.read(place, {key: given[key] for key in given if key not in _SOURCE_KEYS})
    base = KernelEntry(name=name, place=place, source="") if entry is None else entry
    merged = replace(base, **{key: read[key] for key in own})
    merged = replace(merged, artifact_checks=replace(merged.artifact_checks, **checks))
    kernel = of_entry(merged, root)
    source = kernel.source
    if "signature" in keys:  # of Numba, also a tuple of types
        source = replace(source, signature=keys["signature"])
    if "source" in keys:
        found = _looked_up(keys["source"], folder, root)
        source = replace(source, given=keys["source"], root=found)
    return replace(kernel, place=place, source=source)


def limits_of(checks: ArtifactChecks, threads: int | None = None) -> Limits:
    """The limits that the checks of a kernel come to."""
    return Limits(
        max_registers=checks.max_registers,
        max_spills=checks.max_spills,
        max_local_bytes=checks.max_local_bytes,
        max_shared_bytes=checks.max_shared_bytes,
        max_instructions=checks.max_instructions,
        min_occupancy=checks.min_occupancy,
        block_threads=threads,
        required_patterns=checks.require,
        forbidden_patterns=checks.forbid,
    )


def lint_kernel(kernel: RegisteredKernel, arch: str) -> Linted:
    """Compile a kernel for one architecture, and lint it. Raises ArtifactError and PtxParseError."""
    artifact = compile_kernel(kernel.source, arch)
    limits = replace(
        kernel.limits,
        block_threads=kernel.limits.block_threads or artifact.block_threads,
        dynamic_shared_bytes=artifact.dynamic_shared_bytes,
    )
    try:
        name = entry_of(artifact.ptx, artifact.kernel_name, kernel.name, artifact.source)
        report = lint(
            artifact.ptx,
            name,
            archs=(arch,),
            limits=limits,
            origin=artifact.origin,
            source=artifact.source,
        )[0]
    except PtxParseError as error:
        raise PtxParseError(f"{artifact.source}: {error}", error.line, error.column) from None
    here = attributes_here(kernel.source.given, kernel.source.kernel)
    return Linted(artifact, completed(report, here))


def entry_of(ptx: str, wanted: str | None, likely: str, source: str) -> str:
    """A kernel's name as the PTX spells it: wanted, or wanted as C++ mangles it. Where nothing is wanted, the
    only kernel there is, or the one named likely.

    Raises ArtifactError where the PTX holds no such kernel, or several.
    """
    names = [kernel.name for kernel in parse(ptx).kernels]
    if not names:
        raise ArtifactError(f"{source} holds no kernel: in CUDA C, a kernel is a __global__ function")
    if wanted is None and len(names) == 1:
        return names[0]
    name = likely if wanted is None else wanted
    if name in names:
        return name
    mangled = mangled_names(names, name)
    if len(mangled) == 1:
        return mangled[0]
    raise ArtifactError(
        f"{source} holds {len(mangled) or 'no'} kernel{'s' if mangled else ''} named {name!r}: write as "
        f"entry the name of one of its kernels: {_listed(mangled or names)}"
    )


def mangled_names(names: Sequence[str], name: str) -> list[str]:
    """Those that are a function's name as the Itanium C++ ABI mangles it, in any namespace: `_Z5saxpyfPf`."""
    pattern = re.compile(rf"_Z.*(?<!\d){len(name)}{re.escape(name)}")
    return [found for found in names if pattern.match(found)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def _looked_up(source: Any, folder: Path, root: Path) -> Path:
    """The folder that a path is relative to."""
    text = str(source)
    if isinstance(source, (str, Path)) and "\n" not in text:
        place = text.rpartition(":")[0] or text
        if (folder / place).is_file() or not (root / place).is_file():
            return folder
    return root


def _as_toml(value: Any) -> Any:
    """A Python value as TOML would give it: a list for a tuple."""
    return list(value) if isinstance(value, tuple) else value
