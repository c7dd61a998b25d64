"""Wrong kernels in NumPy, and what a campaign and an observer of them need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.diagnose import Observed
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import parse_case_id
from pytest_gpuemu.engine.references import call_by_name, optional_params

BLOCK = 32
Kernel = Callable[..., Any]


def observe(
    op: Op, kernel: Kernel, case_id: str | int, prepare: Callable[[], object] | None = None
) -> Observed:
    """The kernel's output on a case, judged; prepare() is called just before the kernel."""
    case = make_case(op, *parse_case_id(case_id))
    between = None if prepare is None else prepare()
    with np.errstate(all="ignore"):
        output = call_by_name(kernel, case.inputs, case.params, optional=optional_params(op))
    del between
    return Observed(case, judge(case, output))


def failing(op: Op, kernel: Kernel, edits: str = "") -> str:
    """The first case, of these sizes, that the kernel fails: not all values bring a bug out."""
    cases = (f"{seed}~{edits}" if edits else str(seed) for seed in range(1, 60))
    return next(case_id for case_id in cases if observe(op, kernel, case_id).verdict.failed)


def sum_of_last_block(input: Any) -> Any:
    """The sum over the columns, whose accumulator each block of 32 overwrites."""
    start = max(input.shape[1] - 1, 0) // BLOCK * BLOCK
    return input[:, start:].astype(np.float32).sum(axis=1).astype(input.dtype)


def sum_without_partial_block(input: Any) -> Any:
    """The sum over the columns without the last block of 32, where that is not full."""
    return input[:, : input.shape[1] // BLOCK * BLOCK].astype(np.float32).sum(axis=1).astype(input.dtype)


def softmax_with_padding(input: Any) -> Any:
    """softmax whose last block of 32 columns is filled with 0, which takes part."""
    rows, cols = input.shape
    padded = np.zeros((rows, -(-cols // BLOCK) * BLOCK), np.float32)
    padded[:, :cols] = input
    e = np.exp(padded - padded.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True))[:, :cols].astype(input.dtype)


def softmax_without_rescale(input: Any) -> Any:
    """softmax in blocks of 32 columns whose running sum is not rescaled when the running maximum grows."""
    x = input.astype(np.float32)
    largest = np.full((x.shape[0], 1), -np.inf, np.float32)
    total = np.zeros((x.shape[0], 1), np.float32)
    for start in range(0, x.shape[1], BLOCK):
        block = x[:, start : start + BLOCK]
        largest = np.maximum(largest, block.max(axis=1, keepdims=True))
        total += np.exp(block - largest).sum(axis=1, keepdims=True)
    return (np.exp(x - largest) / total).astype(input.dtype)


def relu_of_contiguous(input: Any) -> Any:
    """relu that reads its input's memory as if it were contiguous."""
    step = input.itemsize
    dense = np.lib.stride_tricks.as_strided(input, input.shape, (input.shape[1] * step, step))
    return np.maximum(dense, np.zeros((), input.dtype))


def softmax(input: Any) -> Any:
    """A right softmax."""
    x = input.astype(np.float32)
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)).astype(input.dtype)
