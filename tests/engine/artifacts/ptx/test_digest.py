"""The digest of a kernel: the same for the same code, another one for other code."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.ptx.digest import kernel_digest
from pytest_gpuemu.engine.artifacts.ptx.parse import parse

TEXT = (Path(__file__).parents[1] / "data" / "nvrtc_vector_add.ptx").read_text()


def digest(text: str, name: str = "add_vec4") -> str:
    module = parse(text)
    (kernel,) = (found for found in module.kernels if found.name == name)
    return kernel_digest(module, kernel)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "ld.global.v4.f32 \t{%f1, %f2, %f3, %f4}, [%rd6];",
            "ld.global.v4.f32 {%f1,%f2,%f3,%f4},[%rd6]; // a",
        ),
        (".loc\t1 4 9", ".loc\t1 400 9"),
        ("\tret;", "$L__tmp7:\n\tret;"),
        (".version 8.8", ".version 8.7"),
        ('.file\t1 "vector_add.cu"', '.file\t1 "moved/vector_add.cu"'),
        ("add.f32 \t%f3, %f2, %f1;", "sub.f32 \t%f3, %f2, %f1;"),  # of the other kernel
    ],
)
def test_what_is_no_code_of_the_kernel_leaves_the_digest_as_it_is(old, new):
    assert old in TEXT

    assert digest(TEXT.replace(old, new)) == digest(TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("add.f32 \t%f17, %f4, %f12;", "sub.f32 \t%f17, %f4, %f12;"),
        ("setp.ge.s32 \t%p1, %r1, %r2;", "setp.gt.s32 \t%p1, %r1, %r2;"),
        ("@%p1 bra", "@!%p1 bra"),
        ("mul.wide.s32 \t%rd5, %r1, 16;", "mul.wide.s32 \t%rd5, %r1, 8;"),
    ],
)
def test_other_code_has_another_digest(old, new):
    assert old in TEXT

    assert digest(TEXT.replace(old, new, 1)) != digest(TEXT)


def test_a_function_or_a_table_that_the_kernel_uses_is_part_of_it():
    text = (
        ".version 8.0 .target sm_80\n.const .b32 t[2] = {1, 2};\n.func f () { mov.b32 a, 1; ret; }\n"
        ".entry k() { call f; mov.u64 b, t; ret; }"
    )

    assert digest(text.replace("{1, 2}", "{1, 3}"), "k") != digest(text, "k")
    assert digest(text.replace("mov.b32 a, 1", "mov.b32 a, 2"), "k") != digest(text, "k")
