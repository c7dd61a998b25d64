"""Walking over real PTX: reach, names, and the source line of a line of PTX."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.ptx.constants import literal_value, whole
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.tree import Function
from pytest_gpuemu.engine.artifacts.ptx.walk import SourceLines, instructions, reached_functions

DATA = Path(__file__).parents[1] / "data"
HEADER = ".version 8.0\n.target sm_80\n"


def line_of(text: str, words: str) -> int:
    (number,) = (number for number, line in enumerate(text.split("\n"), 1) if words in line)
    return number


def test_an_instruction_has_the_line_of_its_source():
    """The source stands beside the PTX: the vector addition's store is on line 5 of vector_add.cu."""
    text = (DATA / "nvrtc_vector_add.ptx").read_text()
    source = (DATA / "vector_add.cu").read_text().split("\n")

    found = SourceLines(parse(text), text).at(line_of(text, "st.global.v4.f32"))

    assert (found.file, found.line, found.inlined_at) == ("vector_add.cu", 5, ())
    assert "c[i] = make_float4" in source[found.line - 1]
    assert found.ptx_text.startswith("st.global.v4.f32")


def test_an_inlined_instruction_leads_to_the_call_in_the_kernel():
    """tl.max is Triton's own Python; the kernel calls it on line 10 of row_max.py."""
    text = (DATA / "triton_row_max.ptx").read_text()
    source = (DATA / "row_max.py").read_text().split("\n")

    found = SourceLines(parse(text), text).at(line_of(text, "bar.sync"))

    assert found.file == "triton/language/standard.py"
    assert found.inlined_at[-1] == ("/kernels/row_max.py", 10)
    assert "tl.max(value, 0)" in source[9]


def test_a_chain_of_inlined_calls_is_followed_outwards():
    text = HEADER + (
        '.file 1 "k.cu"\n.file 2 "h.cuh"\n.entry k() {\n.loc 2 20 3, function_name $L1, inlined_at 1 9 5\n'
        "mov.b32 a, b;\n.loc 2 30 1, function_name $L2, inlined_at 2 20 3\nadd.u32 a, a, 1;\n}"
    )

    found = SourceLines(parse(text), text).at(line_of(text, "add.u32"))

    assert (found.file, found.line) == ("h.cuh", 30)
    assert found.inlined_at == (("h.cuh", 20), ("k.cu", 9))


def test_of_two_calls_of_one_line_the_one_above_is_meant():
    """The same helper line is inlined twice, from line 9 and from line 11."""
    text = HEADER + (
        '.file 1 "k.cu"\n.file 2 "h.cuh"\n.entry k() {\n'
        ".loc 2 20 3, inlined_at 1 9 5\nmov.b32 a, b;\n.loc 2 30 1, inlined_at 2 20 3\nadd.u32 a, a, 1;\n"
        ".loc 2 20 3, inlined_at 1 11 5\nmov.b32 c, d;\n.loc 2 30 1, inlined_at 2 20 3\nsub.u32 a, a, 1;\n}"
    )
    lines = SourceLines(parse(text), text)

    assert lines.at(line_of(text, "add.u32")).inlined_at[-1] == ("k.cu", 9)
    assert lines.at(line_of(text, "sub.u32")).inlined_at[-1] == ("k.cu", 11)


def test_a_location_that_names_itself_ends():
    text = (
        HEADER
        + '.file 1 "k.cu"\n.entry k() {\n.loc 1 2 3, inlined_at 1 2 3\n.loc 1 2 3, inlined_at 1 2 3\nret;\n}'
    )

    assert SourceLines(parse(text), text).at(line_of(text, "ret;")).inlined_at == (("k.cu", 2),)


def test_a_location_ends_with_its_function_and_line_zero_is_unknown():
    """Guards: an instruction of the second kernel must not be put down to the first one's last line."""
    text = (
        HEADER
        + '.file 1 "k.cu"\n.entry a() {\n.loc 1 7 1\nret;\n.loc 1 0 1\ntrap;\n}\n.entry b() {\nexit;\n}'
    )
    lines = SourceLines(parse(text), text)

    assert lines.at(line_of(text, "ret;")).line == 7
    assert (lines.at(line_of(text, "trap;")).file, lines.at(line_of(text, "trap;")).line) == ("k.cu", None)
    assert lines.at(line_of(text, "exit;")).file is None
    assert lines.at(1).file is None
    assert lines.at(10_000).ptx_text == ""


def test_functions_are_reached_through_calls_and_addresses():
    module = parse(
        HEADER + ".func direct () { call inner; ret; } .func inner () { ret; } .func indirect () { ret; }\n"
        ".func lonely () { ret; } .extern .func outside ();\n"
        ".entry k() { call direct; mov.u64 %rd1, indirect; call outside; call %rd1, (), proto; ret; }"
    )

    reached = reached_functions(module, module.kernels[0])

    assert [function.name for function in reached] == ["k", "direct", "indirect", "inner"]


def test_instructions_of_scopes_come_in_the_order_of_the_text():
    (kernel,) = parse(
        HEADER + ".entry k() { mov.b32 a, b; { add.u32 a, b, c; { sub.u32 a, b, c; } } ret; }"
    ).kernels

    assert [instruction.opcode for instruction in instructions(kernel)] == ["mov", "add", "sub", "ret"]
    assert isinstance(kernel, Function)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12), ("12U", 12), ("0x1F", 31), ("0b101", 5), ("017", 15), ("0", 0),
        ("0f3F800000", 1.0), ("0fBF800000", -1.0), ("0d4008000000000000", 3.0), ("1.5", 1.5), ("2e-3", 0.002),
    ],
)  # fmt: skip
def test_a_literal_has_its_value(text, value):
    assert literal_value(text) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [("4*(2+1)", 12), ("-8", -8), ("1<<4", 16), ("~0", -1), ("x+4", None), ("1.5", None), ("1<<99", None)],
)
def test_a_whole_constant_expression_has_its_value(expression, value):
    (variable,) = parse(f"{HEADER}.global .u32 v = {expression};").items

    assert whole(variable.declarators[0].initializer) == value
