"""Freed memory that holds poison: what a kernel finds in an array that it allocates and does not fill.

Here: filling and freeing blocks of the sizes that a kernel is about to allocate, in NumPy, torch and CuPy.
Elsewhere: the poison (buffers.py), what it shows (second_run.py).

This is a likelihood, not a promise: an allocator is free to give other memory, and does so now and then for
blocks of 128 KiB and more, which glibc may take from the system.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from pytest_gpuemu.engine.buffers import poison_bits
from pytest_gpuemu.engine.dtypes import DTYPES
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.second_run import KeptOutput

_MAX_BLOCKS = 16
_MAX_BYTES = 2**23
# Beyond what an allocator keeps in its quickest lists: between two blocks, it keeps them apart.
_SEPARATOR = 1040


def make_stale(outputs: Iterable[KeptOutput], which: int) -> list[Array]:
    """Fill freed memory of these outputs' sizes with poison 0 or 1 of their dtypes.

    Returns small arrays that lie between the freed blocks: while they live, the blocks are not merged into
    larger ones.
    """
    between: list[Array] = []
    for output in outputs:
        if not output.nbytes or str(output.dtype) not in DTYPES:
            continue
        poison = np.asarray(poison_bits(str(output.dtype), which))
        if output.library == "cupy":
            _free_cupy_blocks(output.nbytes, poison)
            continue
        device = output.device if output.library == "torch" else None
        # Twice: freeing a large block once teaches the allocator to keep the next one.
        for _ in range(2):
            between += _free_blocks(output.nbytes, poison, device)
    return between


def _free_blocks(nbytes: int, poison: Array, torch_device: str | None) -> list[Array]:
    blocks: list[Any] = []
    between = []
    for _ in range(_count(nbytes)):
        for more in (0, 256):  # torch asks for a little more than it needs, to align it
            block = np.empty((nbytes + more) // poison.itemsize, dtype=poison.dtype)
            block.fill(poison)
            blocks.append(block)
            between.append(np.empty(_SEPARATOR, np.uint8))
        if torch_device is not None:
            blocks.append(_torch_block(nbytes, poison, torch_device))
            between.append(np.empty(_SEPARATOR, np.uint8))
    return between


def _torch_block(nbytes: int, poison: Array, device: str) -> Any:
    torch: Any = sys.modules["torch"]
    block = torch.empty(nbytes, dtype=torch.uint8, device=device)
    pattern = torch.from_numpy(np.full(nbytes // poison.itemsize, poison).view(np.uint8))
    block.copy_(pattern)
    return block


def _free_cupy_blocks(nbytes: int, poison: Array) -> None:
    cupy: Any = sys.modules["cupy"]
    blocks = [cupy.empty(nbytes // poison.itemsize, dtype=poison.dtype) for _ in range(_count(nbytes))]
    for block in blocks:
        block.fill(poison.item())


def _count(nbytes: int) -> int:
    return max(2, min(_MAX_BLOCKS, _MAX_BYTES // nbytes))
