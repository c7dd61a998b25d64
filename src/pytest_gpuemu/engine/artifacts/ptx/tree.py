"""The tree of a PTX module: everything that the text says but its comments and spacing.

Here: the nodes. line and column (from 1) say where a node stands, and take no part in equality.
Elsewhere: how they come out of the text (parse.py), go back into it (render.py), are walked (walk.py).
Names of the PTX ISA's own (spaces, types, modifiers, linkage) are kept as written, without their dot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


def _place() -> int:
    place: int = field(default=0, compare=False, repr=False)
    return place


# ---- operands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Name:
    """A register, variable, label or function. component is what follows a dot: `%tid.x`, `%v.w`, `a.h1`."""

    name: str
    component: str = ""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number as written: `12`, `0x1F`, `0f3F800000`, `1.5`. Its value: constants.py."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A string, as written between its quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Unary:
    """`-4`, `~x`, or a predicate's `!p`; operator is also a cast, as `.s64`, or a function: `generic`,
    `mask(0xff)` has operands of its own and is a Call."""

    operator: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class Binary:
    """`sym + 4`, `a | b` of two numbers, and what else constant expressions hold."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Conditional:
    """`a ? b : c` in a constant expression."""

    condition: Operand
    if_true: Operand
    if_false: Operand


@dataclass(frozen=True, slots=True)
class Call:
    """`generic(x)` or `mask(x)` in an initializer: an operator with its arguments."""

    function: str
    arguments: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Vector:
    """`{%r1, %r2}`: also a nested initializer."""

    elements: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """`p|q`: the two destinations of setp, shfl, match, …"""

    first: Operand
    second: Operand


@dataclass(frozen=True, slots=True)
class Address:
    """`[%rd1+4]`; a texture's or tensor map's coordinates are further parts: `[map, {x, y}]`."""

    parts: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Subscript:
    """`array[3]`, the address of an element."""

    name: str
    index: Operand


@dataclass(frozen=True, slots=True)
class Arguments:
    """The parenthesised list of a call: what it returns into, or what it is given."""

    elements: tuple[Operand, ...]


Operand: TypeAlias = (
    Name
    | Literal
    | Text
    | Unary
    | Binary
    | Conditional
    | Call
    | Vector
    | Pair
    | Address
    | Subscript
    | Arguments
)

# ---- declarations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declarator:
    """One name of a declaration. count is that of `%r<10>`, None for a plain name; a dim is None where it
    is left open: `dyn[]`."""

    name: str
    count: int | None = None
    dims: tuple[Operand | None, ...] = ()
    initializer: Operand | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """`.ptr .global .align 16` of a kernel's parameter."""

    space: str = ""
    align: Operand | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A declaration in a state space: reg, local, shared (`shared::cta`), global, const, param, tex.

    linkage holds `extern`, `visible`, `weak`, `common`; attributes what `.attribute(…)` lists, as written;
    vector is 1, 2, 4 or 8.
    """

    space: str
    type: str
    declarators: tuple[Declarator, ...]
    linkage: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    align: Operand | None = None
    vector: int = 1
    pointer: Pointer | None = None
    line: int = _place()
    column: int = _place()


# ---- statements -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Predicate:
    """`@p` or `@!p`."""

    name: str
    negated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """opcode is the first word (`ld`), modifiers every other (`global`, `v4`, `f32`), types included."""

    opcode: str
    modifiers: tuple[str, ...] = ()
    operands: tuple[Operand, ...] = ()
    predicate: Predicate | None = None
    line: int = _place()
    column: int = _place()

    @property
    def name(self) -> str:
        """The whole operation: `ld.global.v4.f32`."""
        return ".".join((self.opcode, *self.modifiers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    name: str
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Loc:
    """`.loc file line column`: where the following instructions come from. source_line 0 means "unknown".

    function is the name of an inlined function, as a label of the debug strings and an offset; inlined_at
    the file, line and column of the call.
    """

    file: int
    source_line: int
    source_column: int
    function: Operand | None = None
    inlined_at: tuple[int, int, int] | None = None
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pragma:
    texts: tuple[str, ...]
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """`.branchtargets` or `.calltargets`: the names that an indirect branch or call may reach."""

    directive: str
    names: tuple[str, ...]
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """`.callprototype (returns) name (params)`: the signature of an indirect call."""

    returns: tuple[Variable, ...]
    name: str
    params: tuple[Variable, ...]
    directives: tuple[Directive, ...] = ()
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A scope: `{ … }`. Its names hide those outside."""

    statements: tuple[Statement, ...]
    line: int = _place()
    column: int = _place()


Statement: TypeAlias = (
    "Variable | Instruction | Label | Loc | Pragma | Targets | Prototype | Block | File | Section | Dwarf"
)

# ---- the module -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Directive:
    """What stands between a function's parameters and its body: `.maxntid 256, 1, 1`, `.noreturn`."""

    name: str
    arguments: tuple[Operand, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An `.entry` (a kernel) or a `.func`; body is None where it is only declared."""

    kind: str  # "entry" or "func"
    name: str
    returns: tuple[Variable, ...] = ()
    params: tuple[Variable, ...] = ()
    has_params: bool = True  # `.func f` may leave its parentheses out
    linkage: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    directives: tuple[Directive, ...] = ()
    body: Block | None = None
    line: int = _place()
    column: int = _place()

    def directive(self, name: str) -> Directive | None:
        """The directive of that name, or None."""
        return next((directive for directive in self.directives if directive.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """`.file index "name", timestamp, size`."""

    index: int
    name: str
    stamps: tuple[int, ...] = ()
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True)
class SectionData:
    """`.b8 1, 2` of a debug section."""

    type: str
    values: tuple[Operand, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A debug section (`.debug_info`): its data and labels."""

    name: str
    lines: tuple[SectionData | Label, ...]
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dwarf:
    """A line of the debug directives of PTX before 2.0, `@@DWARF …`, as written."""

    text: str
    line: int = _place()
    column: int = _place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """`.alias name, of;`"""

    name: str
    of: str
    line: int = _place()
    column: int = _place()


Item: TypeAlias = "Variable | Function | File | Section | Pragma | Dwarf | Alias | Loc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A PTX text. targets are `.target`'s words (`sm_80`, `debug`); address_size 32, 64 or None."""

    version: str
    targets: tuple[str, ...]
    address_size: int | None
    items: tuple[Item, ...]

    def functions(self, kind: str = "") -> Iterator[Function]:
        """Each function in order, or those of one kind ("entry", "func"); declarations too."""
        for item in self.items:
            if isinstance(item, Function) and kind in ("", item.kind):
                yield item

    @property
    def kernels(self) -> tuple[Function, ...]:
        """The entries that have a body."""
        return tuple(entry for entry in self.functions("entry") if entry.body is not None)
