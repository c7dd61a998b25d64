"""Reductions over the last dim: one program per row, BLOCK columns at a time, float32 accumulators."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import BLOCK, Pointer, empty, strides


def row_sum(input):
    rows, cols = input.shape
    output = empty((rows,), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    acc = np.zeros((rows, BLOCK), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        acc += x.load(row * sr + col * sc, col < cols)
    y.store(np.arange(rows), acc.sum(axis=1))
    return output


def row_sum_two_pass(input):
    rows, cols = input.shape
    output = empty((rows,), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    blocks = -(-cols // BLOCK)
    partial = empty((rows, blocks), np.float32)
    for block in range(blocks):
        col = block * BLOCK + np.arange(BLOCK)
        partial[:, block] = x.load(row * sr + col * sc, col < cols).sum(axis=1)
    total = np.zeros(rows, np.float32)
    for first in range(0, blocks, 4):
        total += partial[:, first : first + 4].sum(axis=1)
    y.store(np.arange(rows), total)
    return output


def mean(input):
    rows, cols = input.shape
    output = empty((rows,), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    acc = np.zeros(rows, np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        acc += x.load(row * sr + col * sc, col < cols).sum(axis=1)
    y.store(np.arange(rows), acc / np.float32(cols))
    return output


def row_max(input):
    rows, cols = input.shape
    output = empty((rows,), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    best = np.full(rows, -np.inf, np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        top = x.load(row * sr + col * sc, col < cols, other=-np.inf).max(axis=1)
        best = np.where((top > best) | (top != top), top, best)
    y.store(np.arange(rows), best)
    return output


def argmax(input):
    rows, cols = input.shape
    output = empty((rows,), np.int64)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    best, where = np.full(rows, -np.inf, np.float32), np.zeros(rows, np.int64)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols, other=-np.inf)
        top, at = np.max(v, axis=1), np.argmax(v, axis=1)
        better = (top > best) | ((top != top) & (best == best))
        best, where = np.where(better, top, best), np.where(better, start + at, where)
    y.store(np.arange(rows), where)
    return output


def cumsum(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    carry = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        prefix = carry + np.cumsum(x.load(row * sr + col * sc, col < cols), axis=1)
        y.store(row * cols + col, prefix, col < cols)
        carry = prefix[:, -1:]
    return output


def logsumexp(input):
    rows, cols = input.shape
    output = empty((rows,), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    m, total = np.full((rows, 1), -np.inf, np.float32), np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols, other=-np.inf)
        new = np.maximum(m, v.max(axis=1, keepdims=True))
        shift = np.where(np.isinf(new), np.float32(0), new)
        total = total * np.exp(m - shift) + np.exp(v - shift).sum(axis=1, keepdims=True)
        m = new
    y.store(row, np.where(np.isinf(m), np.float32(0), m) + np.log(total))
    return output


def var(input, correction):
    rows, cols = input.shape
    output = empty((rows,), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    total = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        total += x.load(row * sr + col * sc, col < cols).sum(axis=1, keepdims=True)
    center = total / np.float32(cols)
    squares = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        d = np.where(col < cols, x.load(row * sr + col * sc, col < cols) - center, np.float32(0))
        squares += (d * d).sum(axis=1, keepdims=True)
    y.store(row, squares / np.float32(max(cols - correction, 0)))
    return output


SUM, SUM_TWO_PASS, MEAN = Control("sum", row_sum), Control("sum", row_sum_two_pass), Control("mean", mean)
MAX, ARGMAX = Control("max", row_max), Control("argmax", argmax)
CUMSUM, LOGSUMEXP = Control("cumsum", cumsum), Control("logsumexp", logsumexp)
VAR = Control("var", var, {"params": {"correction": [1, 0]}})
CONTROLS = (SUM, SUM_TWO_PASS, MEAN, MAX, ARGMAX, CUMSUM, LOGSUMEXP, VAR)

MASK = "col < cols)"
MUTANTS = (
    Mutant(SUM, "tail mask", "mask dropped", "col < cols)", "True)"),
    Mutant(SUM, "accumulator", "= for +=", "acc += x", "acc = x"),
    Mutant(
        SUM,
        "low precision",
        "float16 accumulator",
        "np.zeros((rows, BLOCK), np.float32)",
        "np.zeros((rows, BLOCK), np.float16)",
    ),
    Mutant(
        SUM,
        "loop bound",
        "last partial block dropped",
        "range(0, cols, BLOCK)",
        "range(0, cols - BLOCK + 1, BLOCK)",
    ),
    Mutant(
        SUM, "strides ignored", "row stride taken as cols", "row * sr + col * sc", "row * cols + col * sc"
    ),
    Mutant(
        SUM_TWO_PASS,
        "second pass",
        "last partial group dropped when there are more than 4 blocks",
        "range(0, blocks, 4)",
        "range(0, max(4, blocks // 4 * 4), 4)",
    ),
    Mutant(
        SUM_TWO_PASS,
        "low precision",
        "partial sums stored in float16",
        "empty((rows, blocks), np.float32)",
        "empty((rows, blocks), np.float16)",
    ),
    Mutant(
        SUM_TWO_PASS,
        "stale output",
        "last partial sum never written",
        "for block in range(blocks)",
        "for block in range(max(1, blocks - 1))",
    ),
    Mutant(MEAN, "denominator", "padded length", "np.float32(cols)", "np.float32(-(-cols // BLOCK) * BLOCK)"),
    Mutant(MEAN, "denominator", "off by one", "np.float32(cols)", "np.float32(max(cols - 1, 1))"),
    Mutant(MEAN, "accumulator", "= for +=", "acc += x", "acc = x"),
    Mutant(
        MEAN,
        "low precision",
        "float16 accumulator",
        "np.zeros(rows, np.float32)",
        "np.zeros(rows, np.float16)",
    ),
    Mutant(MAX, "tail mask", "filled with 0", "other=-np.inf", "other=0.0"),
    Mutant(
        MAX,
        "wrong init",
        "starts at 0: all-negative rows",
        "np.full(rows, -np.inf, np.float32)",
        "np.zeros(rows, np.float32)",
    ),
    Mutant(MAX, "non-finite swallowed", "NaN loses", "(top > best) | (top != top)", "top > best"),
    Mutant(
        MAX,
        "loop bound",
        "last partial block dropped",
        "range(0, cols, BLOCK)",
        "range(0, max(cols // BLOCK, 1) * BLOCK, BLOCK)",
    ),
    Mutant(
        ARGMAX,
        "wrong init",
        "finite sentinel",
        "np.full(rows, -np.inf, np.float32)",
        "np.full(rows, -1e4, np.float32)",
    ),
    Mutant(ARGMAX, "index", "offset within the block", "start + at, where", "at, where"),
    Mutant(
        ARGMAX,
        "non-finite swallowed",
        "NaN loses",
        "(top > best) | ((top != top) & (best == best))",
        "top > best",
    ),
    Mutant(ARGMAX, "wrong formula", "argmin of the block", "np.argmax(v, axis=1)", "np.argmin(v, axis=1)"),
    Mutant(
        ARGMAX,
        "index",
        "index narrowed to int8",
        "start + at, where)",
        "(start + at).astype(np.int8), where)",
    ),
    Mutant(CUMSUM, "carry", "carry forgotten", "carry + np.cumsum", "np.cumsum"),
    Mutant(
        CUMSUM,
        "carry",
        "carry is the last block's sum only",
        "carry = prefix[:, -1:]",
        "carry = prefix[:, -1:] - carry",
    ),
    Mutant(
        CUMSUM,
        "low precision",
        "carry in float16",
        "carry = prefix[:, -1:]",
        "carry = prefix[:, -1:].astype(np.float16)",
    ),
    Mutant(
        CUMSUM,
        "wrong formula",
        "exclusive",
        "y.store(row * cols + col, prefix, col < cols)",
        "y.store(row * cols + col + 1, prefix, col < cols - 1)",
    ),
    Mutant(
        LOGSUMEXP,
        "missing maximum",
        "no shift",
        "shift = np.where(np.isinf(new), np.float32(0), new)",
        "new = shift = np.zeros_like(new)",
    ),
    Mutant(LOGSUMEXP, "rescale", "old total not rescaled", "total * np.exp(m - shift)", "total"),
    Mutant(LOGSUMEXP, "tail mask", "filled with 0", "other=-np.inf", "other=0.0"),
    Mutant(
        LOGSUMEXP,
        "masked rows",
        "NaN for a row of -inf",
        "shift = np.where(np.isinf(new), np.float32(0), new)",
        "shift = new",
    ),
    Mutant(
        VAR,
        "unstable form",
        "E[x^2] - E[x]^2",
        "y.store(row, squares",
        "y.store(row, np.maximum(squares + center * center * np.float32(cols) - center * center * np.float32(cols), 0)",
    ),
    Mutant(
        VAR, "denominator", "correction ignored", "np.float32(max(cols - correction, 0))", "np.float32(cols)"
    ),
    Mutant(
        VAR,
        "tail mask",
        "padding counted in the second pass",
        "np.where(col < cols, x.load(row * sr + col * sc, col < cols) - center, np.float32(0))",
        "x.load(row * sr + col * sc, col < cols) - center",
    ),
    Mutant(
        VAR,
        "low precision",
        "mean rounded to float16",
        "center = total / np.float32(cols)",
        "center = (total / np.float32(cols)).astype(np.float16).astype(np.float32)",
    ),
)
