"""Where the most values are live at once: the places that make a kernel need its registers.

Here: the control flow of a function, and backward liveness of its virtual registers.
Elsewhere: the registers that ptxas allocates (../ptxas.py). ptxas moves and recomputes values, so what is
live here says where to look, and not how many registers there will be.
Textbook liveness: live before = uses | (live after - definitions), to a fixed point over basic blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Function,
    Instruction,
    Label,
    Name,
    Operand,
    Pair,
    Targets,
    Vector,
)
from pytest_gpuemu.engine.artifacts.ptx.walk import names, statements, variables

# Instructions without a result; any other writes its first operand.
_NO_RESULT = frozenset(
    (
        *(
            "st",
            "red",
            "bra",
            "brx",
            "call",
            "ret",
            "exit",
            "trap",
            "brkpt",
            "bar",
            "barrier",
            "membar",
            "fence",
        ),
        *(
            "cp",
            "prefetch",
            "prefetchu",
            "discard",
            "applypriority",
            "stmatrix",
            "sust",
            "sured",
            "nanosleep",
        ),
        *("griddepcontrol", "setmaxnreg", "pmevent", "tcgen05"),
    )
)
_ENDS = ("ret", "exit", "trap")
_MOST_DIGITS = 10  # of a register's number
_WORDS = {"b64": 2, "u64": 2, "s64": 2, "f64": 2, "f32x2": 2, "b128": 4, "pred": 0}


@dataclass(frozen=True, slots=True)
class Pressure:
    """The most 32-bit words of values that are live at once, and the instructions behind which they are."""

    words: int
    instructions: tuple[Instruction, ...]


@dataclass(slots=True)
class _BasicBlock:
    code: list[Instruction]
    follows: list[str | int]  # labels, and the number of the block that comes next
    live_before: int = 0


def pressure(function: Function) -> Pressure:
    """Where the function holds the most values. Predicates have registers of their own and count nothing."""
    registers = _Registers(function)
    blocks, labels = _basic_blocks(function)
    masks = [[_masks(instruction, registers) for instruction in block.code] for block in blocks]
    changed = True
    while changed:
        changed = False
        for at in reversed(range(len(blocks))):
            live = _live_after(blocks[at], blocks, labels)
            for uses, definitions in reversed(masks[at]):
                live = (live & ~definitions) | uses
            if live != blocks[at].live_before:
                blocks[at].live_before = live
                changed = True
    most, where = 0, list[Instruction]()
    for block, block_masks in zip(blocks, masks, strict=True):
        live = _live_after(block, blocks, labels)
        for instruction, (uses, definitions) in zip(reversed(block.code), reversed(block_masks), strict=True):
            words = sum(count * (live & mask).bit_count() for count, mask in registers.by_words.items())
            if words > most:
                most, where = words, []
            if words == most:
                where.append(instruction)
            live = (live & ~definitions) | uses
    return Pressure(
        most, tuple(sorted(where, key=lambda instruction: (instruction.line, instruction.column)))
    )


class _Registers:
    """The virtual registers that a body declares, each with a bit once it is met: it may declare billions.

    Registers of one name in several scopes are taken for one.
    """

    def __init__(self, function: Function) -> None:
        self._words: dict[str, int] = {}
        self._ranges: dict[str, tuple[int, int]] = {}  # %r of %r<10>: how many, and the words of each
        self._bits: dict[str, int] = {}
        self.by_words: dict[int, int] = {}  # the bits of all registers of so many words
        for variable in (*function.params, *function.returns, *variables(function)):
            if variable.space == "reg":
                words = _WORDS.get(variable.type, 1) * variable.vector
                for declarator in variable.declarators:
                    if declarator.count is None:
                        self._words.setdefault(declarator.name, words)
                    else:
                        self._ranges.setdefault(declarator.name, (declarator.count, words))

    def bits(self, found: Iterator[str]) -> int:
        """The bits of those names that are registers."""
        bits = 0
        for name in found:
            if name not in self._bits:
                words = self._words_of(name)
                bit = 0 if words is None else 1 << len(self._bits)
                self._bits[name] = bit
                if words is not None:
                    self.by_words[words] = self.by_words.get(words, 0) | bit
            bits |= self._bits[name]
        return bits

    def _words_of(self, name: str) -> int | None:
        if name in self._words:
            return self._words[name]
        digits = len(name) - len(name.rstrip("0123456789"))
        for width in range(1, min(digits, _MOST_DIGITS) + 1):
            declared = self._ranges.get(name[:-width])
            if declared is not None and int(name[-width:]) < declared[0]:
                return declared[1]
        return None


def _basic_blocks(function: Function) -> tuple[list[_BasicBlock], dict[str, int]]:
    blocks, labels = [_BasicBlock([], [])], dict[str, int]()
    targets: dict[str, tuple[str, ...]] = {}
    pending: list[str] = []
    for statement in statements(function.body):
        if isinstance(statement, Label):
            if blocks[-1].code:
                blocks[-1].follows.append(len(blocks))
                blocks.append(_BasicBlock([], []))
            labels[statement.name] = len(blocks) - 1
            pending.append(statement.name)
        elif isinstance(statement, Targets):
            targets.update(dict.fromkeys(pending, statement.names))
        elif isinstance(statement, Instruction):
            pending = []
            block = blocks[-1]
            block.code.append(statement)
            if statement.opcode in (*_ENDS, "bra", "brx"):
                if statement.opcode not in _ENDS:
                    block.follows.extend(name for operand in statement.operands for name in names(operand))
                if statement.predicate is not None:
                    block.follows.append(len(blocks))
                blocks.append(_BasicBlock([], []))
    for block in blocks:
        for name in list(block.follows):
            if isinstance(name, str):
                block.follows.extend(targets.get(name, ()))
    return blocks, labels


def _live_after(block: _BasicBlock, blocks: list[_BasicBlock], labels: dict[str, int]) -> int:
    live = 0
    for follower in block.follows:
        at = labels.get(follower) if isinstance(follower, str) else follower
        if at is not None and at < len(blocks):
            live |= blocks[at].live_before
    return live


def _masks(instruction: Instruction, registers: _Registers) -> tuple[int, int]:
    """The registers that an instruction reads, and those that it writes, as bits."""
    uses = definitions = 0
    for position, operand in enumerate(instruction.operands):
        writes = position == 0 and instruction.opcode not in _NO_RESULT
        if writes and isinstance(operand, (Name, Vector, Pair)):
            definitions |= registers.bits(names(operand))
            # An accumulator is read too, and a predicated or partial write leaves the old value.
            if instruction.opcode == "wgmma" or instruction.predicate is not None or _is_partial(operand):
                uses |= registers.bits(names(operand))
        else:
            uses |= registers.bits(names(operand))
    if instruction.predicate is not None:
        uses |= registers.bits(iter((instruction.predicate.name,)))
    return uses, definitions


def _is_partial(operand: Operand) -> bool:
    return isinstance(operand, Name) and operand.component != ""
