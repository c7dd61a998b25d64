"""The memory that an instruction of PTX reads or writes.

Here: kind, state space, bytes of one thread's access, vector width.
Elsewhere: counting them over a kernel (metrics.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pytest_gpuemu.engine.artifacts.ptx.constants import whole
from pytest_gpuemu.engine.artifacts.ptx.declarations import VECTORS
from pytest_gpuemu.engine.artifacts.ptx.tree import Instruction

_SPACES = ("global", "shared", "local", "const", "param", "generic")
_BITS = re.compile(r"(?:b|u|s|f|bf)(\d+)(x2)?")
_KINDS = {
    "ld": "load",
    "ldu": "load",
    "st": "store",
    "atom": "atomic",
    "red": "reduction",
    "prefetch": "prefetch",
}
_MATRIX_SHAPE = re.compile(r"m(\d+)n(\d+)k(\d+)")
_FRAGMENTS = {"a": (0, 2), "b": (2, 1), "c": (0, 1), "d": (0, 1)}


class Access(NamedTuple):
    """width_bytes is that of one thread; 0 where the instruction does not say it, or moves nothing."""

    kind: str  # load, store, atomic, reduction, prefetch, async_copy, bulk_copy, texture
    space: str
    width_bytes: int
    vector: int


def access(instruction: Instruction) -> Access | None:
    """What the instruction does to memory; None where it does nothing to it."""
    opcode, modifiers = instruction.opcode, instruction.modifiers
    if opcode in _KINDS:
        vector = next((VECTORS["." + word] for word in modifiers if "." + word in VECTORS), 1)
        kind = _KINDS[opcode]
        width = 0 if kind == "prefetch" else vector * type_bytes(modifiers)
        return Access(kind, _space(modifiers), width, vector)
    if opcode == "multimem":
        kind = {"ld_reduce": "load", "st": "store"}.get(modifiers[0] if modifiers else "", "reduction")
        vector = next((VECTORS["." + word] for word in modifiers if "." + word in VECTORS), 1)
        return Access(kind, "global", vector * type_bytes(modifiers), vector)
    if opcode == "cp":
        return _copy(instruction)
    if opcode in ("ldmatrix", "stmatrix"):
        tiles = next((int(word[1:]) for word in modifiers if word in ("x1", "x2", "x4")), 1)
        # A tile of 8 x 8 elements of 16 bits is 128 bytes, 4 for each thread of a warp.
        return Access("load" if opcode == "ldmatrix" else "store", "shared", 4 * tiles, 1)
    if opcode == "wmma" and modifiers[:1] in (("load",), ("store",)):
        return Access(modifiers[0], _space(modifiers), _fragment_bytes(modifiers), 1)
    if opcode in ("tex", "tld4", "suld", "sust", "sured"):
        return Access("texture", "texture", 0, 1)
    return None


def type_bytes(modifiers: tuple[str, ...]) -> int:
    """Bytes of the last type among an instruction's modifiers; 0 where there is none."""
    for word in reversed(modifiers):
        match = _BITS.fullmatch(word)
        if match:
            return int(match[1]) * (2 if match[2] else 1) // 8
    return 0


def _space(modifiers: tuple[str, ...]) -> str:
    for word in modifiers:
        space = word.split("::")[0]
        if space in _SPACES:
            return space
    return "generic"


def _copy(instruction: Instruction) -> Access | None:
    modifiers = instruction.modifiers
    if any(word in modifiers for word in ("commit_group", "wait_group", "wait_all", "mbarrier")):
        return None
    if "bulk" in modifiers:
        # The size, where the instruction has one, is its third operand; a tensor map has it elsewhere.
        size = (
            whole(instruction.operands[2])
            if "tensor" not in modifiers and len(instruction.operands) > 2
            else 0
        )
        return Access("bulk_copy", "global" if "global" in modifiers else "shared", size or 0, 1)
    size = whole(instruction.operands[2]) if len(instruction.operands) > 2 else 0
    return Access("async_copy", "global", size or 0, 1)


def _fragment_bytes(modifiers: tuple[str, ...]) -> int:
    """Bytes of a wmma fragment, a thread: its matrix spread over the 32 threads of a warp."""
    shape = next(filter(None, map(_MATRIX_SHAPE.fullmatch, modifiers)), None)
    fragment = next((word for word in modifiers if word in _FRAGMENTS), None)
    if shape is None or fragment is None:
        return 0
    rows, columns = (int(shape.groups()[at]) for at in _FRAGMENTS[fragment])
    return rows * columns * type_bytes(modifiers) // 32
