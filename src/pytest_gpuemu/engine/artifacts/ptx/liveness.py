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
    registers = _registers(function)
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
    by_words: dict[int, int] = {}
    for bit, words in registers.values():
        by_words[words] = by_words.get(words, 0) | 1 << bit
    most, where = 0, list[Instruction]()
    for block, block_masks in zip(blocks, masks, strict=True):
        live = _live_after(block, blocks, labels)
        for instruction, (uses, definitions) in zip(reversed(block.code), reversed(block_masks), strict=True):
            words = sum(count * (live & mask).bit_count() for count, mask in by_words.items())
            if words > most:
                most, where = words, []
            if words == most:
                where.append(instruction)
            live = (live & ~definitions) | uses
    return Pressure(
        most, tuple(sorted(where, key=lambda instruction: (instruction.line, instruction.column)))
    )


def _registers(function: Function) -> dict[str, tuple[int, int]]:
    """A bit and the 32-bit words of each virtual register that the body declares. Registers of one name in
    several scopes are taken for one."""
    found: dict[str, tuple[int, int]] = {}
    for variable in (*function.params, *function.returns, *variables(function)):
        if variable.space != "reg":
            continue
        words = _WORDS.get(variable.type, 1) * variable.vector
        for declarator in variable.declarators:
            many = [declarator.name] if declarator.count is None else [
                f"{declarator.name}{i}" for i in range(declarator.count)
            ]  # fmt: skip
            for name in many:
                found.setdefault(name, (len(found), words))
    return found


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


def _masks(instruction: Instruction, registers: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """The registers that an instruction reads, and those that it writes, as bits."""
    uses = definitions = 0
    for position, operand in enumerate(instruction.operands):
        writes = position == 0 and instruction.opcode not in _NO_RESULT
        if writes and isinstance(operand, (Name, Vector, Pair)):
            definitions |= _bits(names(operand), registers)
            # An accumulator is read too, and a predicated or partial write leaves the old value.
            if instruction.opcode == "wgmma" or instruction.predicate is not None or _is_partial(operand):
                uses |= _bits(names(operand), registers)
        else:
            uses |= _bits(names(operand), registers)
    if instruction.predicate is not None:
        uses |= _bits(iter((instruction.predicate.name,)), registers)
    return uses, definitions


def _is_partial(operand: Operand) -> bool:
    return isinstance(operand, Name) and operand.component != ""


def _bits(found: Iterator[str], registers: dict[str, tuple[int, int]]) -> int:
    bits = 0
    for name in found:
        if name in registers:
            bits |= 1 << registers[name][0]
    return bits
