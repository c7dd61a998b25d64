"""The lint of a kernel: its figures against limits.

Here: which kernels and architectures are judged, and each limit's rule.
Elsewhere: the figures (measured.py), the lines responsible (responsible.py), what changed (changes.py).
A limit on a figure that no tool here knows is not judged: the report says so, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_gpuemu.engine.artifacts.data import (
    DEFAULT_ARCHS,
    Limits,
    LintReport,
    SourceLine,
    Violation,
)
from pytest_gpuemu.engine.artifacts.measured import Build, build, measured
from pytest_gpuemu.engine.artifacts.metrics import ptx_metrics
from pytest_gpuemu.engine.artifacts.occupancy import MULTIPROCESSORS, compute_capability
from pytest_gpuemu.engine.artifacts.patterns import LINES_SHOWN, PATTERNS, matcher
from pytest_gpuemu.engine.artifacts.ptx.digest import kernel_digest
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.tree import Function, Module
from pytest_gpuemu.engine.artifacts.ptx.walk import SourceLines
from pytest_gpuemu.engine.artifacts.responsible import ResponsibleLines, first_few
from pytest_gpuemu.engine.artifacts.tools import Tools, find_tools
from pytest_gpuemu.engine.errors import ArtifactError, did_you_mean

DEFAULT_LIMITS = Limits()


def lint(
    ptx: str,
    kernel: str | None = None,
    *,
    archs: Sequence[str] | None = None,
    limits: Limits = DEFAULT_LIMITS,
    tools: Tools | None = None,
    origin: str = "ptx",
    source: str = "<string>",
) -> list[LintReport]:
    """Judge one kernel of a PTX text, or each of its kernels, on each architecture.

    kernel is a name as the PTX spells it. archs: those given; else DEFAULT_ARCHS as far as the PTX's target
    allows, or that target. tools: those of this machine, if none are given. Raises PtxParseError for what is
    no PTX; ArtifactError for a kernel or architecture that is not there and for PTX that ptxas refuses, with
    its log; ConfigError for a pattern that nobody knows.
    """
    module = parse(ptx)
    kernels = _kernels(module, kernel)
    for name in (*limits.required_patterns, *limits.forbidden_patterns):
        matcher(name)
    found = find_tools() if tools is None else tools
    target = _target(module)
    builds = [build(ptx, arch, _variant(target, arch), found) for arch in _archs(target, archs)]
    lines = SourceLines(module, ptx)
    return [
        _Lint(module, entry, built, limits, lines).report(origin, source)
        for entry in kernels
        for built in builds
    ]


def _kernels(module: Module, name: str | None) -> tuple[Function, ...]:
    kernels = module.kernels
    if not kernels:
        raise ArtifactError("the PTX holds no kernel: none of its functions is an .entry with a body")
    if name is None:
        return kernels
    found = tuple(kernel for kernel in kernels if kernel.name == name)
    if not found:
        raise ArtifactError(f"no kernel {name!r} in the PTX: {did_you_mean(name, [k.name for k in kernels])}")
    return found


def _target(module: Module) -> str:
    target = next((word for word in module.targets if word.startswith("sm_")), None)
    if target is None:
        raise ArtifactError(f"the PTX has no architecture among its targets {', '.join(module.targets)}")
    return target


def _archs(target: str, given: Sequence[str] | None) -> tuple[str, ...]:
    if given:
        for arch in given:
            if not _runs_on(target, arch):
                raise ArtifactError(
                    f"the PTX is for {target} and cannot run on {arch!r}: compile it for {arch}, or lint it "
                    f"for {target}{'' if target[-1] in 'af' else ' or later'}"
                )
        return tuple(given)
    return tuple(arch for arch in DEFAULT_ARCHS if _runs_on(target, arch)) or (target,)


def _runs_on(target: str, arch: str) -> bool:
    """Whether PTX of a target runs on an architecture: its own or a later one. PTX for sm_90a runs on GPUs of
    sm_90 alone; with f, for a family, on those of its major version from there on."""
    have, want = compute_capability(target), compute_capability(arch)
    if target.endswith("a"):
        return have == want and arch[-1] != "f"
    if target.endswith("f"):
        return have[0] == want[0] and have <= want
    return have <= want


def _variant(target: str, arch: str) -> str:
    """The architecture as ptxas wants it for PTX of this target: sm_90a, not sm_90."""
    return arch + target[-1] if target[-1] in "af" and arch[-1] not in "af" else arch


class _Lint:
    """One kernel on one architecture."""

    def __init__(
        self, module: Module, kernel: Function, built: Build, limits: Limits, lines: SourceLines
    ) -> None:
        self._module = module
        self._kernel = kernel
        self._built = built
        self._limits = limits
        code = () if built.disassembly is None else built.disassembly.functions.get(kernel.name, ())
        self._lines = ResponsibleLines(module, kernel, code, lines)
        self._metrics = measured(ptx_metrics(module, kernel, lines), kernel, built, limits)

    def report(self, origin: str, source: str) -> LintReport:
        return LintReport(
            kernel_name=self._kernel.name,
            arch=self._built.arch,
            origin=origin,
            source=source,
            metrics=self._metrics,
            limits=self._limits,
            violations=tuple(self._violations()),
            unchecked=self._unchecked(),
            notes=tuple(self._notes()),
            ptx_digest=kernel_digest(self._module, self._kernel),
        )

    def _violations(self) -> Iterator[Violation]:
        limits, metrics = self._limits, self._metrics
        yield from self._at_most(
            "max_registers",
            limits.max_registers,
            "register_count",
            self._lines.busiest,
            "; the PTX holds the most values at once here",
        )
        yield from self._at_most("max_spills", limits.max_spills, "spill_count", self._lines.local_code)
        yield from self._at_most(
            "max_local_bytes", limits.max_local_bytes, "local_memory_bytes", self._lines.local
        )
        yield from self._at_most(
            "max_shared_bytes", limits.max_shared_bytes, "shared_memory_bytes", self._lines.shared
        )
        yield from self._at_most("max_instructions", limits.max_instructions, "instruction_count")
        found = metrics.occupancy
        if limits.min_occupancy is not None and found is not None and found.share < limits.min_occupancy:
            yield Violation(
                limit="min_occupancy",
                allowed=limits.min_occupancy,
                found=found.share,
                unit="share of the warps of a multiprocessor",
                message=(
                    f"min_occupancy: {found.share:.0%} ({found.warps} of {found.max_warps} warps, "
                    f"{found.blocks} blocks of {found.block_threads} threads) on {self._built.arch}, "
                    f"at least {limits.min_occupancy:.0%} wanted; limited by {' and '.join(found.limited_by)}"
                ),
            )
        for name in limits.required_patterns:
            if not any(True for _ in self._lines.matching(name)):
                yield Violation(
                    limit="required_patterns",
                    allowed=name,
                    found="none",
                    unit="instructions of the PTX",
                    message=f"required: {name} is nowhere in the PTX{_meaning(name)}",
                )
        for name in limits.forbidden_patterns:
            lines = list(self._lines.matching(name))
            if lines:
                yield Violation(
                    limit="forbidden_patterns",
                    allowed=name,
                    found=f"{len(lines)} times",
                    unit="instructions of the PTX",
                    message=f"forbidden: {name} is in the PTX {len(lines)} times{_meaning(name)}",
                    lines=tuple(lines[:LINES_SHOWN]),
                )

    def _at_most(
        self,
        limit: str,
        allowed: int | None,
        figure: str,
        lines: Callable[[], Iterator[SourceLine]] | None = None,
        of_lines: str = "",
    ) -> Iterator[Violation]:
        found: int | None = getattr(self._metrics, figure)
        if allowed is None or found is None or found <= allowed:
            return
        source, _, unit = self._metrics.sources[figure].partition(": ")
        yield Violation(
            limit=limit,
            allowed=allowed,
            found=found,
            unit=unit,
            message=(
                f"{limit}: {found} {unit} on {self._built.arch}, "
                f"at most {allowed} allowed ({source}){of_lines}"
            ),
            lines=tuple(first_few(lines())) if lines is not None else (),
        )

    def _unchecked(self) -> dict[str, str]:
        """Each limit that is set and that no tool here can judge, and why."""
        limits, metrics = self._limits, self._metrics
        reason = self._built.reason or f"ptxas says nothing of {self._kernel.name}"
        by_ptxas = {
            "max_registers": (limits.max_registers, metrics.register_count),
            "max_spills": (limits.max_spills, metrics.spill_count),
            "max_local_bytes": (limits.max_local_bytes, metrics.local_memory_bytes),
        }
        found = {
            name: reason for name, (limit, figure) in by_ptxas.items() if limit is not None and figure is None
        }
        if limits.min_occupancy is not None and metrics.occupancy is None:
            known = compute_capability(self._built.arch) in MULTIPROCESSORS
            found["min_occupancy"] = (
                reason
                if known
                else f"the limits of a multiprocessor of {self._built.arch} are not known here"
            )
        return found

    def _notes(self) -> Iterator[str]:
        metrics = self._metrics
        if metrics.register_count is None:
            yield (
                "only virtual figures are known, those of the PTX: "
                f"{self._built.reason or 'ptxas says nothing of this kernel'}"
            )
        if "debug" in self._module.targets:
            yield "the PTX is a debug build: its registers, spills and stack are those of unoptimized code"
        if metrics.uses_dynamic_shared and not self._limits.dynamic_shared_bytes:
            yield "the launch adds dynamic shared memory, which is in no figure here"
        found = metrics.occupancy if self._limits.min_occupancy is not None else None
        if found is not None and found.block_threads_source == "assumed":
            yield f"occupancy is that of blocks of {found.block_threads} threads: nobody says how many"


def _meaning(name: str) -> str:
    return f" ({PATTERNS[name].what})" if name in PATTERNS else ""
