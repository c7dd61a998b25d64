"""gpuemu.toml: which file applies, what it says, and what is wrong with it.

Here: the names that other parts use. find.py finds the file, read.py reads it by the tables of sections.py
and op_keys.py, settings.py has the records, json_schema.py tells an editor the same. Elsewhere: turning an
`[[ops]]` entry into an op's record (resolve.py). Nothing here imports NumPy until a file names a dtype or an
op: the plugin reads its settings early.
"""

from __future__ import annotations

from pytest_gpuemu.engine.config.find import FILE_NAME, config_at, load_config
from pytest_gpuemu.engine.config.read import read_config
from pytest_gpuemu.engine.config.sections import SECTIONS
from pytest_gpuemu.engine.config.settings import (
    ArtifactChecks,
    CiSettings,
    Config,
    FuzzSettings,
    KernelEntry,
    OpEntry,
    Policies,
    Validation,
)

__all__ = [
    "FILE_NAME",
    "SECTIONS",
    "ArtifactChecks",
    "CiSettings",
    "Config",
    "FuzzSettings",
    "KernelEntry",
    "OpEntry",
    "Policies",
    "Validation",
    "config_at",
    "load_config",
    "read_config",
]
