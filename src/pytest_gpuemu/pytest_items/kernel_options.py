"""Options and the marker of compiled kernels. Imports nothing heavy.

Here: their declaration. Elsewhere: the items (kernel_items.py), the fixture (kernel_artifact.py), baselines
(baselines.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

MARKER = "gpuemu_kernel"
MARKER_HELP = (
    "gpuemu_kernel(name, *, source, arch, max_registers, ...): compile a kernel without a GPU for the test, "
    "which takes the fixture kernel_artifact; name may be a [[kernels]] entry of gpuemu.toml."
)
STORE, COMPARE = "store", "compare"


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("gpuemu")
    group.addoption(
        "--gpuemu-lint",
        action="store_true",
        help="compile and check the kernels of gpuemu.toml ([[kernels]]), an item for each and architecture",
    )
    group.addoption(
        "--gpuemu-baseline",
        choices=(STORE, COMPARE),
        help="store: keep this session's errors and kernels as the baseline; compare: fail what got worse "
        "than it, by gpuemu.toml's [policies]",
    )


def lints(config: pytest.Config) -> bool:
    """Whether the kernels of gpuemu.toml are collected wherever tests are."""
    return bool(config.getoption("gpuemu_lint"))


def baseline_mode(config: pytest.Config) -> str | None:
    """STORE, COMPARE or None."""
    mode = config.getoption("gpuemu_baseline")
    return None if mode is None else str(mode)


def compares(config: pytest.Config) -> bool:
    """Whether the session is compared with a baseline."""
    return baseline_mode(config) == COMPARE


def may_name_kernels(parent: pytest.Collector, path: Path) -> bool:
    """Whether a file that pytest came by may hold kernels to collect: under --gpuemu-lint, or where it was
    named on the command line itself. Asked of every file, so it costs next to nothing.
    """
    if path.suffix != ".toml":
        return False
    return lints(parent.config) or parent.session.isinitpath(path)
