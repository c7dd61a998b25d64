"""A tree of PTX to its text again, one statement a line.

Here: the text that parses to the same tree. Comments and spacing are not in the tree, and not restored.
Elsewhere: the tree (tree.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Address,
    Alias,
    Arguments,
    Binary,
    Block,
    Call,
    Conditional,
    Declarator,
    Directive,
    Dwarf,
    File,
    Function,
    Instruction,
    Item,
    Label,
    Literal,
    Loc,
    Module,
    Name,
    Operand,
    Pair,
    Pragma,
    Prototype,
    Section,
    Statement,
    Subscript,
    Targets,
    Text,
    Unary,
    Variable,
    Vector,
)


def render(module: Module) -> str:
    """The module's text. parse(render(module)) == module."""
    lines = [f".version {module.version}", f".target {', '.join(module.targets)}"]
    if module.address_size is not None:
        lines.append(f".address_size {module.address_size}")
    for item in module.items:
        lines.extend(item_lines(item))
    return "\n".join(lines) + "\n"


def item_lines(item: Item | Statement) -> Iterator[str]:
    """The lines of one item of a module, or of one statement of a body."""
    if isinstance(item, Instruction):
        yield instruction_text(item)
    elif isinstance(item, Variable):
        yield variable_text(item) + ";"
    elif isinstance(item, Label):
        yield f"{item.name}:"
    elif isinstance(item, Loc):
        yield _loc(item)
    elif isinstance(item, Block):
        yield from _block(item)
    elif isinstance(item, Function):
        yield from _function(item)
    elif isinstance(item, Pragma):
        yield f".pragma {_commas(_quoted(text) for text in item.texts)};"
    elif isinstance(item, Targets):
        yield f".{item.directive} {', '.join(item.names)};"
    elif isinstance(item, Prototype):
        yield _prototype(item)
    elif isinstance(item, File):
        yield _commas((f".file {item.index} {_quoted(item.name)}", *map(str, item.stamps)))
    elif isinstance(item, Section):
        yield from _section(item)
    elif isinstance(item, Alias):
        yield f".alias {item.name}, {item.of};"
    else:
        assert isinstance(item, Dwarf)
        yield item.text


def instruction_text(instruction: Instruction) -> str:
    """`@!%p1 ld.global.v2.f32 {%f1, %f2}, [%rd1+8];`"""
    guard = ""
    if instruction.predicate is not None:
        guard = f"@{'!' if instruction.predicate.negated else ''}{instruction.predicate.name} "
    operands = _commas(operand_text(operand) for operand in instruction.operands)
    return f"{guard}{instruction.name}{' ' if operands else ''}{operands};"


def operand_text(operand: Operand) -> str:
    """One operand or constant expression."""
    if isinstance(operand, Name):
        return operand.name + (f".{operand.component}" if operand.component else "")
    if isinstance(operand, Literal):
        return operand.text
    if isinstance(operand, Address):
        return f"[{_operands(operand.parts)}]"
    if isinstance(operand, Vector):
        return f"{{{_operands(operand.elements)}}}"
    if isinstance(operand, Arguments):
        return f"({_operands(operand.elements)})"
    if isinstance(operand, Pair):
        return f"{operand_text(operand.first)}|{operand_text(operand.second)}"
    if isinstance(operand, Unary):
        operator = f"({operand.operator})" if operand.operator.startswith(".") else operand.operator
        return operator + _part(operand.operand)
    if isinstance(operand, Binary):
        return f"{_part(operand.left)} {operand.operator} {_part(operand.right)}"
    if isinstance(operand, Conditional):
        parts = (operand.condition, operand.if_true, operand.if_false)
        return "{} ? {} : {}".format(*map(_part, parts))
    if isinstance(operand, Subscript):
        return f"{operand.name}[{operand_text(operand.index)}]"
    if isinstance(operand, Call):
        return f"{operand.function}({_operands(operand.arguments)})"
    assert isinstance(operand, Text)
    return _quoted(operand.text)


def variable_text(variable: Variable) -> str:
    """A declaration without its `;`."""
    words = [f".{word}" for word in variable.linkage]
    words.append(f".{variable.space}")
    if variable.attributes:
        words.append(_attributes(variable.attributes))
    if variable.align is not None:
        words.append(f".align {_part(variable.align)}")
    if variable.vector != 1:
        words.append(f".v{variable.vector}")
    words.append(f".{variable.type}")
    if variable.pointer is not None:
        words.append(".ptr")
        if variable.pointer.space:
            words.append(f".{variable.pointer.space}")
        if variable.pointer.align is not None:
            words.append(f".align {_part(variable.pointer.align)}")
    words.append(_commas(_declarator(declarator) for declarator in variable.declarators))
    return " ".join(words)


def _declarator(declarator: Declarator) -> str:
    text = declarator.name
    if declarator.count is not None:
        text += f"<{declarator.count}>"
    for dim in declarator.dims:
        text += f"[{'' if dim is None else operand_text(dim)}]"
    if declarator.initializer is not None:
        text += f" = {operand_text(declarator.initializer)}"
    return text


def _part(operand: Operand) -> str:
    """An operand of an operator: in parentheses where it has an operator of its own."""
    text = operand_text(operand)
    return f"({text})" if isinstance(operand, (Unary, Binary, Conditional)) else text


def _function(function: Function) -> Iterator[str]:
    words = [*(f".{word}" for word in function.linkage), f".{function.kind}"]
    if function.attributes:
        words.append(_attributes(function.attributes))
    if function.returns:
        words.append(_parameters(function.returns))
    words.append(function.name)
    if function.has_params:
        words.append(_parameters(function.params))
    words.extend(map(_directive, function.directives))
    if function.body is None:
        words.append(";")
    yield " ".join(words)
    if function.body is not None:
        yield from _block(function.body)


def _block(block: Block) -> Iterator[str]:
    yield "{"
    for statement in block.statements:
        for line in item_lines(statement):
            yield line if isinstance(statement, Label) else "\t" + line
    yield "}"


def _directive(directive: Directive) -> str:
    text = f".{directive.name}"
    if directive.arguments:
        text += f" {_operands(directive.arguments)}"
    return text + (";" if directive.name == "pragma" else "")


def _prototype(prototype: Prototype) -> str:
    words = [".callprototype"]
    if prototype.returns:
        words.append(_parameters(prototype.returns))
    words.extend((prototype.name, _parameters(prototype.params)))
    words.extend(map(_directive, prototype.directives))
    return " ".join(words) + ";"


def _section(section: Section) -> Iterator[str]:
    yield f".section .{section.name} {{"
    for line in section.lines:
        yield f"{line.name}:" if isinstance(line, Label) else f".{line.type} {_operands(line.values)}"
    yield "}"


def _loc(loc: Loc) -> str:
    parts = [f".loc {loc.file} {loc.source_line} {loc.source_column}"]
    if loc.function is not None:
        parts.append(f"function_name {operand_text(loc.function)}")
    if loc.inlined_at is not None:
        parts.append("inlined_at " + " ".join(map(str, loc.inlined_at)))
    return _commas(parts)


def _parameters(variables: Iterable[Variable]) -> str:
    return f"({_commas(map(variable_text, variables))})"


def _attributes(attributes: Iterable[str]) -> str:
    return f".attribute({_commas(attributes)})"


def _operands(operands: Iterable[Operand]) -> str:
    return _commas(map(operand_text, operands))


def _commas(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def _quoted(text: str) -> str:
    return f'"{text}"'
