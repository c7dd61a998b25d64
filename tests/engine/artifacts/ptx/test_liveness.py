"""Where the most values are live, on functions small enough to count by hand."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.ptx.liveness import pressure
from pytest_gpuemu.engine.artifacts.ptx.parse import parse

DATA = Path(__file__).parents[1] / "data"
DECLARED = ".reg .b32 a, b, c, d; .reg .b64 p, q; .reg .pred z; .reg .v2 .f32 v;\n"


def pressure_of(code: str) -> tuple[int, list[str]]:
    """Words, and the instructions with their lines; the code begins on line 4."""
    (kernel,) = parse(f".version 8.0\n.target sm_80\n.entry k() {{ {DECLARED}{code}\n}}").kernels
    found = pressure(kernel)
    return found.words, [f"{instruction.name} {instruction.line}" for instruction in found.instructions]


def test_a_straight_line_holds_what_is_read_later():
    """p (2 words) from line 4; a and b beside it until the addition; then c alone."""
    words, where = pressure_of(
        "ld.param.u64 p, [x];\nld.global.b32 a, [p];\nld.global.b32 b, [p+4];\nadd.s32 c, a, b;\n"
        "st.global.b32 [p], c;"
    )

    assert (words, where) == (4, ["ld.global.b32 6"])


def test_a_value_that_nobody_reads_is_not_live():
    assert pressure_of("mov.b32 a, 1;\nmov.b32 b, 2;\nst.global.b32 [0], b;") == (1, ["mov.b32 5"])


def test_predicates_have_registers_of_their_own():
    assert pressure_of("setp.eq.s32 z, 1, 1;\n@z st.global.b32 [0], 1;")[0] == 0


def test_a_value_read_in_a_loop_is_live_throughout_it():
    """a comes from outside and is read at the loop's top, so it lives behind the jump back as well."""
    words, where = pressure_of(
        "mov.b32 a, 1;\nmov.b32 b, 0;\nTOP:\nadd.s32 b, b, a;\nmov.b32 c, b;\nst.global.b32 [0], c;\n"
        "setp.lt.s32 z, b, 9;\n@z bra TOP;\nret;"
    )

    assert (words, where) == (3, ["mov.b32 8"])


def test_both_sides_of_a_branch_count():
    words, where = pressure_of(
        "mov.b32 a, 1;\nmov.b32 b, 2;\nmov.b32 c, 3;\n@z bra OTHER;\nst.global.b32 [0], a;\nret;\n"
        "OTHER:\nadd.s32 d, b, c;\nst.global.b32 [0], d;"
    )

    assert (words, where) == (3, ["mov.b32 6", "bra 7"])


def test_an_indirect_branch_reaches_its_targets():
    words, _ = pressure_of(
        "mov.b32 a, 1;\nmov.b32 b, 2;\nts: .branchtargets L0, L1;\nbrx.idx c, ts;\n"
        "L0: st.global.b32 [0], a;\nret;\nL1: st.global.b32 [0], b;"
    )

    assert words == 3


def test_a_predicated_write_keeps_the_old_value():
    words, _ = pressure_of(
        "mov.b32 a, 1;\nmov.b32 b, 2;\n@z mov.b32 a, 3;\nadd.s32 c, a, b;\nst.global.b32 [0], c;"
    )

    assert words == 2
    assert pressure_of("mov.b32 a, 1;\n@z mov.b32 a, 3;\nst.global.b32 [0], a;")[1] == [
        "mov.b32 4",
        "mov.b32 5",
    ]


def test_vectors_and_wide_registers_count_their_words():
    assert pressure_of("mov.b64 p, 1;\nmov.b64 v, p;\nst.global.b64 [p], v;")[0] == 4


def test_a_range_may_have_a_name_that_ends_in_digits_and_a_name_may_be_long():
    code = ".reg .b64 %r1<4>;\nmov.b64 %r13, 1;\nst.global.b64 [0], %r13;\nmov.b32 %r14, x" + "9" * 5000 + ";"

    assert pressure_of(code) == (2, ["mov.b64 5"])


def test_a_text_that_declares_billions_of_registers_ends():
    code = ".reg .b32 %r<4000000000>;\nmov.b32 %r3999999999, 1;\nst.global.b32 [0], %r3999999999;"

    assert pressure_of(code)[0] == 1


@pytest.mark.parametrize("path", sorted(DATA.glob("*.ptx")), ids=lambda path: path.stem)
def test_real_kernels_hold_something_and_no_more_than_they_declare(path):
    for kernel in parse(path.read_text()).kernels:
        found = pressure(kernel)

        assert (
            0
            < found.words
            <= 4
            * sum(
                declarator.count or 1
                for variable in kernel.body.statements
                if getattr(variable, "space", "") == "reg"
                for declarator in variable.declarators
            )
        )
        assert found.instructions
