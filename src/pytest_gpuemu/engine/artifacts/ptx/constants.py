"""The values of PTX's literals and constant expressions.

Here: integers of any base, floats by their bits, and integer expressions.
Elsewhere: their grammar (expressions.py).
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable

from pytest_gpuemu.engine.artifacts.ptx.cursor import integer
from pytest_gpuemu.engine.artifacts.ptx.tree import Binary, Literal, Operand, Unary

_BINARY: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


def literal_value(text: str) -> int | float:
    """The value of a literal as written: `0f3F800000` is 1.0, `0x1F` 31, `017` 15.

    Raises ValueError for what is no literal.
    """
    if text[:2] in ("0f", "0F"):
        return float(struct.unpack(">f", bytes.fromhex(text[2:]))[0])
    if text[:2] in ("0d", "0D"):
        return float(struct.unpack(">d", bytes.fromhex(text[2:]))[0])
    if text[:2] not in ("0x", "0X") and any(mark in text for mark in ".eE"):
        return float(text)
    return integer(text)


def whole(operand: Operand | None) -> int | None:
    """The value of an integer constant expression, or None where it is none: a name, a float."""
    if isinstance(operand, Literal):
        value = literal_value(operand.text)
        return value if isinstance(value, int) else None
    if isinstance(operand, Unary):
        inner = whole(operand.operand)
        if inner is None or operand.operator not in ("-", "+", "~"):
            return None
        return {"-": -inner, "+": inner, "~": ~inner}[operand.operator]
    if isinstance(operand, Binary) and operand.operator in _BINARY:
        left, right = whole(operand.left), whole(operand.right)
        if left is None or right is None or ("<" in operand.operator and not 0 <= right < 64):
            return None
        return _BINARY[operand.operator](left, right)
    return None
