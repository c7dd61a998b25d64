"""The figures that PTX gives, counted by hand."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.data import KernelMetrics, MemoryOperations
from pytest_gpuemu.engine.artifacts.metrics import ptx_metrics
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.walk import SourceLines

DATA = Path(__file__).parent / "data"
HEADER = ".version 8.0\n.target sm_80\n.address_size 64\n"


def metrics_of(text: str, kernel: str | None = None) -> KernelMetrics:
    module = parse(text)
    (entry,) = (found for found in module.kernels if kernel in (None, found.name))
    return ptx_metrics(module, entry, SourceLines(module, text))


def test_registers_are_counted_by_type():
    """`%r<5>` declares %r0 to %r4; a vector register is one for each of its elements; scopes count too."""
    found = metrics_of(
        HEADER + ".entry k() { .reg .b32 %r<5>, a; .reg .pred p; .reg .v4 .f32 v; { .reg .f32 t; } ret; }"
    )

    assert found.virtual_registers_by_type == {"b32": 6, "f32": 5, "pred": 1}
    assert found.virtual_registers == 12


def test_a_real_kernel_is_counted_as_by_hand():
    """add_vec4 of nvrtc_vector_add.ptx: read off the text, instruction by instruction."""
    found = metrics_of((DATA / "nvrtc_vector_add.ptx").read_text(), "add_vec4")

    assert found.virtual_registers_by_type == {"b32": 6, "b64": 11, "f32": 21, "pred": 2}
    assert found.instruction_count == 25
    assert found.instruction_mix == {
        "float32": 4,  # add.f32
        "integer": 5,  # mad.lo, mul.wide, add.s64 x 3
        "compare": 1,
        "move": 6,  # mov x 3, cvta x 3
        "load": 6,  # ld.param x 4, ld.global.v4 x 2
        "store": 1,
        "control": 2,  # bra, ret
    }
    assert (found.branches, found.barriers, found.atomics, found.tensor_core) == (1, 0, 0, 0)
    assert [op for op in found.memory_operations if op.space == "global"] == [
        MemoryOperations(kind="load", space="global", width_bytes=16, vector=4, count=2),
        MemoryOperations(kind="store", space="global", width_bytes=16, vector=4, count=1),
    ]
    assert {pattern.name: pattern.count for pattern in found.patterns_found} == {
        "vector_load": 2,
        "vector_store": 1,
    }
    assert found.arithmetic_intensity == 4 / 48  # four additions; two loads and a store of 16 bytes


def test_a_function_that_the_kernel_calls_is_counted_once_and_others_are_not():
    text = HEADER + (
        ".func used (.reg .f32 x) { .reg .f32 %f<3>; add.f32 %f1, x, x; bar.sync 0; ret; }\n"
        ".func inner () { ret; }\n"
        ".func unused () { .reg .b32 %r<100>; bar.sync 0; ret; }\n"
        ".entry k() { .reg .f32 %f<2>; call used, (%f1); call used, (%f1); call inner; ret; }"
    )

    found = metrics_of(text)

    assert found.virtual_registers == 5
    assert found.instruction_count == 4 + 3 + 1
    assert found.barriers == 1


def test_a_recursive_function_ends():
    assert (
        metrics_of(HEADER + ".func f () { call f; ret; } .entry k() { call f; ret; }").instruction_count == 4
    )


def test_declared_memory_is_that_which_the_kernel_uses_laid_out_by_alignment():
    text = HEADER + (
        ".shared .align 16 .b8 other[4096];\n.shared .b8 flag;\n.shared .align 8 .f64 tile[2][4];\n"
        ".extern .shared .align 16 .b8 dyn[];\n.const .align 4 .f32 table[10];\n"
        ".entry k() { .local .align 4 .b8 depot[12]; .reg .b64 %rd<9>;\n"
        " mov.u64 %rd1, flag; mov.u64 %rd2, tile; mov.u64 %rd3, depot; ld.const.f32 %f1, [table+4]; ret; }\n"
        ".entry d() { mov.u64 %rd1, dyn; ret; }"
    )

    found = metrics_of(text, "k")

    assert found.shared_memory_bytes == 8 + 64  # the flag's byte, padded to 8, then 8 doubles
    assert (found.declared_local_bytes, found.const_memory_bytes) == (12, 40)
    assert not found.uses_dynamic_shared
    assert metrics_of(text, "d").uses_dynamic_shared


@pytest.mark.parametrize(
    ("code", "intensity"),
    [
        ("ld.global.f32 a, [p]; fma.rn.f32 a, a, a, a; st.global.f32 [p], a;", 2 / 8),
        ("ld.shared.f32 a, [p]; add.f32 a, a, a;", None),  # it moves no global memory
        ("cp.async.cg.shared.global [a], [b], 16; add.f32 a, a, a;", 1 / 16),
        ("prefetch.global.L2 [p]; ld.f32 a, [p]; add.f32 a, a, a;", 1 / 4),
        ("ld.global.f32 a, [p]; tcgen05.mma.cta_group::1.kind::f16 [a], b, c, d, p;", None),
        ("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [a], [b], n, [m];", None),
    ],
)
def test_arithmetic_intensity_is_operations_over_bytes_of_global_memory(code, intensity):
    assert metrics_of(HEADER + f".entry k() {{ {code} }}").arithmetic_intensity == intensity


def test_each_figure_names_its_tool_and_unit():
    found = metrics_of(HEADER + ".entry k() { ret; }")

    assert all(source.startswith("PTX: ") for source in found.sources.values())
    assert found.register_count is None
    assert "register_count" not in found.sources
    for figure in found.sources:
        assert hasattr(found, figure)
