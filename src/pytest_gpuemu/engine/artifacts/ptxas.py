"""Real registers and spills: ptxas assembles the PTX for an architecture and says what the kernel takes.

Here: running it, and reading what `ptxas -v` prints.
Elsewhere: where it is found (tools.py), the code it made (sass.py).
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pytest_gpuemu.engine.artifacts.tools import Tool
from pytest_gpuemu.engine.errors import ArtifactError

_COMPILING = re.compile(r"Compiling entry function '([^']+)' for '([^']+)'")
_PROPERTIES = re.compile(r"Function properties for '?([^\s']+)'?")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_BARRIERS = re.compile(r"used (\d+) barriers")
_SHARED = re.compile(r"(\d+)(?:\+\d+)? bytes smem")
_STACK_SIZE = re.compile(r"(\d+) bytes cumulative stack size")
_LOCAL = re.compile(r"(\d+)(?:\+\d+)? bytes lmem")
_CONSTANT = re.compile(r"(\d+)(?:\+\d+)? bytes cmem\[(\d+)\]")
# What an older ptxas says to a newer PTX or GPU: another one may know it.
_TOO_OLD = re.compile(r"Unsupported \.version|is not defined for option 'gpu-name'|Unsupported \.target")


@dataclass(frozen=True, slots=True)
class Frame:
    """The stack frame of one function, and what it spills to it: bytes of its spill stores and loads."""

    stack_bytes: int = 0
    spill_store_bytes: int = 0
    spill_load_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a kernel takes of the hardware. stack_bytes is a thread's whole stack, that of the functions it
    calls included; constant_bytes is by bank; frames holds its own frame and theirs, by name."""

    registers: int
    barriers: int
    shared_bytes: int
    stack_bytes: int
    constant_bytes: Mapping[int, int]
    frames: Mapping[str, Frame]

    @property
    def spill_store_bytes(self) -> int:
        return sum(frame.spill_store_bytes for frame in self.frames.values())

    @property
    def spill_load_bytes(self) -> int:
        return sum(frame.spill_load_bytes for frame in self.frames.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """PTX assembled for one architecture: what each kernel takes, by name, and the cubin."""

    tool: Tool
    usages: Mapping[str, Usage]
    cubin: bytes = field(repr=False)


class NoToolFits(Exception):
    """Every ptxas here is too old for the PTX or the architecture. The text says which, and how."""


def assemble(ptx: str, arch: str, tools: Sequence[Tool]) -> Assembled:
    """Assemble with the first of these ptxas that knows the PTX's version and the architecture.

    Raises NoToolFits where none does, and ArtifactError, with ptxas' own log, for PTX that it refuses.
    """
    refusals: list[str] = []
    for tool in tools:
        with tempfile.TemporaryDirectory(prefix="gpuemu-ptxas-") as folder:
            source, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
            source.write_text(ptx, "utf-8")
            ended = tool.run("-v", "-lineinfo", f"-arch={arch}", str(source), "-o", str(cubin))
            log = (ended.stderr + ended.stdout).replace(str(source), "kernel.ptx").strip()
            if ended.returncode == 0:
                return Assembled(tool=tool, usages=read_log(log), cubin=cubin.read_bytes())
        if not _TOO_OLD.search(log):
            raise ArtifactError(f"{tool} refuses the PTX for {arch}:\n{log or f'exit {ended.returncode}'}")
        refusals.append(f"{tool} ({tool.path}): {log.splitlines()[0]}")
    raise NoToolFits("; ".join(refusals))


def read_log(log: str) -> dict[str, Usage]:
    """What each kernel takes, from what `ptxas -v` printed.

    A kernel's lines follow "Compiling entry function"; those of the functions that it calls come after them.
    """
    used: dict[str, str] = {}
    frames: dict[str, dict[str, Frame]] = {}
    kernel = function = ""
    for line in log.splitlines():
        if match := _COMPILING.search(line):
            kernel = match[1]
            frames[kernel] = {}
        elif match := _PROPERTIES.search(line):
            function = match[1]
        elif match := _STACK.search(line):
            frames.setdefault(kernel, {})[function] = Frame(*map(int, match.groups()))
        elif _USED.search(line):
            used[kernel] = line
    return {kernel: _usage(line, kernel, frames[kernel]) for kernel, line in used.items() if kernel in frames}


def _usage(line: str, kernel: str, frames: Mapping[str, Frame]) -> Usage:
    own = frames.get(kernel, Frame())
    return Usage(
        registers=_number(_USED, line),
        barriers=_number(_BARRIERS, line),
        shared_bytes=_number(_SHARED, line),
        stack_bytes=max(own.stack_bytes, _number(_STACK_SIZE, line), _number(_LOCAL, line)),
        constant_bytes={int(bank): int(size) for size, bank in _CONSTANT.findall(line)},
        frames=frames,
    )


def _number(pattern: re.Pattern[str], line: str) -> int:
    match = pattern.search(line)
    return int(match[1]) if match else 0
