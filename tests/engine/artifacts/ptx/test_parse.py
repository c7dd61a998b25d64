"""PTX to a tree: what real compilers write, and errors that name a line and a column."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Address,
    Arguments,
    Binary,
    Block,
    Call,
    Declarator,
    Instruction,
    Label,
    Literal,
    Loc,
    Name,
    Pair,
    Pragma,
    Predicate,
    Prototype,
    Subscript,
    Targets,
    Unary,
    Variable,
    Vector,
)
from pytest_gpuemu.engine.errors import PtxParseError

DATA = Path(__file__).parents[1] / "data"
HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"


def body(statements: str) -> tuple:
    """The statements of a kernel with this body."""
    (kernel,) = parse(f"{HEADER}.visible .entry k(.param .u64 p) {{\n{statements}\n}}").kernels
    return kernel.body.statements


def instruction(text: str) -> Instruction:
    (found,) = body(text)
    assert isinstance(found, Instruction)
    return found


def error_of(text: str) -> PtxParseError:
    with pytest.raises(PtxParseError) as caught:
        parse(text)
    return caught.value


# ---- what a module says ---------------------------------------------------------------------------


def test_the_kernels_of_real_ptx_are_found():
    """The names are those of the sources beside the PTX."""
    names = {
        path.name: [kernel.name for kernel in parse(path.read_text()).kernels] for path in DATA.glob("*.ptx")
    }

    assert names["nvrtc_vector_add.ptx"] == ["add_vec4", "add_scalar"]
    assert names["nvrtc_local_array.ptx"] == ["histogram", "powers"]
    assert names["nvcc_debug.ptx"] == ["scale"]
    assert names["triton_row_max.ptx"] == ["row_max"]
    assert len(names["numba_block_sum.ptx"]) == 1
    assert "block_sum" in names["numba_block_sum.ptx"][0]


def test_the_header_is_kept():
    module = parse(".version 12.75\n.target sm_999a, debug\n.address_size 64\n")

    assert (module.version, module.targets, module.address_size) == ("12.75", ("sm_999a", "debug"), 64)


def test_a_function_keeps_its_directives_parameters_and_linkage():
    module = parse(
        HEADER + ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .align 8 .b8 b[16]);\n"
        ".weak .entry k(.param .u64 .ptr .global .align 16 x, .param .u32 n)\n"
        ".maxntid 256, 1, 1 .minnctapersm 2 .noreturn { ret; }\n.func f { ret; }"
    )
    vprintf, kernel, f = module.functions()

    assert (vprintf.kind, vprintf.linkage, vprintf.body) == ("func", ("extern",), None)
    assert vprintf.returns[0].declarators == (Declarator("r"),)
    assert vprintf.params[1].align == Literal("8")
    assert vprintf.params[1].declarators == (Declarator("b", dims=(Literal("16"),)),)
    assert kernel.params[0].pointer.space == "global"
    assert kernel.params[0].pointer.align == Literal("16")
    assert kernel.directive("maxntid").arguments == (Literal("256"), Literal("1"), Literal("1"))
    assert [directive.name for directive in kernel.directives] == ["maxntid", "minnctapersm", "noreturn"]
    assert (f.has_params, f.params) == (False, ())


def test_declarations_keep_space_type_count_dims_and_values():
    module = parse(
        HEADER + ".extern .shared .align 16 .b8 dyn[];\n"
        ".global .attribute(.managed, .unified(19, 95)) .align 4 .f32 m;\n"
        ".const .v4 .u32 c[2][3] = {{1, 0x2, 3}, {4}};\n"
        ".global .u64 g = generic(dyn) + 8;"
    )
    dyn, managed, table, generic = module.items

    assert (dyn.linkage, dyn.space, dyn.type, dyn.declarators[0].dims) == (
        ("extern",),
        "shared",
        "b8",
        (None,),
    )
    assert managed.attributes == (".managed", ".unified(19, 95)")
    assert (table.vector, table.declarators[0].dims) == (4, (Literal("2"), Literal("3")))
    assert table.declarators[0].initializer.elements[1] == Vector((Literal("4"),))
    assert generic.declarators[0].initializer == Binary("+", Call("generic", (Name("dyn"),)), Literal("8"))


def test_registers_are_declared_in_ranges_and_lists():
    registers, single = body(".reg .b32 %r<10>, %x;\n.reg .pred p;")

    assert registers.declarators == (Declarator("%r", 10), Declarator("%x"))
    assert (single.space, single.type) == ("reg", "pred")


# ---- instructions ---------------------------------------------------------------------------------


def test_an_instruction_keeps_opcode_modifiers_and_operands():
    found = instruction("@!%p1 ld.global.L1::no_allocate.L2::128B.v4.f32 {%f1, _, %f3, %f4}, [%rd1+-16];")

    assert found.predicate == Predicate("%p1", negated=True)
    assert found.opcode == "ld"
    assert found.modifiers == ("global", "L1::no_allocate", "L2::128B", "v4", "f32")
    assert found.operands == (
        Vector((Name("%f1"), Name("_"), Name("%f3"), Name("%f4"))),
        Address((Binary("+", Name("%rd1"), Unary("-", Literal("16"))),)),
    )


@pytest.mark.parametrize(
    ("text", "operands"),
    [
        ("mov.u32 %r1, %tid.x;", (Name("%r1"), Name("%tid", "x"))),
        (
            "setp.lt.and.s32 p|q, %r1, 4, !%p2;",
            (Pair(Name("p"), Name("q")), Name("%r1"), Literal("4"), Unary("!", Name("%p2"))),
        ),
        (
            "shfl.sync.bfly.b32 %r1|%p1, %r2, 16, 31, -1;",
            (
                Pair(Name("%r1"), Name("%p1")),
                Name("%r2"),
                Literal("16"),
                Literal("31"),
                Unary("-", Literal("1")),
            ),
        ),
        ("mov.u32 %r1, table[3];", (Name("%r1"), Subscript("table", Literal("3")))),
        ("vadd.s32.u32.s32 %r1, %r2.b0, %r3.h1;", (Name("%r1"), Name("%r2", "b0"), Name("%r3", "h1"))),
        (
            "call.uni (ret), f, (a, 2), proto;",
            (Arguments((Name("ret"),)), Name("f"), Arguments((Name("a"), Literal("2"))), Name("proto")),
        ),
        ("call f;", (Name("f"),)),
        ("mov.f32 %f1, 0f3F800000;", (Name("%f1"), Literal("0f3F800000"))),
        (
            "tex.2d.v4.f32.f32 {a,b,c,d}, [t, s, {x, y}];",
            (
                Vector((Name("a"), Name("b"), Name("c"), Name("d"))),
                Address((Name("t"), Name("s"), Vector((Name("x"), Name("y"))))),
            ),
        ),
        (
            "st.shared::cluster.b32 [%r1+4*(2+1)], %r2;",
            (
                Address(
                    (
                        Binary(
                            "+",
                            Name("%r1"),
                            Binary("*", Literal("4"), Binary("+", Literal("2"), Literal("1"))),
                        ),
                    )
                ),
                Name("%r2"),
            ),
        ),
        ("ret;", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_operands_of_every_form(text, operands):
    assert instruction(text).operands == operands


def test_an_unknown_opcode_and_modifier_are_kept():
    """A later PTX has them, and what they mean is for the reader of the tree to know."""
    assert instruction("frobnicate.sync.zz9::top %r1;").modifiers == ("sync", "zz9::top")


def test_inline_assembly_without_spaces_opens_a_scope_of_its_own():
    (scope,) = body("{.reg .f32 t;add.f32 t,%f1,%f1;@p mul.f32 t,t,t;mov.f32 %f2,t;}")

    assert isinstance(scope, Block)
    assert [type(statement) for statement in scope.statements] == [Variable, *[Instruction] * 3]


def test_labels_share_a_line_and_indirect_branches_keep_their_targets():
    found = body(
        "L0: L1: ts: .branchtargets L0, L1;\nbrx.idx %r1, ts;\n"
        "proto: .callprototype (.param .b32 _) _ (.param .b64 _) .noreturn;"
    )

    assert [type(s) for s in found] == [Label, Label, Label, Targets, Instruction, Label, Prototype]
    assert found[3].names == ("L0", "L1")
    assert found[6].params[0].declarators == (Declarator("_"),)


def test_locations_keep_the_call_that_was_inlined():
    loc, pragma = body(
        '.loc 2 196 12, function_name $L__info_string0+7, inlined_at 1 18 16\n.pragma "nounroll";'
    )

    assert (loc.file, loc.source_line, loc.source_column, loc.inlined_at) == (2, 196, 12, (1, 18, 16))
    assert loc.function == Binary("+", Name("$L__info_string0"), Literal("7"))
    assert pragma == Pragma(texts=("nounroll",))
    assert isinstance(loc, Loc)


def test_debug_sections_follow_the_code():
    module = parse(
        HEADER
        + '.file 1 "a.cu", 1700000000, 42\n.section .debug_info {\n.b64 $L__begin\n.b32 .debug_abbrev+4\n'
        "$L__x: .b8 1,0xff\n.b32 $L__end-$L__begin\n}\n@@DWARF .4byte 0x2b"
    )
    file, section, dwarf = module.items

    assert (file.index, file.name, file.stamps) == (1, "a.cu", (1700000000, 42))
    assert section.name == "debug_info"
    assert len(section.lines) == 5
    assert dwarf.text == "@@DWARF .4byte 0x2b"


def test_comments_stand_anywhere():
    assert parse("/* a\nb */ .version 8.0 // c\n.target sm_80").targets == ("sm_80",)


def test_lines_end_in_any_way_and_a_final_nul_is_no_part_of_the_text():
    """NVRTC hands out a C string; a checkout on Windows has carriage returns."""
    text = HEADER + ".entry k() {\n ret;\n}\n"

    assert parse(text.replace("\n", "\r\n") + "\0") == parse(text)


def test_places_count_lines_and_columns_from_one():
    add, sub = body("  add.u32 a, b, c;\n\tsub.u32 a, b, c;")

    assert ((add.line, add.column), (sub.line, sub.column)) == ((5, 3), (6, 2))


# ---- what is no PTX -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "  \n", "// only a comment\n"])
def test_an_empty_text_is_an_error(text):
    error = error_of(text)

    assert "empty" in str(error)
    assert (error.line, error.column) == (1, 1)


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("int main() {}", 1, 1, "'int' stands where '.version'"),
        (".version 8.0\n.target 80", 2, 9, "'80' stands where the target, as sm_80"),
        (HEADER + ".entry k() { add.u32 a, b }", 4, 27, "'}' stands where ',' or ';' after an operand"),
        (HEADER + ".entry k() {\n ret;", 5, 6, "the text ends inside the braces that line 4 opens"),
        (HEADER + ".entry k() { mov.f32 f, 0f3F80; }", 4, 25, "8 hexadecimal digits"),
        (HEADER + ".entry k() { mov.f64 f, 0d3F80; }", 4, 25, "16 hexadecimal digits"),
        (HEADER + f".global .b8 x[{'9' * 5000}];", 4, 15, "a number of more than 100 digits"),
        (HEADER + ".entry k() { 9lives; }", 4, 14, "a name does not begin with a digit"),
        (HEADER + ".global .f23 x;", 4, 9, "did you mean"),
        (HEADER + ".entry k() { .reg .b32 %r<x>; }", 4, 27, "the number of registers"),
        (HEADER + ".entry k() { %r1; }", 4, 14, "'%r1' is no instruction"),
        (HEADER + ".global .u32 x = \"a", 4, 18, "not closed on its line"),
        (HEADER + "/* open", 4, 1, "never closed"),
        (HEADER + "\n#include <x>", 5, 1, "preprocessor"),
        (HEADER + ".entry k() { add.u32 a, é, c; }", 4, 25, "begins nothing in PTX"),
        (HEADER + ".frobnicate x;", 4, 1, "a directive of a module"),
        (HEADER + ".entry k() { .frobnicate x; }", 4, 14, "a directive of a body"),
        (HEADER + ".loc 1 x 0", 4, 8, "a line of the source"),
        (HEADER + ".loc 1 0x 0", 4, 8, "a name does not begin with a digit"),
        (HEADER + ".file 1.5 \"a\"", 4, 7, "a whole number"),
        ("\0\1\2", 1, 1, "begins nothing in PTX"),
    ],
)  # fmt: skip
def test_an_error_names_line_column_and_what_belongs_there(text, line, column, says):
    error = error_of(text)

    assert (error.line, error.column) == (line, column)
    assert str(error).startswith(f"PTX line {line}, column {column}: ")
    assert says in str(error)


@pytest.mark.parametrize("opening", ["{", "-", "(", "1+("])
def test_nesting_without_end_is_an_error_and_not_a_crash(opening):
    """Guards: recursive descent on a hostile text runs out of Python's stack."""
    inside = opening * 5_000
    text = f"{HEADER}.entry k() {{ {inside}" if opening == "{" else f"{HEADER}.global .u32 x = {inside}"

    assert "nested more than 100" in str(error_of(text))


def test_an_endless_chain_of_operators_is_an_error():
    assert "more than 100 operators" in str(error_of(HEADER + ".global .u32 x = 1" + "+1" * 5_000 + ";"))
