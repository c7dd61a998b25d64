"""The class of an instruction, and its floating-point operations."""

import pytest

from pytest_gpuemu.engine.artifacts.instruction_classes import (
    float_operations,
    instruction_class,
    is_atomic,
    is_block_barrier,
    is_branch,
    is_matrix_product,
)
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.tree import Instruction
from pytest_gpuemu.engine.artifacts.ptx.walk import instructions


def one(text: str) -> Instruction:
    (found,) = instructions(parse(f".version 8.0 .target sm_80 .entry k() {{ {text} }}").kernels[0])
    return found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("add.f32 a, b, c;", "float32"),
        ("fma.rn.f16x2 a, b, c, d;", "float16"),
        ("fma.rn.bf16 a, b, c, d;", "float16"),
        ("div.rn.f64 a, b, c;", "float64"),
        ("mad.lo.s32 a, b, c, d;", "integer"),
        ("mul.wide.u32 a, b, 4;", "integer"),
        ("popc.b32 a, b;", "integer"),
        ("rsqrt.approx.f32 a, b;", "special_function"),
        ("lop3.b32 a, b, c, d, 0x80;", "logic"),
        ("setp.lt.f32 p, a, b;", "compare"),
        ("cvt.rn.f16.f32 a, b;", "convert"),
        ("cvta.to.global.u64 a, b;", "move"),
        ("ld.global.f32 a, [p];", "load"),
        ("st.shared.f32 [p], a;", "store"),
        ("red.global.add.f32 [p], a;", "atomic"),
        ("cp.async.commit_group;", "async_copy"),
        ("prefetch.global.L2 [p];", "cache"),
        ("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {a}, [p];", "tensor"),
        ("tex.2d.v4.f32.f32 {a,b,c,d}, [t, {x,y}];", "texture"),
        ("bar.sync 0;", "barrier"),
        ("bar.warp.sync -1;", "warp"),
        ("shfl.sync.idx.b32 a, b, c, 31, -1;", "warp"),
        ("bra.uni L;", "control"),
        ("frobnicate.f32 a;", "other"),
    ],
)
def test_each_instruction_has_a_class(text, kind):
    assert instruction_class(one(text)) == kind


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("add.f32 a, b, c;", 1),
        ("fma.rn.f32 a, b, c, d;", 2),
        ("fma.rn.f16x2 a, b, c, d;", 4),
        ("add.f16x2 a, b, c;", 2),
        ("neg.f32 a, b;", 0),
        ("ex2.approx.f32 a, b;", 1),
        ("add.s32 a, b, c;", 0),
        ("ld.global.f32 a, [p];", 0),
        # 2 * 16 * 8 * 16 operations of the 32 threads of a warp.
        ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {a}, {b}, {c}, {d};", 128),
        # 2 * 64 * 64 * 16 operations of the 128 threads of four warps.
        ("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {a}, b, c, p, 1, 1, 0, 1;", 1024),
        ("tcgen05.mma.cta_group::1.kind::f16 [a], b, c, d, p;", None),
    ],
)
def test_floating_point_operations_are_those_of_one_thread(text, operations):
    assert float_operations(one(text)) == operations


@pytest.mark.parametrize(
    ("is_one", "yes", "no"),
    [
        (
            is_matrix_product,
            "wmma.mma.sync.aligned.row.col.m16n16k16.f32.f32 {a}, {b}, {c}, {d};",
            "wmma.load.a.sync.aligned.row.m16n16k16.f16 {a}, [p], 16;",
        ),
        (
            is_matrix_product,
            "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {a}, b, c, p, 1, 1, 0, 1;",
            "wgmma.commit_group.sync.aligned;",
        ),
        (is_block_barrier, "barrier.cluster.arrive.aligned;", "bar.warp.sync -1;"),
        (is_block_barrier, "bar.red.popc.u32 a, 0, p;", "membar.gl;"),
        (is_branch, "brx.idx a, ts;", "ret;"),
        (is_atomic, "atom.shared.cas.b32 a, [p], b, c;", "st.shared.b32 [p], a;"),
        (is_atomic, "multimem.red.global.add.f32 [p], a;", "multimem.ld_reduce.global.add.f32 a, [p];"),
    ],
)
def test_what_is_counted_and_its_neighbour_that_is_not(is_one, yes, no):
    assert is_one(one(yes))
    assert not is_one(one(no))
