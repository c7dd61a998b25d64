"""PTX text to its tree, by recursive descent.

Here: modules, functions, statements, instructions, debug directives.
Elsewhere: tokens (lexer.py), declarations (declarations.py), operands (expressions.py).
Whatever `.version` says is accepted; an opcode or modifier that nobody knows is kept, a directive or type
that nobody knows is an error.
"""

from __future__ import annotations

from pytest_gpuemu.engine.artifacts.ptx.cursor import Cursor
from pytest_gpuemu.engine.artifacts.ptx.declarations import (
    LINKAGE,
    attributes,
    is_space,
    parameters,
    variable,
)
from pytest_gpuemu.engine.artifacts.ptx.expressions import arguments, expression, operand
from pytest_gpuemu.engine.artifacts.ptx.lexer import Token, error, tokens
from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Alias,
    Block,
    Directive,
    Dwarf,
    File,
    Function,
    Instruction,
    Item,
    Label,
    Loc,
    Module,
    Operand,
    Pragma,
    Predicate,
    Prototype,
    Section,
    SectionData,
    Statement,
    Targets,
    Variable,
)


def parse(text: str) -> Module:
    """The module that the text holds. Raises PtxParseError, with line and column, for what is no PTX."""
    cursor = Cursor(tokens(text))
    if cursor.token.kind == "end":
        raise error("the text holds no PTX: it is empty, or comments only", 1, 1)
    if not cursor.takes_word(".version"):
        raise cursor.misfit("'.version', which opens PTX,")
    version = cursor.expect("number", "the version, as 8.0").text
    if not cursor.takes_word(".target"):
        raise cursor.misfit("'.target'")
    targets = [cursor.expect("name", "the target, as sm_80").text]
    while cursor.takes(","):
        targets.append(cursor.expect("name", "a further target").text)
    size = cursor.whole_number("32 or 64") if cursor.takes_word(".address_size") else None
    items: list[Item] = []
    while cursor.token.kind != "end":
        if not cursor.takes(";"):  # an empty declaration, which some compilers leave behind a function
            items.append(_item(cursor))
    return Module(version=version, targets=tuple(targets), address_size=size, items=tuple(items))


def _item(cursor: Cursor) -> Item:
    token = cursor.token
    if token.kind == "dwarf":
        cursor.take()
        return Dwarf(text=token.text, line=token.line, column=token.column)
    if token.kind != "dotted":
        raise cursor.misfit("a directive, as '.entry' or '.global',")
    if token.text == ".alias":
        return _alias(cursor)
    debug = _debug(cursor)
    if debug is not None:
        return debug
    linkage: list[str] = []
    while cursor.token.text[1:] in LINKAGE and cursor.token.kind == "dotted":
        linkage.append(cursor.take().text[1:])
    if cursor.token.text in (".entry", ".func"):
        return _function(cursor, tuple(linkage), token)
    if is_space(cursor.token.text):
        return variable(cursor, tuple(linkage))
    raise cursor.misfit("a directive of a module, as '.entry', '.func' or '.global',")


def _debug(cursor: Cursor) -> File | Section | Pragma | Loc | None:
    """What may stand in a module and in a body alike, or None where none comes next."""
    text = cursor.token.text
    if text == ".file":
        return _file(cursor)
    if text == ".section":
        return _section(cursor)
    if text == ".pragma":
        return _pragma(cursor)
    if text == ".loc":
        return _loc(cursor)
    return None


def _function(cursor: Cursor, linkage: tuple[str, ...], start: Token) -> Function:
    kind = cursor.take().text[1:]
    given_attributes = attributes(cursor)
    returns = parameters(cursor) if cursor.token.kind == "(" else ()
    name = cursor.expect("name", f"the name of the .{kind}").text
    has_params = cursor.token.kind == "("
    params = parameters(cursor) if has_params else ()
    directives = _directives(cursor)
    body: Block | None = None
    if cursor.token.kind == "{":
        body = _block(cursor)
    else:
        cursor.expect(";", f"'{{' of the body of {name}, or ';',")
    return Function(
        kind=kind,
        name=name,
        returns=returns,
        params=params,
        has_params=has_params,
        linkage=linkage,
        attributes=given_attributes,
        directives=directives,
        body=body,
        line=start.line,
        column=start.column,
    )


def _directives(cursor: Cursor) -> tuple[Directive, ...]:
    """`.maxntid 256, 1, 1 .minnctapersm 2 .noreturn .pragma "nounroll";`"""
    found: list[Directive] = []
    while cursor.token.kind == "dotted":
        name = cursor.take().text[1:]
        values: list[Operand] = []
        if cursor.token.kind in ("number", "string", "name", "("):
            values.append(expression(cursor))
            while cursor.takes(","):
                values.append(expression(cursor))
        if name == "pragma":
            cursor.expect(";", "';' after the pragma")
        found.append(Directive(name, tuple(values)))
    return tuple(found)


def _block(cursor: Cursor) -> Block:
    start = cursor.expect("{", "'{'")
    statements: list[Statement] = []
    with cursor.nested():
        while not cursor.takes("}"):
            if cursor.token.kind == "end":
                raise error(
                    f"the text ends inside the braces that line {start.line} opens",
                    cursor.token.line,
                    cursor.token.column,
                )
            if not cursor.takes(";"):
                statements.append(_statement(cursor))
    return Block(statements=tuple(statements), line=start.line, column=start.column)


def _statement(cursor: Cursor) -> Statement:
    token = cursor.token
    if token.kind == "name":
        if cursor.ahead(1).kind == ":":
            cursor.take()
            cursor.take()
            return Label(name=token.text, line=token.line, column=token.column)
        return _instruction(cursor, None, token)
    if token.kind == "@":
        return _instruction(cursor, _predicate(cursor), token)
    if token.kind == "{":
        return _block(cursor)
    if token.kind == "dwarf":
        cursor.take()
        return Dwarf(text=token.text, line=token.line, column=token.column)
    if token.kind != "dotted":
        raise cursor.misfit("an instruction, a label or a directive")
    if is_space(token.text):
        return variable(cursor)
    if token.text in (".branchtargets", ".calltargets"):
        return _targets(cursor)
    if token.text == ".callprototype":
        return _prototype(cursor)
    debug = _debug(cursor)
    if debug is None:
        raise cursor.misfit("a directive of a body, as '.reg' or '.loc',")
    return debug


def _predicate(cursor: Cursor) -> Predicate:
    cursor.take()
    negated = cursor.takes("!")
    return Predicate(cursor.expect("name", "the predicate's register").text, negated)


def _instruction(cursor: Cursor, predicate: Predicate | None, start: Token) -> Instruction:
    opcode = cursor.expect("name", "an instruction").text
    if opcode[0] in "%$":
        raise error(f"{opcode!r} is no instruction", start.line, start.column)
    modifiers: list[str] = []
    while cursor.token.kind == "dotted":
        modifiers.append(cursor.take().text[1:])
    operands: list[Operand] = []
    one = _call_operand if opcode == "call" else operand
    if cursor.token.kind != ";":
        operands.append(one(cursor))
        while cursor.takes(","):
            operands.append(one(cursor))
    cursor.expect(";", f"',' or ';' after an operand of {opcode}")
    return Instruction(
        opcode=opcode,
        modifiers=tuple(modifiers),
        operands=tuple(operands),
        predicate=predicate,
        line=start.line,
        column=start.column,
    )


def _call_operand(cursor: Cursor) -> Operand:
    return arguments(cursor) if cursor.token.kind == "(" else operand(cursor)


def _targets(cursor: Cursor) -> Targets:
    start = cursor.take()
    names = [cursor.expect("name", "a label or function").text]
    while cursor.takes(","):
        names.append(cursor.expect("name", "a label or function").text)
    cursor.expect(";", "',' or ';'")
    return Targets(directive=start.text[1:], names=tuple(names), line=start.line, column=start.column)


def _prototype(cursor: Cursor) -> Prototype:
    start = cursor.take()
    returns = parameters(cursor) if cursor.token.kind == "(" else ()
    name = cursor.expect("name", "the prototype's name, or '_',").text
    params: tuple[Variable, ...] = parameters(cursor) if cursor.token.kind == "(" else ()
    directives = _directives(cursor)
    cursor.expect(";", "';' after the prototype")
    return Prototype(
        returns=returns,
        name=name,
        params=params,
        directives=directives,
        line=start.line,
        column=start.column,
    )


def _alias(cursor: Cursor) -> Alias:
    start = cursor.take()
    name = cursor.expect("name", "the alias").text
    cursor.expect(",", "','")
    of = cursor.expect("name", "the function that the alias names").text
    cursor.expect(";", "';'")
    return Alias(name=name, of=of, line=start.line, column=start.column)


def _pragma(cursor: Cursor) -> Pragma:
    start = cursor.take()
    texts = [cursor.expect("string", "the pragma's text").text[1:-1]]
    while cursor.takes(","):
        texts.append(cursor.expect("string", "a further text").text[1:-1])
    cursor.expect(";", "';' after the pragma")
    return Pragma(texts=tuple(texts), line=start.line, column=start.column)


def _file(cursor: Cursor) -> File:
    start = cursor.take()
    index = cursor.whole_number("the file's number")
    name = cursor.expect("string", "the file's name").text[1:-1]
    stamps: list[int] = []
    while cursor.takes(","):
        stamps.append(cursor.whole_number("the file's time or size"))
    return File(index=index, name=name, stamps=tuple(stamps), line=start.line, column=start.column)


def _loc(cursor: Cursor) -> Loc:
    start = cursor.take()
    file, source_line, source_column = _place(cursor)
    function: Operand | None = None
    inlined_at: tuple[int, int, int] | None = None
    while cursor.takes(","):
        if cursor.takes_word("function_name"):
            function = expression(cursor)
        elif cursor.takes_word("inlined_at"):
            inlined_at = _place(cursor)
        else:
            raise cursor.misfit("'function_name' or 'inlined_at'")
    return Loc(
        file=file,
        source_line=source_line,
        source_column=source_column,
        function=function,
        inlined_at=inlined_at,
        line=start.line,
        column=start.column,
    )


def _place(cursor: Cursor) -> tuple[int, int, int]:
    file = cursor.whole_number("the number of a file")
    line = cursor.whole_number("a line of the source")
    return file, line, cursor.whole_number("a column of the source")


def _section(cursor: Cursor) -> Section:
    start = cursor.take()
    name = cursor.expect("dotted", "the section's name, as '.debug_info',").text[1:]
    cursor.expect("{", "'{' of the section")
    lines: list[SectionData | Label] = []
    while not cursor.takes("}"):
        token = cursor.token
        if token.kind == "name" and cursor.ahead(1).kind == ":":
            cursor.take()
            cursor.take()
            lines.append(Label(name=token.text, line=token.line, column=token.column))
            continue
        kind = cursor.expect("dotted", "data, as '.b8 1', a label or '}'").text[1:]
        values = [expression(cursor, dotted=True)]
        while cursor.takes(","):
            values.append(expression(cursor, dotted=True))
        lines.append(SectionData(kind, tuple(values)))
    return Section(name=name, lines=tuple(lines), line=start.line, column=start.column)
