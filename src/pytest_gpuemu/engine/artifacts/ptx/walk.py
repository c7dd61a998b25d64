"""Walking over a tree: the instructions of a function in order, the functions that a kernel reaches, and the
source lines that instructions come from.

Here: order and reach. Elsewhere: what is counted on the way (../metrics.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from pytest_gpuemu.engine.artifacts.data import SourceLine
from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Address,
    Arguments,
    Binary,
    Block,
    Call,
    Conditional,
    File,
    Function,
    Instruction,
    Loc,
    Module,
    Name,
    Operand,
    Pair,
    Statement,
    Subscript,
    Unary,
    Variable,
    Vector,
)


def statements(block: Block | None) -> Iterator[Statement]:
    """Each statement of a body and of the scopes in it, in the order of the text; none of a declaration."""
    for statement in block.statements if block is not None else ():
        if isinstance(statement, Block):
            yield from statements(statement)
        else:
            yield statement


def instructions(function: Function) -> Iterator[Instruction]:
    """Each instruction of a function, in the order of the text."""
    for statement in statements(function.body):
        if isinstance(statement, Instruction):
            yield statement


def variables(function: Function) -> Iterator[Variable]:
    """Each declaration in a function's body."""
    for statement in statements(function.body):
        if isinstance(statement, Variable):
            yield statement


def names(operand: Operand) -> Iterator[str]:
    """Each name that an operand holds."""
    if isinstance(operand, Name):
        yield operand.name
        return
    inner: tuple[Operand, ...] = ()
    if isinstance(operand, Unary):
        inner = (operand.operand,)
    elif isinstance(operand, Binary):
        inner = (operand.left, operand.right)
    elif isinstance(operand, Conditional):
        inner = (operand.condition, operand.if_true, operand.if_false)
    elif isinstance(operand, Call):
        inner = operand.arguments
    elif isinstance(operand, (Vector, Arguments)):
        inner = operand.elements
    elif isinstance(operand, Pair):
        inner = (operand.first, operand.second)
    elif isinstance(operand, Address):
        inner = operand.parts
    elif isinstance(operand, Subscript):
        yield operand.name
        inner = (operand.index,)
    for part in inner:
        yield from names(part)


def used_names(function: Function) -> frozenset[str]:
    """Every name in the operands of a function's instructions."""
    return frozenset(
        name
        for instruction in instructions(function)
        for operand in instruction.operands
        for name in names(operand)
    )


def reached_functions(module: Module, kernel: Function) -> tuple[Function, ...]:
    """The kernel, and each function with a body that it calls or takes the address of, directly or not."""
    bodies = {function.name: function for function in module.functions() if function.body is not None}
    reached = {kernel.name: kernel}
    ahead = [kernel]
    while ahead:
        for name in sorted(used_names(ahead.pop())):
            if name in bodies and name not in reached:
                reached[name] = bodies[name]
                ahead.append(bodies[name])
    return tuple(reached.values())


class SourceLines:
    """Finds, for lines of a PTX text, the source lines that they were compiled from."""

    def __init__(self, module: Module, text: str) -> None:
        self._text = text.split("\n")
        self._files = {item.index: item.name for item in _files(module)}
        self._locs: list[Loc] = []
        # `.loc` holds up to the next one, and never beyond its function.
        self._starts: list[int] = []
        self._at: list[Loc | None] = []
        for function in module.functions():
            self._mark(function.line, None)
            for statement in statements(function.body):
                if isinstance(statement, Loc):
                    self._mark(statement.line, statement)
                    self._locs.append(statement)

    def at(self, ptx_line: int) -> SourceLine:
        """The PTX line of this number, with its source."""
        text = self._text[ptx_line - 1].strip() if 0 < ptx_line <= len(self._text) else ""
        before = bisect_right(self._starts, ptx_line) - 1
        loc = self._at[before] if before >= 0 else None
        if loc is None:
            return SourceLine(ptx_line=ptx_line, ptx_text=text)
        return SourceLine(
            ptx_line=ptx_line,
            ptx_text=text,
            file=self._files.get(loc.file),
            line=loc.source_line or None,
            inlined_at=self._calls(loc),
        )

    def _mark(self, line: int, loc: Loc | None) -> None:
        self._starts.append(line)
        self._at.append(loc)

    def _calls(self, loc: Loc) -> tuple[tuple[str, int], ...]:
        """Where the code of this place was inlined, and where that code was in turn, outwards."""
        calls: list[tuple[str, int]] = []
        place, seen = loc.inlined_at, set[tuple[int, int, int]]()
        while place is not None and place not in seen:
            seen.add(place)
            file, line, _ = place
            calls.append((self._files.get(file, f"file {file}"), line))
            place = self._inlined_at(place, before=loc.line)
        return tuple(calls)

    def _inlined_at(self, place: tuple[int, int, int], *, before: int) -> tuple[int, int, int] | None:
        """The call that the last `.loc` of this place names, above a line of the PTX."""
        for loc in reversed(self._locs):
            if loc.line < before and (loc.file, loc.source_line, loc.source_column) == place:
                return loc.inlined_at
        return None


def _files(module: Module) -> Iterator[File]:
    for item in module.items:
        if isinstance(item, File):
            yield item
    for function in module.functions():
        for statement in statements(function.body):
            if isinstance(statement, File):
                yield statement
