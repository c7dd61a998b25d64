"""kernel_artifact: what a test marked gpuemu_kernel gets, the compiled kernel and its figures.

Here: the object, the fixture's set-up, and what a test that is put together wrongly is told. Elsewhere: the
kernels of gpuemu.toml as items (kernel_items.py), compiling and measuring (engine/artifacts/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import pytest

from pytest_gpuemu.engine.artifacts.data import ArtifactComparison, KernelMetrics, LintReport
from pytest_gpuemu.engine.artifacts.registered import Linted, RegisteredKernel, lint_kernel, of_keys
from pytest_gpuemu.engine.errors import ConfigError, GpuemuError
from pytest_gpuemu.pytest_items.baselines import baselines_of
from pytest_gpuemu.pytest_items.kernel_items import judge
from pytest_gpuemu.pytest_items.kernel_options import MARKER
from pytest_gpuemu.pytest_items.session import fuzz_session


class KernelArtifact:
    """A kernel, compiled for each of its architectures.

    ptx, metrics and reports are by architecture: `kernel_artifact.metrics["sm_80"].register_count`. check()
    raises where a limit is exceeded, or where the kernel got worse than its baseline.
    """

    def __init__(self, item: pytest.Item, kernel: RegisteredKernel, linted: Mapping[str, Linted]) -> None:
        self._item = item
        self._kernel = kernel
        self._linted = linted
        self._compared: dict[str, ArtifactComparison | None] | None = None
        self.is_used = False

    def __repr__(self) -> str:
        return f"<kernel_artifact {self.name} for {', '.join(self.archs)}>"

    @property
    def name(self) -> str:
        """The kernel's name, as the marker gives it."""
        return self._kernel.name

    @property
    def archs(self) -> tuple[str, ...]:
        """The architectures that it was compiled for."""
        return tuple(self._linted)

    @property
    def ptx(self) -> Mapping[str, str]:
        """The PTX text, by architecture."""
        self.is_used = True
        return MappingProxyType({arch: linted.artifact.ptx for arch, linted in self._linted.items()})

    @property
    def metrics(self) -> Mapping[str, KernelMetrics]:
        """The figures, by architecture; None for those that no tool here knows."""
        self.is_used = True
        return MappingProxyType({arch: linted.report.metrics for arch, linted in self._linted.items()})

    @property
    def reports(self) -> Mapping[str, LintReport]:
        """The whole reports, with violations, notes and what is not checked, by architecture."""
        self.is_used = True
        return MappingProxyType({arch: linted.report for arch, linted in self._linted.items()})

    def check(self) -> None:
        """Raise LintFailure where the kernel exceeds a limit, or got worse than its baseline."""
        __tracebackhide__ = True
        self.is_used = True
        compared = self.compare()
        judge(
            self._item, self.name, [(linted.report, compared[arch]) for arch, linted in self._linted.items()]
        )

    def compare(self) -> dict[str, ArtifactComparison | None]:
        """Keep or compare the figures, as --gpuemu-baseline says, once a test."""
        if self._compared is None:
            baselines = baselines_of(self._item.config)
            self._compared = {
                arch: baselines.take_artifact(self._item, self.name, linted)
                for arch, linted in self._linted.items()
            }
        return self._compared


def kernel_artifact(request: pytest.FixtureRequest) -> Iterator[KernelArtifact]:
    """Compile the kernel that the test's marker names; afterwards, refuse a test that did not look at it."""
    item = request.node
    wrong: GpuemuError | None = None
    try:
        kernel = _registered(item)
        artifact = KernelArtifact(item, kernel, {arch: lint_kernel(kernel, arch) for arch in kernel.archs})
    except GpuemuError as error:
        wrong = error
    if wrong is not None:  # outside the handler, so that the report shows one error
        _refuse(str(wrong))
    yield artifact
    if not artifact.is_used and _passed(item):
        _refuse(
            f"{item.nodeid} looked at nothing of the kernel: call kernel_artifact.check(), or assert "
            "something of kernel_artifact.metrics"
        )


class KernelHooks:
    """The hooks of a session that has tests marked gpuemu_kernel."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A marked test that gets no artifact would check nothing: say so."""
        marked = item.get_closest_marker(MARKER) is not None
        if marked and "kernel_artifact" not in getattr(item, "fixturenames", ()):
            _refuse(
                f"{item.nodeid} has the marker {MARKER}, but not the fixture kernel_artifact; give it that "
                "argument, and call kernel_artifact.check()"
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> None:
        """Keep whether the test function returned: the fixture's teardown asks."""
        if call.when == "call":
            item.stash[_PASSED] = call.excinfo is None


_PASSED = pytest.StashKey[bool]()


def _passed(item: pytest.Item) -> bool:
    """Whether the test function returned; a test that failed or was skipped has told enough."""
    return item.stash.get(_PASSED, False)


def _registered(item: pytest.Item) -> RegisteredKernel:
    marker = item.get_closest_marker(MARKER)
    if marker is None:
        raise ConfigError(
            f"{item.nodeid} takes the fixture kernel_artifact, but has no marker that names its kernel: "
            f'write @pytest.mark.{MARKER}("saxpy", source="saxpy.cu") above it'
        )
    keys = dict(marker.kwargs)
    names = [*marker.args, *([keys.pop("name")] if "name" in keys else [])]
    if len(names) != 1 or not isinstance(names[0], str):
        given = ", ".join([repr(arg) for arg in marker.args] + [f"{key}=..." for key in marker.kwargs])
        raise ConfigError(
            f"{MARKER}({given}) does not name its kernel: write "
            f'@pytest.mark.{MARKER}("saxpy", ...), the name first'
        )
    session = fuzz_session(item.config)
    if session.error is not None:
        raise session.error
    project = session.project
    return of_keys(
        names[0],
        keys,
        place=f'{MARKER}("{names[0]}")',
        entry=project.kernel_entry(names[0]),
        root=project.root,
        folder=Path(item.path).parent,
    )


def _refuse(message: str) -> NoReturn:
    pytest.fail(message, pytrace=False)
