"""ptxas: what its log says, and what becomes of PTX that it refuses."""

from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.ptxas import Frame, NoToolFits, assemble, read_log
from pytest_gpuemu.engine.artifacts.tools import Tool
from pytest_gpuemu.engine.errors import ArtifactError

# As ptxas 12.9 prints it (-v, sm_80), with other figures: the first kernel calls a function, and both spill.
LOG = """\
ptxas info    : 331 bytes gmem, 256 bytes cmem[3], 72 bytes cmem[4]
ptxas info    : Compiling entry function 'callee' for 'sm_80'
ptxas info    : Function properties for callee
    32 bytes stack frame, 24 bytes spill stores, 40 bytes spill loads
ptxas info    : Used 19 registers, used 2 barriers, 48 bytes cumulative stack size, 1024 bytes smem, \
364 bytes cmem[0], 8 bytes cmem[2]
ptxas info    : Compile time = 16.217 ms
ptxas info    : Function properties for _Z6helperfi
    16 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads
ptxas info    : Compiling entry function 'vadd' for 'sm_80'
ptxas info    : Function properties for vadd
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, used 0 barriers, 380 bytes cmem[0]
ptxas info    : Compile time = 1.333 ms
"""
# As an older ptxas prints it, and a newer one for sm_90, which says nothing of constants.
OTHER_LOGS = """\
ptxas info    : Compiling entry function 'old' for 'sm_52'
ptxas info    : Function properties for old
    8 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, 512 bytes smem, 328 bytes cmem[0]
ptxas info    : Compiling entry function 'hopper' for 'sm_90'
ptxas info    : Function properties for hopper
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 64 registers, used 1 barriers
"""


def fake(folder: Path, name: str, log: str, exit_code: int) -> Tool:
    """A ptxas that prints this log."""
    path = folder / name
    (folder / f"{name}.log").write_text(log)
    path.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncat "{folder}/{name}.log" >&2\n'
        f'[ {exit_code} = 0 ] && echo cubin > "$last"\nexit {exit_code}\n'
    )
    path.chmod(0o755)
    return Tool(name, path, "12.9")


def test_the_log_says_what_each_kernel_takes():
    usages = read_log(LOG)

    assert list(usages) == ["callee", "vadd"]
    callee = usages["callee"]
    assert (callee.registers, callee.barriers, callee.shared_bytes) == (19, 2, 1024)
    assert callee.stack_bytes == 48  # with the function that it calls
    assert callee.constant_bytes == {0: 364, 2: 8}
    assert callee.frames == {"callee": Frame(32, 24, 40), "_Z6helperfi": Frame(16, 4, 8)}
    assert (callee.spill_store_bytes, callee.spill_load_bytes) == (28, 48)
    assert usages["vadd"].frames == {"vadd": Frame()}


def test_logs_of_other_releases_and_architectures_are_read():
    usages = read_log(OTHER_LOGS)

    assert (usages["old"].registers, usages["old"].barriers, usages["old"].stack_bytes) == (10, 0, 8)
    assert usages["old"].shared_bytes == 512
    assert (usages["hopper"].registers, usages["hopper"].barriers) == (64, 1)


@pytest.mark.parametrize("log", ["", "ptxas info : Used 3 registers", "garbage\n" * 10, LOG[:200]])
def test_a_log_without_kernels_says_nothing(log):
    assert read_log(log) == {}


def test_the_first_tool_that_knows_the_ptx_assembles_it(tmp_path):
    old = fake(
        tmp_path,
        "old",
        "ptxas kernel.ptx, line 5; fatal   : Unsupported .version 9.4; current version is '8.8'",
        255,
    )
    unknown = fake(
        tmp_path, "unknown", "ptxas fatal   : Value 'sm_120' is not defined for option 'gpu-name'", 255
    )
    new = fake(tmp_path, "new", LOG, 0)

    built = assemble("", "sm_120", [old, unknown, new])

    assert (built.tool, list(built.usages), built.cubin) == (new, ["callee", "vadd"], b"cubin\n")
    with pytest.raises(NoToolFits, match=r"old 12\.9 .*Unsupported \.version 9\.4.*unknown 12\.9 .*'sm_120'"):
        assemble("", "sm_120", [old, unknown])


def test_ptx_that_ptxas_refuses_shows_its_log(tmp_path):
    log = "ptxas kernel.ptx, line 4; error   : Not a name of any known instruction: 'foo'\nptxas fatal : x"
    refusing, working = fake(tmp_path, "ptxas", log, 255), fake(tmp_path, "new", LOG, 0)

    with pytest.raises(ArtifactError) as caught:
        assemble("", "sm_80", [refusing, working])

    assert str(caught.value) == f"ptxas 12.9 refuses the PTX for sm_80:\n{log}"
