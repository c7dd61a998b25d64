"""The kernels of gpuemu.toml as items: `gpuemu.toml::kernel[saxpy-sm_80]`.

Here: collecting them, and what their outcome is. Elsewhere: compiling and measuring (engine/artifacts/),
kernels that a test asks for (kernel_artifact.py), what is kept and compared (baselines.py).
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.engine.artifacts.data import ArtifactComparison, LintReport
from pytest_gpuemu.engine.artifacts.describe import describe_lint
from pytest_gpuemu.engine.artifacts.registered import RegisteredKernel, lint_kernel, of_entry
from pytest_gpuemu.engine.errors import ConfigError, GpuemuError
from pytest_gpuemu.pytest_items.baselines import baselines_of
from pytest_gpuemu.pytest_items.session import FuzzSession, fuzz_session

_JUDGED = (
    "max_registers",
    "max_spills",
    "max_local_bytes",
    "max_shared_bytes",
    "max_instructions",
    "min_occupancy",
    "required_patterns",
    "forbidden_patterns",
)


class LintFailure(AssertionError):
    """A kernel exceeds a limit, or got worse than its baseline; the text is the whole report."""


def add_argument(config: pytest.Config) -> None:
    """Let pytest come by the file that names the kernels, also where it is told of other folders.

    Raises UsageError where there is nothing to lint: it would look as if everything were right.
    """
    project = _project(fuzz_session(config))
    if project.path is None or not project.kernels:
        where = "no gpuemu.toml was found" if project.path is None else f"{project.path} has no [[kernels]]"
        raise pytest.UsageError(
            f'--gpuemu-lint: {where}; write [[kernels]] with name = "saxpy" and source = "saxpy.cu"'
        )
    folder = config.invocation_params.dir
    arguments = [(folder / str(argument).partition("::")[0]).resolve() for argument in config.args]
    if not any(argument == project.path or argument in project.path.parents for argument in arguments):
        config.args.append(str(project.path))


def collect_file(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The collector of the kernels, if this is the file that names them."""
    session = fuzz_session(parent.config)
    if session.error is None and session.project.path != path.resolve():
        return None
    return KernelFile.from_parent(parent, path=path)


class KernelFile(pytest.File):
    """gpuemu.toml, or the pyproject.toml that stands for it."""

    def collect(self) -> Iterator[pytest.Item]:
        project = _project(fuzz_session(self.config))
        for entry in project.kernels:
            kernel = of_entry(entry, project.root)
            for arch in kernel.archs:
                yield KernelItem.from_parent(
                    self, name=f"kernel[{kernel.name}-{arch}]", kernel=kernel, arch=arch
                )


class KernelItem(pytest.Item):
    """One kernel for one architecture."""

    def __init__(self, *, kernel: RegisteredKernel, arch: str, **keys: Any) -> None:
        super().__init__(**keys)
        self.kernel = kernel
        self.arch = arch

    def runtest(self) -> None:
        linted = lint_kernel(self.kernel, self.arch)
        comparison = baselines_of(self.config).take_artifact(self, self.kernel.name, linted)
        judge(self, self.kernel.name, [(linted.report, comparison)])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report alone: where in this package it was raised tells a kernel's author nothing."""
        if isinstance(excinfo.value, (LintFailure, GpuemuError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, _line_of(self.kernel.name, self.path), f"kernel {self.kernel.name} for {self.arch}"


def judge(item: pytest.Item, name: str, found: list[tuple[LintReport, ArtifactComparison | None]]) -> None:
    """Fail where a limit is exceeded or a regression found; skip where no limit could be judged at all."""
    __tracebackhide__ = True
    baselines = baselines_of(item.config)
    texts = [
        "\n".join(
            describe_lint(
                name,
                report,
                comparison,
                root=item.config.rootpath,
                read_line=linecache.getline,
                baseline=baselines.origin,
            )
        )
        for report, comparison in found
        if report.violations or (comparison is not None and comparison.fails)
    ]
    if texts:
        raise LintFailure("\n\n".join(texts))
    reasons = {why for report, _ in found for why in report.unchecked.values()}
    if reasons and not any(_checked(report) for report, _ in found):
        pytest.skip(f"no limit of kernel {name} could be checked: {'; '.join(sorted(reasons))}")
    for report, _ in found:
        for limit, why in report.unchecked.items():
            item.warn(pytest.PytestWarning(f"kernel {name} for {report.arch}: {limit} is not checked: {why}"))


def _line_of(name: str, path: Path) -> int:
    """The line, from 0, at which a TOML file gives a kernel that name; 0 where it cannot be told."""
    named = re.compile(rf"^\s*name\s*=\s*[\"']{re.escape(name)}[\"']\s*(#.*)?$", re.MULTILINE)
    text = path.read_text(encoding="utf-8", errors="replace")
    found = named.search(text, max(text.find("[[kernels]]"), 0))
    return 0 if found is None else text.count("\n", 0, found.start())


def _checked(report: LintReport) -> bool:
    """Whether any limit was judged."""
    limits = report.limits
    given = [name for name in _JUDGED if getattr(limits, name) not in (None, ())]
    return any(name not in report.unchecked for name in given)


def _project(session: FuzzSession) -> Any:
    """The project's config. Raises UsageError where it cannot be read."""
    if isinstance(session.error, ConfigError):
        raise pytest.UsageError(str(session.error))
    return session.project
