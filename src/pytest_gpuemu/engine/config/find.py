"""Which gpuemu.toml holds for a folder, and whether it may be trusted.

Here: the search upward, `GPUEMU_CONFIG`, `[tool.gpuemu]` in pyproject.toml, and whose file it must be: a
config names code that is run. Elsewhere: what the file says (read.py).
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine.config.read import read_config
from pytest_gpuemu.engine.config.settings import Config
from pytest_gpuemu.engine.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE_NAME = "gpuemu.toml"
_PROJECT_FILE = "pyproject.toml"


def load_config(
    start: Path, environ: Mapping[str, str] = os.environ, *, trusted: Path | None = None
) -> Config:
    """Read the config that holds for a folder: `GPUEMU_CONFIG`, else the nearest one from it upward.

    A file that is found, rather than named, must belong to this user or to root, and others must not be able
    to write to it. One in the folder `trusted` is taken as it is: whoever can write there has code of theirs
    run anyway (pytest's conftest.py). Without any file, the defaults with root = start.
    Raises ConfigError with file, key, value and way out.
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
        data = _parse(path, checks_owner=False)
        if path.name == _PROJECT_FILE:
            data = data.get("tool", {}).get("gpuemu", {})
        return read_config(data, path.resolve())
    trusted = None if trusted is None else trusted.resolve()
    for folder in (start, *start.parents):
        found = _config_in(folder, checks_owner=folder != trusted)
        if found is not None:
            return read_config(found[1], found[0])
    return Config(path=None, root=start)


def config_at(path: Path | None, root: Path) -> Config:
    """The config of exactly this file, or the defaults for root where path is None."""
    if path is None:
        return Config(path=None, root=root)
    return load_config(root, {"GPUEMU_CONFIG": str(path)})


def _config_in(folder: Path, *, checks_owner: bool) -> tuple[Path, dict[str, Any]] | None:
    own, project = folder / FILE_NAME, folder / _PROJECT_FILE
    table: Any = None
    if project.is_file() and _mentions_us(project):
        # Most files that have the word are of projects that use us: only a table makes one ours to check.
        table = _parse(project, checks_owner=False).get("tool", {}).get("gpuemu")
    if own.is_file():
        if table is not None:
            raise ConfigError(
                f"{own} and [tool.gpuemu] in {project} both configure gpuemu: keep one and remove the other"
            )
        return own, _parse(own, checks_owner=checks_owner)
    if table is None:
        return None
    return project, _parse(project, checks_owner=checks_owner)["tool"]["gpuemu"]


def _mentions_us(project: Path) -> bool:
    try:
        return "gpuemu" in project.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False  # a pyproject.toml that this user may not read configures nothing of theirs


def _parse(path: Path, *, checks_owner: bool) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            if checks_owner:
                _check_owner(path, os.fstat(file.fileno()))  # of the very file that is read
            return dict(tomllib.load(file))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def _check_owner(path: Path, found: os.stat_result) -> None:
    way = f"if you trust it, name it: GPUEMU_CONFIG={path}"
    if found.st_uid not in (os.geteuid(), 0):
        raise ConfigError(
            f"{path}: belongs to user {found.st_uid}, you are user {os.geteuid()}: refused, since a config "
            f"names code to run; {way}"
        )
    if found.st_mode & stat.S_IWOTH:
        raise ConfigError(
            f"{path}: every user of this machine can write to it: refused, since a config names code to run; "
            f"chmod o-w {path}, or {way}"
        )
