"""Linting PTX for the daemon: parsing it, and running ptxas and a disassembler on it.

Here: which limits and architectures hold for a kernel, and the wire's words for what goes wrong. Elsewhere:
the lint (engine/artifacts/), what is stored of it (engine/service/artifacts.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.artifacts.data import Limits, LintReport
from pytest_gpuemu.engine.artifacts.lint import lint
from pytest_gpuemu.engine.artifacts.measured import build
from pytest_gpuemu.engine.artifacts.plain_reports import report_body
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.registered import limits_of, mangled_names
from pytest_gpuemu.engine.artifacts.tools import find_tools
from pytest_gpuemu.engine.config import Config, KernelEntry
from pytest_gpuemu.engine.errors import ArtifactError, ProtocolError, PtxParseError, did_you_mean
from pytest_gpuemu.engine.protocol import CUOBJDUMP_NOT_AVAILABLE, KERNEL_NOT_FOUND, PTX_PARSE_ERROR
from pytest_gpuemu.engine.protocol.requests import read_request
from pytest_gpuemu.engine.protocol.requests.artifacts import LintKernel, StoreArtifact
from pytest_gpuemu.engine.worker_loop import Ask


def lint_ptx(message: Mapping[str, Any], config: Config, _: Ask) -> dict[str, Any]:
    """The results of a LintKernel or StoreArtifact: one for each kernel and architecture.

    A kernel that `[[kernels]]` names has that entry's limits and architectures, any other the defaults.
    Raises ProtocolError, with code PtxParseError or KernelNotFound where it is one of these.
    """
    request: LintKernel | StoreArtifact = read_request(message["request"])
    try:
        names = [kernel.name for kernel in parse(request.ptx_content).kernels]
        wanted = names
        if request.kernel_name is not None:
            entry = _registered(request.kernel_name, config)
            wanted = [_found(request.kernel_name, entry, names)]
        timestamp = time.time()
        reports = [
            report_body(report, timestamp)
            for name in wanted
            for report in _lint_one(request, name, _registered(request.kernel_name or name, config))
        ]
    except PtxParseError as error:
        raise ProtocolError(str(error), code=PTX_PARSE_ERROR) from None
    except ArtifactError as error:
        raise ProtocolError(str(error)) from None
    return {"results": reports}


def sass_of(message: Mapping[str, Any], _: Config, __: Ask) -> dict[str, Any]:
    """The opcodes of each function that ptxas makes of a PTX text, in order, by the function's name."""
    arch = message["arch"]
    try:
        tools = find_tools()
        if not tools.nvdisasm and not tools.cuobjdump:
            raise ProtocolError(
                "no cuobjdump and no nvdisasm was found: install triton, which brings both, put one on PATH, "
                "or set GPUEMU_CUOBJDUMP",
                code=CUOBJDUMP_NOT_AVAILABLE,
            )
        targets = parse(message["ptx"]).targets
        variant = next((target for target in targets if target[:-1] == arch), arch)  # sm_90a for sm_90
        built = build(message["ptx"], arch, variant, tools)
    except ArtifactError as error:
        raise ProtocolError(str(error)) from None
    if built.disassembly is None:
        why = built.reason or "no disassembler here reads what ptxas made"
        raise ProtocolError(f"there is no code for {arch}: {why}", code=CUOBJDUMP_NOT_AVAILABLE)
    code = built.disassembly.functions
    return {"sass": {name: [step.opcode for step in steps] for name, steps in code.items()}}


def _lint_one(request: LintKernel | StoreArtifact, name: str, entry: KernelEntry | None) -> list[LintReport]:
    archs = None if entry is None else entry.arch
    limits = Limits() if entry is None else limits_of(entry.artifact_checks, entry.threads)
    if request.arch is not None:
        archs = (request.arch,)
    return lint(request.ptx_content, name, archs=archs, limits=limits)


def _registered(name: str, config: Config) -> KernelEntry | None:
    """The entry whose name or entry it is, as written or as C++ mangles it."""
    for entry in config.kernels:
        if name in (entry.name, entry.entry) or mangled_names([name], entry.entry or entry.name):
            return entry
    return None


def _found(wanted: str, entry: KernelEntry | None, names: list[str]) -> str:
    """The kernel's name as the PTX spells it."""
    spellings = [wanted] if entry is None else [wanted, entry.entry or entry.name]
    for spelling in spellings:
        if spelling in names:
            return spelling
        mangled = mangled_names(names, spelling)
        if len(mangled) == 1:
            return mangled[0]
    raise ProtocolError(
        f"no kernel {wanted!r} in the PTX: {did_you_mean(wanted, names)}", code=KERNEL_NOT_FOUND
    )
