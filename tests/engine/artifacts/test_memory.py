"""What an instruction does to memory: kind, space, bytes of one thread, vector width."""

import pytest

from pytest_gpuemu.engine.artifacts.memory import access
from pytest_gpuemu.engine.artifacts.ptx.parse import parse
from pytest_gpuemu.engine.artifacts.ptx.walk import instructions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ld.global.f32 a, [p];", ("load", "global", 4, 1)),
        ("ld.global.nc.L1::evict_last.v4.b32 {a,b,c,d}, [p];", ("load", "global", 16, 4)),
        ("ld.volatile.shared::cta.v2.f64 {a,b}, [p];", ("load", "shared", 16, 2)),
        ("ld.u8 a, [p];", ("load", "generic", 1, 1)),
        ("ld.param::entry.b128 a, [p];", ("load", "param", 16, 1)),
        ("ld.const.s16 a, [p];", ("load", "const", 2, 1)),
        ("st.local.v2.f16x2 [p], {a,b};", ("store", "local", 8, 2)),
        ("st.global.bf16 [p], a;", ("store", "global", 2, 1)),
        ("atom.global.cas.b64 a, [p], b, c;", ("atomic", "global", 8, 1)),
        ("red.shared.add.noftz.f16x2 [p], a;", ("reduction", "shared", 4, 1)),
        ("multimem.ld_reduce.relaxed.sys.global.add.v4.f32 {a,b,c,d}, [p];", ("load", "global", 16, 4)),
        ("cp.async.cg.shared.global.L2::128B [a], [b], 16, n;", ("async_copy", "global", 16, 1)),
        ("cp.async.ca.shared.global [a], [b], 4;", ("async_copy", "global", 4, 1)),
        ("cp.async.commit_group;", None),
        ("cp.async.wait_group 2;", None),
        ("cp.async.mbarrier.arrive.noinc.shared.b64 [m];", None),
        (
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [a], [b], 512, [m];",
            ("bulk_copy", "global", 512, 1),
        ),
        ("cp.async.bulk.commit_group;", None),
        (
            "cp.async.bulk.tensor.1d.shared::cta.global.mbarrier::complete_tx::bytes [a], [t, {x}], [m];",
            ("bulk_copy", "global", 0, 1),
        ),
        ("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {a,b,c,d}, [p];", ("load", "shared", 16, 1)),
        ("stmatrix.sync.aligned.m8n8.x2.shared.b16 [p], {a,b};", ("store", "shared", 8, 1)),
        # A 16 x 16 matrix of 2-byte elements over 32 threads; the accumulator has 4-byte elements.
        ("wmma.load.a.sync.aligned.row.m16n16k16.global.f16 {a}, [p], 16;", ("load", "global", 16, 1)),
        ("wmma.store.d.sync.aligned.row.m16n16k16.shared.f32 [p], {a}, 16;", ("store", "shared", 32, 1)),
        ("prefetch.global.L2 [p];", ("prefetch", "global", 0, 1)),
        ("tex.1d.v4.f32.s32 {a,b,c,d}, [t, {x}];", ("texture", "texture", 0, 1)),
        ("mov.b32 a, b;", None),
        ("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {a}, {b}, {c}, {d};", None),
    ],
)
def test_an_access_is_read_off_the_instruction(text, expected):
    (found,) = instructions(parse(f".version 8.0 .target sm_80 .entry k() {{ {text} }}").kernels[0])

    assert access(found) == expected
