"""Disassembly: instructions, their classes, and the line of PTX that each comes from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.artifacts.ptxas import read_log
from pytest_gpuemu.engine.artifacts.sass import SassInstruction, instruction_mix, read_disassembly, sass_class

# Printed by nvdisasm 13.1 (-c -gp), shortened.
NVDISASM = """\
\t.headerflags\t@"EF_CUDA_SM80"
//--------------------- .text.mix  --------------------------
\t.section\t.text.mix,"ax",@progbits
.text.mix:
        .type           mix,@function
mix:
\t//## File ".nv_debug_ptx_txt", line 40
        /*0000*/                   IMAD.MOV.U32 R1, RZ, RZ, c[0x0][0x28] ;
        /*0010*/              @!P0 STL [R1+0x10], R22 ;
\t//## File ".nv_debug_ptx_txt.1234", line 77
        /*0020*/                   LDG.E.128 R4, [R2.64] ;
.L_x_1:
        /*0030*/               @P0 BRA `(.L_x_1) ;
        /*0040*/                   NOP;
//--------------------- .text.other  --------------------------
.text.other:
        /*0000*/                   EXIT ;
"""
# Printed by cuobjdump 13.1 (-sass), shortened.
CUOBJDUMP = """\
\tcode for sm_80
\t\tFunction : mix
\t.headerflags\t@"EF_CUDA_SM80"
        /*0000*/                   MOV R1, c[0x0][0x28] ;       /* 0x00000a0000017a02 */
                                                                /* 0x000fe40000000f00 */
        /*0010*/                   LDG.E R49, [R2.64] ;         /* 0x0000000402317981 */
        /*0020*/                   NOP ;                        /* 0x0000000000007918 */
"""


def test_nvdisasm_gives_instructions_with_their_lines_of_ptx():
    assert read_disassembly(NVDISASM) == {
        "mix": (
            SassInstruction("IMAD.MOV.U32", 40),
            SassInstruction("STL", 40),
            SassInstruction("LDG.E.128", 77),
            SassInstruction("BRA", 77),
        ),
        "other": (SassInstruction("EXIT"),),
    }


def test_cuobjdump_gives_instructions_without_lines():
    assert read_disassembly(CUOBJDUMP) == {"mix": (SassInstruction("MOV"), SassInstruction("LDG.E"))}


@pytest.mark.parametrize("printed", ["", "nvdisasm fatal   : cannot open", "\n" * 5])
def test_what_is_no_disassembly_has_no_functions(printed):
    assert read_disassembly(printed) == {}


@pytest.mark.parametrize(
    ("opcode", "kind"),
    [
        ("LDG.E.128", "global_load"),
        ("LDGSTS.E.BYPASS.128", "async_copy"),
        ("LD.E", "generic_load"),
        ("LDL.LU", "local_load"),
        ("STL.64", "local_store"),
        ("LDS", "shared_load"),
        ("LDSM.16.M88.4", "tensor"),
        ("HMMA.16816.F32", "tensor"),
        ("HGMMA.64x64x16.F32", "tensor"),
        ("FFMA.FTZ", "float32"),
        ("DFMA", "float64"),
        ("HFMA2.MMA", "float16"),
        ("IMAD.MOV.U32", "integer"),
        ("IADD3.X", "integer"),
        ("MUFU.EX2", "special_function"),
        ("REDUX.SUM", "warp"),
        ("RED.E.ADD", "atomic"),
        ("BAR.SYNC", "barrier"),
        ("EXIT", "control"),
        ("S2R", "move"),
        ("ULDC.64", "constant_load"),
        ("FROB", "other"),
    ],
)
def test_each_opcode_has_a_class(opcode, kind):
    assert sass_class(opcode) == kind


def test_a_mix_counts_by_class():
    code = read_disassembly(NVDISASM)["mix"]

    assert instruction_mix(code) == {"control": 1, "global_load": 1, "integer": 1, "local_store": 1}


@given(st.text(), st.integers(0, len(NVDISASM)))
def test_any_output_of_a_tool_is_read_without_failing(text, at):
    """A tool of another release, or one that was killed, prints what it likes."""
    for printed in (text, NVDISASM[:at] + text, CUOBJDUMP[:at] + text):
        for code in read_disassembly(printed).values():
            assert all(instruction.opcode for instruction in code)
        assert all(usage.registers >= 0 for usage in read_log(printed).values())
