"""gpuemu.toml: which file applies, what it says, and what is wrong with it.

Here: finding the file (or `[tool.gpuemu]` in pyproject.toml) and reading it into data classes, strictly.
Elsewhere: turning an `[[ops]]` entry into an op's record (resolve.py), what its keys mean (define.py).
This module imports no NumPy until a file names a dtype or an op: the plugin reads its settings early.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean, shortened

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "gpuemu.toml"
EXECUTION_MODES = ("client_side", "daemon_orchestrated", "script_based")
FRAMEWORKS = ("numpy", "torch", "pytorch", "cupy", "jax", "tensorflow", "triton", "numba")
SECTIONS = ("project", "validation", "ops", "kernels", "policies", "ci", "fuzz")
_TOLERANCE_KEYS = ("atol", "rtol", "ulp", "fraction")
_MAX_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzSettings:
    """`[fuzz]`: cases per campaign, master seed, time budget in seconds, known failing seeds collected a
    test, and the bytes that one case may take; None where nothing is said."""

    cases: int = 25
    seed: int | None = None
    time_s: float | None = None
    known_seeds: int = 50
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpEntry:
    """One `[[ops]]` table. keys holds the marker's keys as the file gives them; tolerances is by dtype name,
    or has the one key "" for a table that holds for every dtype."""

    name: str
    place: str
    reference: str | None = None
    module: str | None = None
    op_script: str | None = None
    input_names: tuple[str, ...] = ()
    execution_mode: str = "client_side"
    frameworks: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEntry:
    """One `[[kernels]]` table: a source whose PTX is checked. artifact_checks are its thresholds."""

    name: str
    source: str
    reference: str | None = None
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    invariants: tuple[str, ...] = ()
    artifact_checks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    fail_on_regression: bool = True
    warn_threshold: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CiSettings:
    quick_dtypes: tuple[str, ...] = ("float32",)
    thorough_timeout: int = 3600
    parallel_jobs: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that the file says; path is None where there is no file, and root its folder.

    tolerances are those of `[validation.tolerances]`, by dtype name. Script paths and modules of the file
    are relative to root. reference_timeout_s and reference_memory_mb bound what the file's references may
    take in the daemon.
    """

    path: Path | None
    root: Path
    project: str | None = None
    fuzz: FuzzSettings = FuzzSettings()
    tolerances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    reference_timeout_s: float = 25.0
    reference_memory_mb: int = 8192
    ops: tuple[OpEntry, ...] = ()
    kernels: tuple[KernelEntry, ...] = ()
    policies: Policies = Policies()
    ci: CiSettings = CiSettings()

    def op_entry(self, name: str) -> OpEntry | None:
        """The `[[ops]]` entry of that name, or None."""
        return next((entry for entry in self.ops if entry.name == name), None)


def load_config(start: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the config that holds for a folder: `GPUEMU_CONFIG`, else the nearest one from it upward.

    Without any, the defaults with root = start. Raises ConfigError with file, key, value and way out.
    """
    start = start.resolve()
    named = environ.get("GPUEMU_CONFIG")
    if named:
        path = Path(named).expanduser()
        path = path if path.is_absolute() else start / path
        if not path.is_file():
            raise ConfigError(
                f"GPUEMU_CONFIG = {named!r} is no file; set it to a {FILE_NAME}, or unset it to search "
                f"from {start} upward"
            )
        data = _parse(path)
        if path.name == "pyproject.toml":
            data = data.get("tool", {}).get("gpuemu", {})
        return read_config(data, path.resolve())
    for folder in (start, *start.parents):
        found = _config_in(folder)
        if found is not None:
            return read_config(found[1], found[0])
    return Config(path=None, root=start)


def config_at(path: Path | None, root: Path) -> Config:
    """The config of exactly this file, or the defaults for root where path is None."""
    if path is None:
        return Config(path=None, root=root)
    return load_config(root, {"GPUEMU_CONFIG": str(path)})


def _config_in(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    own, project = folder / FILE_NAME, folder / "pyproject.toml"
    table: Any = None
    if project.is_file() and "gpuemu" in project.read_text(encoding="utf-8", errors="replace"):
        table = _parse(project).get("tool", {}).get("gpuemu")
    if own.is_file():
        if table is not None:
            raise ConfigError(
                f"{own} and [tool.gpuemu] in {project} both configure gpuemu: keep one and remove the other"
            )
        return own, _parse(own)
    return None if table is None else (project, table)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def read_config(data: Mapping[str, Any], path: Path) -> Config:
    """Check a parsed file. path names it in errors; its folder is the root."""
    file = _Table(f"{path}", data, SECTIONS, prefix="section ")
    project = file.table("project", ("name", "version"))
    validation = file.table("validation", ("tolerances", "reference_timeout_s", "reference_memory_mb"))
    fuzz = file.table("fuzz", ("cases", "seed", "time", "known_seeds", "max_bytes"))
    policies = file.table("policies", ("fail_on_regression", "warn_threshold"))
    ci = file.table("ci", ("quick_dtypes", "thorough_timeout", "parallel_jobs"))
    project.value("version", None, "a text", _is_text)
    ops = tuple(_read_op(place, entry) for place, entry in file.tables("ops"))
    for entry in ops:
        if sum(other.name == entry.name for other in ops) > 1:
            raise ConfigError(f"{entry.place}: the name {entry.name!r} stands in two [[ops]]; rename one")
    return Config(
        path=path,
        root=path.parent,
        project=project.value("name", None, "a text", _is_text),
        fuzz=FuzzSettings(
            cases=fuzz.value("cases", 25, "a whole number >= 0 (0 = no campaigns)", _is_count),
            seed=fuzz.value("seed", None, "a whole number from 0 to 2**64 - 1", _is_seed),
            time_s=fuzz.value("time", None, "a number of seconds > 0", _is_positive),
            known_seeds=fuzz.value("known_seeds", 50, "a whole number >= 0", _is_count),
            max_bytes=fuzz.value("max_bytes", None, "a whole number of bytes >= 1", _is_whole),
        ),
        tolerances=_read_tolerances(validation, flat=False),
        reference_timeout_s=float(
            validation.value("reference_timeout_s", 25.0, "a number of seconds > 0", _is_positive)
        ),
        reference_memory_mb=validation.value("reference_memory_mb", 8192, "a whole number >= 1", _is_whole),
        ops=ops,
        kernels=tuple(_read_kernel(place, entry) for place, entry in file.tables("kernels")),
        policies=Policies(
            fail_on_regression=policies.value("fail_on_regression", True, "true or false", _is_bool),
            warn_threshold=float(policies.value("warn_threshold", 0.1, "a number >= 0", _is_number)),
        ),
        ci=CiSettings(
            quick_dtypes=_dtypes(ci, "quick_dtypes", ("float32",)),
            thorough_timeout=ci.value("thorough_timeout", 3600, "a whole number of seconds >= 1", _is_whole),
            parallel_jobs=ci.value("parallel_jobs", 4, "a whole number >= 1", _is_whole),
        ),
    )


def _read_op(place: str, entry: Any) -> OpEntry:
    from pytest_gpuemu.engine.define import MARKER_KEYS

    own = ("name", "module", "reference", "op_script", "input_names", "execution_mode", "frameworks")
    table = _Table(place, entry, (*own, "tolerances", *MARKER_KEYS))
    name = table.required("name", "the op's name", _is_text)
    table.place = f"{place} {name!r}"
    mode = table.value(
        "execution_mode", "client_side", _one_of(EXECUTION_MODES), EXECUTION_MODES.__contains__
    )
    reference = table.value(
        "reference", None, 'a script\'s path "refs/softmax.py" or "package.module:function"', _is_text
    )
    if reference is not None and not (reference.endswith(".py") or _is_dotted(reference)):
        raise ConfigError(
            f"{table.place}: reference = {reference!r} is neither a script's path "
            '"refs/softmax.py" nor "package.module:function"'
        )
    script = table.value("op_script", None, "a script's path", _is_text)
    if mode != "client_side" and script is None:
        raise ConfigError(
            f"{table.place}: execution_mode = {mode!r} needs op_script, the script that runs the op under "
            'test; write op_script = "run_op.py", or execution_mode = "client_side"'
        )
    keys = {key: table.data[key] for key in MARKER_KEYS if key in table.data and key != "reference"}
    return OpEntry(
        name=name,
        place=table.place,
        reference=reference,
        module=table.value("module", None, "a module's dotted name", _is_text),
        op_script=script,
        input_names=tuple(table.value("input_names", (), "a list of names", _is_texts)),
        execution_mode=mode,
        frameworks=tuple(table.value("frameworks", (), _list_of(FRAMEWORKS), _all_in(FRAMEWORKS))),
        keys=keys,
        tolerances=_read_tolerances(table, flat=True),
    )


def _read_kernel(place: str, entry: Any) -> KernelEntry:
    known = ("name", "source", "reference", "tolerances", "invariants", "artifact_checks")
    table = _Table(place, entry, known)
    name = table.required("name", "the kernel's name", _is_text)
    table.place = f"{place} {name!r}"
    checks = table.table("artifact_checks", ("max_registers", "max_spills", "max_local_bytes"))
    for key in checks.data:
        checks.value(key, None, "a whole number >= 0", _is_count)
    return KernelEntry(
        name=name,
        source=table.required("source", "the path of its source", _is_text),
        reference=table.value("reference", None, "a path or 'package.module:function'", _is_text),
        tolerances=_read_tolerances(table, flat=True),
        invariants=tuple(table.value("invariants", (), "a list of texts", _is_texts)),
        artifact_checks=dict(checks.data),
    )


def _read_tolerances(table: _Table, *, flat: bool) -> dict[str, Mapping[str, float]]:
    """`{float16 = 1e-3}` (an atol), `{float16 = {atol, rtol, ulp, fraction}}`; flat: also `{atol, rtol}`."""
    given = table.value("tolerances", {}, "a table of dtype to tolerance", _is_table)
    if not given:
        return {}
    from pytest_gpuemu.engine.dtypes import DTYPES

    place = f"{table.place}: tolerances"
    if flat and set(given) & set(_TOLERANCE_KEYS):
        return {"": _one_tolerance(place, given)}
    found: dict[str, Mapping[str, float]] = {}
    for dtype, value in given.items():
        if dtype not in DTYPES:
            raise ConfigError(f"{place}: {dtype!r} is not a dtype; {did_you_mean(dtype, DTYPES)}")
        found[dtype] = _one_tolerance(f"{place}.{dtype}", value if _is_table(value) else {"atol": value})
    return found


def _one_tolerance(place: str, given: Mapping[str, Any]) -> dict[str, float]:
    table = _Table(place, given, _TOLERANCE_KEYS)
    for key in given:
        table.value(key, None, "a number >= 0", _is_number)
    return {key: float(value) for key, value in given.items()}


def _dtypes(table: _Table, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    if key not in table.data:
        return default
    from pytest_gpuemu.engine.dtypes import DTYPES

    return tuple(table.value(key, default, _list_of(DTYPES), _all_in(DTYPES)))


class _Table:
    """One table of the file: knows its place, and refuses a key that it does not know."""

    def __init__(self, place: str, data: Any, known: Iterable[str], *, prefix: str = "key ") -> None:
        self.place, self.prefix = place, prefix
        if not isinstance(data, Mapping):
            raise ConfigError(f"{place} = {data!r}: expected a table")
        self.data: Mapping[str, Any] = data
        for key in data:
            if key not in (names := tuple(known)):
                raise ConfigError(
                    f"{place}: unknown {prefix}{key!r} (= {shortened(data[key])}); {did_you_mean(key, names)}"
                )

    def value(self, key: str, default: Any, expected: str, is_right: Callable[[Any], bool]) -> Any:
        if key not in self.data:
            return default
        value = self.data[key]
        if not is_right(value):
            raise ConfigError(f"{self.place}: {key} = {shortened(value)}: expected {expected}")
        return value

    def required(self, key: str, expected: str, is_right: Callable[[Any], bool]) -> Any:
        if key not in self.data:
            raise ConfigError(f"{self.place}: {key} is missing: expected {expected}")
        return self.value(key, None, expected, is_right)

    def table(self, key: str, known: Sequence[str]) -> _Table:
        place = f"{self.place}: [{key}]" if self.prefix == "section " else f"{self.place}: {key}"
        return _Table(place, self.data.get(key, {}), known)

    def tables(self, key: str) -> list[tuple[str, Any]]:
        given = self.data.get(key, [])
        if not isinstance(given, list):
            raise ConfigError(f"{self.place}: [{key}] is one table: write [[{key}]], with two brackets")
        return [(f"{self.place}: [[{key}]]", entry) for entry in given]


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_whole(value: Any) -> bool:
    return _is_count(value) and value >= 1


def _is_seed(value: Any) -> bool:
    return _is_count(value) and value <= _MAX_SEED


def _is_dotted(value: str) -> bool:
    module, colon, function = value.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), *function.split(".")))


def _one_of(names: Sequence[str]) -> str:
    return "one of " + ", ".join(f'"{name}"' for name in names)


def _list_of(names: Sequence[str]) -> str:
    return "a list of names among " + ", ".join(f'"{name}"' for name in names)


def _all_in(names: Sequence[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(entry in names for entry in value)
