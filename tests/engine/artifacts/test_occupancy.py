"""Occupancy against the table that NVIDIA's own calculator gave."""

import csv
from pathlib import Path

import pytest

from pytest_gpuemu.engine.artifacts.occupancy import compute_capability, occupancy
from pytest_gpuemu.engine.errors import ArtifactError

# Printed by cudaOccMaxActiveBlocksPerMultiprocessor of cuda_occupancy.h (CUDA 12.9), compiled with g++; one
# kernel a line: capability, registers of a thread, threads of a block, shared bytes, barriers, blocks.
CALCULATED = Path(__file__).parent / "data" / "occupancy.csv"


def occupancy_of(arch: str, **given):
    kernel = {"block_threads": 256, "block_threads_source": "given", "registers": 32, "shared_bytes": 0}
    return occupancy(arch, **{**kernel, **given})


def test_the_blocks_are_those_of_the_occupancy_calculator():
    with CALCULATED.open() as file:
        _, *lines = csv.reader(file)
    wrong = []
    for line in lines:
        capability, registers, threads, shared, barriers, blocks = map(int, line)
        found = occupancy_of(
            f"sm_{capability}",
            block_threads=threads,
            registers=registers,
            shared_bytes=shared,
            barriers=barriers,
        )
        if found.blocks != blocks:
            wrong.append((line, found))

    assert len(lines) > 500
    assert wrong == []


@pytest.mark.parametrize(
    ("given", "blocks", "limited_by"),
    [
        ({}, 8, ("warps", "registers")),  # 64 warps of 1,024 registers are all 65,536
        ({"registers": 33}, 6, ("registers",)),  # 1,280 registers a warp: 12 in each quarter, 48 warps
        ({"block_threads": 32, "registers": 16}, 32, ("blocks",)),
        ({"registers": 16, "shared_bytes": 40 * 1024}, 4, ("shared memory",)),  # 41 KiB each, of 164 KiB
        ({"registers": 16, "shared_bytes": 163 * 1024}, 1, ("shared memory",)),
        ({"registers": 16, "shared_bytes": 163 * 1024 + 1}, 0, ("shared memory",)),
        ({"block_threads": 1024, "registers": 65}, 0, ("registers",)),
        ({"block_threads": 1056, "registers": 16}, 0, ("warps",)),
    ],
)
def test_what_limits_a_kernel_on_sm_80_is_named(given, blocks, limited_by):
    found = occupancy_of("sm_80", **given)

    assert (found.blocks, found.limited_by) == (blocks, limited_by)
    assert found.share == found.warps / 64


@pytest.mark.parametrize("threads", [0, -32])
def test_a_block_of_no_threads_is_an_error(threads):
    with pytest.raises(ArtifactError, match=f"a block of {threads} threads: give 1 to 1024"):
        occupancy_of("sm_80", block_threads=threads)


def test_an_architecture_of_unknown_limits_has_no_occupancy():
    assert occupancy_of("sm_999") is None


@pytest.mark.parametrize(
    ("arch", "capability"), [("sm_80", (8, 0)), ("sm_90a", (9, 0)), ("sm_103f", (10, 3)), ("sm_120", (12, 0))]
)
def test_an_architecture_has_a_compute_capability(arch, capability):
    assert compute_capability(arch) == capability


@pytest.mark.parametrize("arch", ["80", "sm_8", "sm_80x", "compute_80", "sm80", ""])
def test_what_is_no_architecture_is_refused(arch):
    with pytest.raises(ArtifactError, match="write it as 'sm_80'"):
        compute_capability(arch)
