"""How many blocks and warps of a kernel one multiprocessor holds at once.

Here: the limits of each compute capability, and the count by them.
Elsewhere: the kernel's registers, shared memory and barriers (ptxas.py).
Limits: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability". How registers, shared
memory and barriers are given out: cuda_occupancy.h of the CUDA toolkit 12.9.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pytest_gpuemu.engine.artifacts.data import Occupancy
from pytest_gpuemu.engine.errors import ArtifactError, shortened

SOURCE = "CUDA C++ Programming Guide, limits of the compute capability"
THREADS_PER_WARP = 32
MAX_BLOCK_THREADS = 1024
MAX_REGISTERS_PER_THREAD = 255
REGISTERS = 65536  # of a multiprocessor, and the most for a block: from 5.3 on, all that is below
_SUBPARTITIONS = 4  # each with a quarter of the registers
_REGISTER_UNIT = 256  # registers are given to a warp in steps of this
_ARCH = re.compile(r"sm_(\d+)(\d)[af]?")


class Multiprocessor(NamedTuple):
    """max_warps and max_blocks at once; shared memory in bytes: of all blocks, and the most of one block
    (after opting in); reserved_bytes are taken from each block's share; barriers_per_block is how many named
    barriers there are for each of max_blocks blocks, 0 where they do not limit."""

    max_warps: int
    max_blocks: int
    shared_bytes: int
    max_block_shared_bytes: int
    shared_unit: int
    reserved_bytes: int
    barriers_per_block: int


def _sm(
    warps: int, blocks: int, shared_kib: int, barriers: int = 0, *, volta: bool = False
) -> Multiprocessor:
    reserved_kib = 0 if volta else 1
    return Multiprocessor(
        max_warps=warps,
        max_blocks=blocks,
        shared_bytes=shared_kib * 1024,
        max_block_shared_bytes=(shared_kib - reserved_kib) * 1024,
        shared_unit=256 if volta else 128,
        reserved_bytes=reserved_kib * 1024,
        barriers_per_block=barriers,
    )


MULTIPROCESSORS = {
    (7, 0): _sm(64, 32, 96, volta=True),
    (7, 2): _sm(64, 32, 96, volta=True),
    (7, 5): _sm(32, 16, 64, volta=True),
    (8, 0): _sm(64, 32, 164),
    (8, 6): _sm(48, 16, 100),
    (8, 7): _sm(48, 16, 164),
    (8, 9): _sm(48, 24, 100),
    (9, 0): _sm(64, 32, 228, 2),
    (10, 0): _sm(64, 32, 228, 2),
    (10, 3): _sm(64, 32, 228, 2),
    (12, 0): _sm(48, 24, 100, 1),
    (12, 1): _sm(48, 24, 100, 1),
}


def compute_capability(arch: str) -> tuple[int, int]:
    """(8, 0) for "sm_80", (12, 0) for "sm_120", (9, 0) for "sm_90a". Raises ArtifactError for others."""
    match = _ARCH.fullmatch(arch)
    if match is None:
        raise ArtifactError(f"arch {shortened(arch)} is no architecture: write it as 'sm_80' or 'sm_90a'")
    return int(match[1]), int(match[2])


def occupancy(
    arch: str,
    *,
    block_threads: int,
    block_threads_source: str,
    registers: int,
    shared_bytes: int,
    barriers: int = 0,
) -> Occupancy | None:
    """Blocks of this size that one multiprocessor holds; None for an architecture whose limits are not known.

    registers are per thread, shared_bytes per block, static and dynamic. 0 blocks: one does not fit at all.
    Raises ArtifactError for a block of no threads.
    """
    if block_threads < 1:
        raise ArtifactError(f"a block of {block_threads} threads: give 1 to {MAX_BLOCK_THREADS}")
    limits = MULTIPROCESSORS.get(compute_capability(arch))
    if limits is None:
        return None
    warps = -(-block_threads // THREADS_PER_WARP)
    by = {
        "warps": limits.max_warps // warps if block_threads <= MAX_BLOCK_THREADS else 0,
        "blocks": limits.max_blocks,
        "registers": _blocks_by_registers(registers, warps, limits),
        "shared memory": _blocks_by_shared(shared_bytes, limits),
    }
    if barriers and limits.barriers_per_block:
        by["barriers"] = limits.max_blocks * limits.barriers_per_block // barriers
    blocks = min(by.values())
    return Occupancy(
        block_threads=block_threads,
        block_threads_source=block_threads_source,
        blocks=blocks,
        warps=blocks * warps,
        max_warps=limits.max_warps,
        limited_by=tuple(name for name, count in by.items() if count == blocks),
    )


def _blocks_by_registers(registers: int, warps: int, limits: Multiprocessor) -> int:
    """A warp's registers lie in one subpartition, so that what is left over in each is of no use."""
    if registers == 0:
        return limits.max_blocks
    if registers > MAX_REGISTERS_PER_THREAD:
        return 0
    per_warp = _rounded_up(registers * THREADS_PER_WARP, _REGISTER_UNIT)
    return (REGISTERS // _SUBPARTITIONS // per_warp) * _SUBPARTITIONS // warps


def _blocks_by_shared(shared_bytes: int, limits: Multiprocessor) -> int:
    taken = _rounded_up(shared_bytes + limits.reserved_bytes, limits.shared_unit)
    if shared_bytes > limits.max_block_shared_bytes:
        return 0
    return limits.shared_bytes // taken if taken else limits.max_blocks


def _rounded_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
