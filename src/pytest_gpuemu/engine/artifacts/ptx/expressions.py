"""Operands and constant expressions.

Here: what stands between the commas of an instruction, after `=`, in `[…]` and in a declarator's brackets.
Elsewhere: the value of a constant expression (constants.py).
Precedence is C's, as the PTX ISA has it ("Constant expressions").
"""

from __future__ import annotations

from pytest_gpuemu.engine.artifacts.ptx.cursor import MAX_NESTING, Cursor
from pytest_gpuemu.engine.artifacts.ptx.lexer import error
from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Address,
    Arguments,
    Binary,
    Call,
    Conditional,
    Literal,
    Name,
    Operand,
    Pair,
    Subscript,
    Text,
    Unary,
    Vector,
)

# Weakest first.
_LEVELS = (
    ("||",),
    ("&&",),
    ("|",),
    ("^",),
    ("&",),
    ("==", "!="),
    ("<", ">", "<=", ">="),
    ("<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
)
_STRENGTH = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}


def operand(cursor: Cursor) -> Operand:
    """One operand of an instruction."""
    kind = cursor.token.kind
    if kind == "[":
        return _address(cursor)
    if kind == "{":
        return vector(cursor)
    if kind == "name" and _after_name(cursor) == "|":
        first = _name(cursor)
        cursor.take()
        return Pair(first, _name(cursor))
    if kind == "name" and cursor.ahead(1).kind == "[":
        name = cursor.take().text
        cursor.take()
        index = expression(cursor)
        cursor.expect("]", "']' after the element's index")
        return Subscript(name, index)
    return expression(cursor)


def vector(cursor: Cursor) -> Vector:
    """`{a, b}`: registers, coordinates, or the values of an initializer, which may nest."""
    cursor.expect("{", "'{'")
    with cursor.nested():
        elements: list[Operand] = []
        while not cursor.takes("}"):
            if elements:
                cursor.expect(",", "',' or '}'")
            elements.append(vector(cursor) if cursor.token.kind == "{" else operand(cursor))
    return Vector(tuple(elements))


def arguments(cursor: Cursor) -> Arguments:
    """`(a, b)`: a list of a call instruction."""
    cursor.expect("(", "'('")
    with cursor.nested():
        elements: list[Operand] = []
        while not cursor.takes(")"):
            if elements:
                cursor.expect(",", "',' or ')'")
            elements.append(operand(cursor))
    return Arguments(tuple(elements))


def expression(cursor: Cursor, *, dotted: bool = False) -> Operand:
    """A constant expression, or one name. dotted admits `.debug_info`, the name of a debug section."""
    condition = _binary(cursor, 0, dotted)
    if not cursor.takes("?"):
        return condition
    with cursor.nested():
        if_true = expression(cursor, dotted=dotted)
        cursor.expect(":", "':' of the conditional expression")
        return Conditional(condition, if_true, expression(cursor, dotted=dotted))


def _binary(cursor: Cursor, weakest: int, dotted: bool) -> Operand:
    left = _unary(cursor, dotted)
    operators = 0
    while (strength := _STRENGTH.get(cursor.token.kind, -1)) >= weakest:
        operators += 1
        if operators > MAX_NESTING:
            token = cursor.token
            raise error(f"an expression of more than {MAX_NESTING} operators", token.line, token.column)
        operator = cursor.take().text
        with cursor.nested():
            left = Binary(operator, left, _binary(cursor, strength + 1, dotted))
    return left


def _unary(cursor: Cursor, dotted: bool) -> Operand:
    token = cursor.token
    if token.kind in ("-", "+", "!", "~"):
        cursor.take()
        with cursor.nested():
            return Unary(token.text, _unary(cursor, dotted))
    if token.kind == "(":
        cursor.take()
        with cursor.nested():
            if cursor.token.kind == "dotted" and not dotted:
                cast = cursor.take().text
                cursor.expect(")", "')' after the cast's type")
                return Unary(cast, _unary(cursor, dotted))
            inner = expression(cursor, dotted=dotted)
            cursor.expect(")", "')'")
            return inner
    if token.kind == "number":
        return Literal(cursor.take().text)
    if token.kind == "string":
        return Text(cursor.take().text[1:-1])
    if dotted and token.kind in ("dotted", "name"):  # in a debug section no name has a component
        return Name(cursor.take().text)
    if token.kind == "name" and cursor.ahead(1).kind == "(":
        name = cursor.take().text
        return Call(name, arguments(cursor).elements)
    return _name(cursor)


def _name(cursor: Cursor) -> Name:
    name = cursor.expect("name", "an operand").text
    return Name(name, cursor.take().text[1:] if cursor.token.kind == "dotted" else "")


def _after_name(cursor: Cursor) -> str:
    """The kind of the token behind the name that comes next, its component skipped."""
    behind = cursor.ahead(1)
    return cursor.ahead(2).kind if behind.kind == "dotted" else behind.kind


def _address(cursor: Cursor) -> Address:
    cursor.expect("[", "'['")
    with cursor.nested():
        parts = [operand(cursor)]
        while cursor.takes(","):
            parts.append(operand(cursor))
        cursor.expect("]", "']'")
    return Address(tuple(parts))
