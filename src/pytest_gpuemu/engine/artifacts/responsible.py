"""The lines responsible for what a kernel takes: of its PTX, with the source lines that they come from.

Here: the lines of each kind of figure. Elsewhere: the limits on them (lint.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_gpuemu.engine.artifacts.data import SourceLine
from pytest_gpuemu.engine.artifacts.patterns import LINES_SHOWN, matcher
from pytest_gpuemu.engine.artifacts.ptx.liveness import pressure
from pytest_gpuemu.engine.artifacts.ptx.tree import Function, Module, Variable
from pytest_gpuemu.engine.artifacts.ptx.walk import (
    SourceLines,
    instructions,
    reached_functions,
    used_names,
    variables,
)
from pytest_gpuemu.engine.artifacts.sass import SassInstruction, sass_class


class ResponsibleLines:
    """Those of one kernel, the functions that it calls included. code is its machine code, if it is known."""

    def __init__(
        self, module: Module, kernel: Function, code: Iterable[SassInstruction], lines: SourceLines
    ) -> None:
        self._module = module
        self._functions = reached_functions(module, kernel)
        self._code = tuple(code)
        self._lines = lines

    def matching(self, name: str) -> Iterator[SourceLine]:
        """The instructions of a pattern, or whose name begins so."""
        matches = matcher(name)
        for function in self._functions:
            for instruction in instructions(function):
                if matches(instruction):
                    yield self._lines.at(instruction.line)

    def local_code(self) -> Iterator[SourceLine]:
        """The lines whose machine code loads from or stores to local memory, those with the most first."""
        counts: dict[int, int] = {}
        for instruction in self._code:
            if instruction.ptx_line is not None and sass_class(instruction.opcode).startswith("local_"):
                counts[instruction.ptx_line] = counts.get(instruction.ptx_line, 0) + 1
        for ptx_line in sorted(counts, key=lambda line: (-counts[line], line)):
            yield self._lines.at(ptx_line)

    def local(self) -> Iterator[SourceLine]:
        """What takes local memory: its declarations, then the code that reads or writes it."""
        yield from self._declared("local")
        yield from list(self.local_code()) or self.matching("local_memory")

    def busiest(self) -> Iterator[SourceLine]:
        """Where the most values are live at once, by the PTX: ptxas has the registers for them to find."""
        busiest = max(map(pressure, self._functions), key=lambda found: found.words)
        for instruction in busiest.instructions:
            yield self._lines.at(instruction.line)

    def shared(self) -> Iterator[SourceLine]:
        """The declarations of shared memory."""
        return self._declared("shared")

    def _declared(self, space: str) -> Iterator[SourceLine]:
        used = frozenset().union(*map(used_names, self._functions))
        declared = [variable for function in self._functions for variable in variables(function)]
        declared += [item for item in self._module.items if isinstance(item, Variable)]
        for variable in declared:
            if variable.space.split("::")[0] == space and any(d.name in used for d in variable.declarators):
                yield self._lines.at(variable.line)


def first_few(lines: Iterable[SourceLine]) -> Iterator[SourceLine]:
    """The first lines, each once: a source line of many instructions is shown by its first."""
    seen: set[tuple[object, ...]] = set()
    for line in lines:
        key = (line.file, line.line, line.inlined_at) if line.line is not None else (line.ptx_line,)
        if key not in seen:
            seen.add(key)
            yield line
        if len(seen) == LINES_SHOWN:
            return
