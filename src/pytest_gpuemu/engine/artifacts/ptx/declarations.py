"""Declarations in a state space: registers, variables, parameters.

Here: `.shared .align 16 .b8 tile[1024];` and the parameter lists of functions.
Elsewhere: what may stand in brackets and after `=` (expressions.py).
"""

from __future__ import annotations

from pytest_gpuemu.engine.artifacts.ptx.cursor import Cursor
from pytest_gpuemu.engine.artifacts.ptx.expressions import expression, vector
from pytest_gpuemu.engine.artifacts.ptx.lexer import error
from pytest_gpuemu.engine.artifacts.ptx.tree import Declarator, Operand, Pointer, Variable
from pytest_gpuemu.engine.errors import did_you_mean

SPACES = ("reg", "sreg", "const", "global", "local", "param", "shared", "tex")
LINKAGE = ("extern", "visible", "weak", "common")
# Fundamental types, opaque types, and those of packed and narrow floats.
TYPES = (
    *("b1", "b8", "b16", "b32", "b64", "b128", "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"),
    *("f16", "f16x2", "f32", "f32x2", "f64", "bf16", "bf16x2", "tf32", "pred"),
    *("e4m3", "e5m2", "e4m3x2", "e5m2x2", "e2m1", "e2m3", "e3m2", "ue8m0", "ue4m3", "u16x2", "s16x2"),
    *("texref", "samplerref", "surfref"),
)
VECTORS = {".v1": 1, ".v2": 2, ".v4": 4, ".v8": 8}


def is_space(text: str) -> bool:
    """Whether a dotted word names a state space: `.shared`, and `.shared::cta` as well."""
    return text[1:].split("::")[0] in SPACES


def variable(cursor: Cursor, linkage: tuple[str, ...] = ()) -> Variable:
    """A declaration in a body or a module, up to and with its `;`. linkage is what stood before it."""
    found = _declaration(cursor, linkage, several=True)
    cursor.expect(";", "',' or ';' after the declaration")
    return found


def parameters(cursor: Cursor) -> tuple[Variable, ...]:
    """`(.param .u64 a, .param .u32 n)`, or `()`."""
    cursor.expect("(", "'(' of the parameters")
    found: list[Variable] = []
    while not cursor.takes(")"):
        if found:
            cursor.expect(",", "',' or ')' of the parameters")
        found.append(_declaration(cursor, (), several=False))
    return tuple(found)


def attributes(cursor: Cursor) -> tuple[str, ...]:
    """`.attribute(.managed, .unified(1, 2))`, if it comes next: each attribute as written."""
    if not cursor.takes_word(".attribute"):
        return ()
    cursor.expect("(", "'(' of the attributes")
    found: list[str] = []
    while True:
        text = cursor.expect("dotted", "an attribute, as '.managed'").text
        if cursor.takes("("):
            numbers = [cursor.expect("number", "the attribute's number").text]
            while cursor.takes(","):
                numbers.append(cursor.expect("number", "the attribute's number").text)
            cursor.expect(")", "')' of the attribute")
            text += f"({', '.join(numbers)})"
        found.append(text)
        if not cursor.takes(","):
            cursor.expect(")", "',' or ')' of the attributes")
            return tuple(found)


def _declaration(cursor: Cursor, linkage: tuple[str, ...], *, several: bool) -> Variable:
    start = cursor.token
    if start.kind != "dotted" or not is_space(start.text):
        raise cursor.misfit("a state space, as '.param' or '.reg',")
    cursor.take()
    given_attributes: tuple[str, ...] = ()
    align: Operand | None = None
    pointer: Pointer | None = None
    width, type_name = 1, ""
    while cursor.token.kind == "dotted":
        token = cursor.token
        if token.text == ".attribute":
            given_attributes += attributes(cursor)
        elif token.text == ".align":
            align = _alignment(cursor)
        elif token.text == ".ptr":
            pointer = _pointer(cursor)
        elif token.text in VECTORS:
            width = VECTORS[cursor.take().text]
        elif not type_name and token.text[1:] in TYPES:
            type_name = cursor.take().text[1:]
        elif type_name:
            raise cursor.misfit("a name")
        else:
            hint = did_you_mean(token.text[1:], TYPES)
            raise error(f"{token.text!r} is no type: {hint}", token.line, token.column)
    if not type_name:
        raise cursor.misfit("the declaration's type")
    declarators = [_declarator(cursor)]
    while several and cursor.takes(","):
        declarators.append(_declarator(cursor))
    return Variable(
        space=start.text[1:],
        type=type_name,
        declarators=tuple(declarators),
        linkage=linkage,
        attributes=given_attributes,
        align=align,
        vector=width,
        pointer=pointer,
        line=start.line,
        column=start.column,
    )


def _alignment(cursor: Cursor) -> Operand:
    cursor.take()
    return expression(cursor)


def _pointer(cursor: Cursor) -> Pointer:
    cursor.take()
    space = cursor.take().text[1:] if is_space(cursor.token.text) else ""
    return Pointer(space, _alignment(cursor) if cursor.token.text == ".align" else None)


def _declarator(cursor: Cursor) -> Declarator:
    name = cursor.expect("name", "a name").text
    count: int | None = None
    dims: list[Operand | None] = []
    if cursor.takes("<"):
        count = cursor.whole_number("the number of registers")
        cursor.expect(">", "'>' after the number of registers")
    while cursor.takes("["):
        dims.append(None if cursor.token.kind == "]" else expression(cursor))
        cursor.expect("]", "']' of the array")
    initializer: Operand | None = None
    if cursor.takes("="):
        initializer = vector(cursor) if cursor.token.kind == "{" else expression(cursor)
    return Declarator(name, count, tuple(dims), initializer)
