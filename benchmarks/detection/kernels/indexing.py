"""Indexing, losses, transposition and convolution."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import BLOCK, Pointer, empty, strides


def embedding(input, weight):
    (N,), D = input.shape, weight.shape[1]
    output = empty((N, D), weight.dtype)
    i, w, y = Pointer(input), Pointer(weight), Pointer(output)
    (si,), (wv, wd) = strides(input), strides(weight)
    row = np.arange(N)
    index = i.load(row * si)
    for start in range(0, D, BLOCK):
        col = start + np.arange(BLOCK)
        v = w.load(index[:, None] * wv + col * wd, col < D)
        y.store(row[:, None] * D + col, v, col < D)
    return output


def index_select(input, index):
    N, (K,) = input.shape[1], index.shape
    output = empty((K, N), input.dtype)
    x, i, y = Pointer(input), Pointer(index), Pointer(output)
    (xm, xn), (si,) = strides(input), strides(index)
    row = np.arange(K)
    picked = i.load(row * si)
    for start in range(0, N, BLOCK):
        col = start + np.arange(BLOCK)
        y.store(row[:, None] * N + col, x.load(picked[:, None] * xm + col * xn, col < N), col < N)
    return output


def scatter_add(input, index, src):
    (M, N), (K, _) = input.shape, index.shape
    total = empty((M, N), np.float32)
    output = empty((M, N), input.dtype)
    x, i, s, t, y = Pointer(input), Pointer(index), Pointer(src), Pointer(total), Pointer(output)
    (xm, xn), (im, jn), (sm, sn) = strides(input), strides(index), strides(src)
    m, k = np.arange(M)[:, None], np.arange(K)[:, None]
    for start in range(0, N, BLOCK):
        n = start + np.arange(BLOCK)
        t.store(m * N + n, x.load(m * xm + n * xn, n < N), n < N)
    for start in range(0, N, BLOCK):
        n = start + np.arange(BLOCK)
        row = i.load(k * im + n * jn, n < N)
        t.atomic_add(row * N + n, s.load(k * sm + n * sn, n < N), n < N)
    for start in range(0, N, BLOCK):
        n = start + np.arange(BLOCK)
        y.store(m * N + n, t.load(m * N + n, n < N), n < N)
    return output


def transpose(input):
    M, N = input.shape
    output = empty((N, M), input.dtype)
    x, y = Pointer(input), Pointer(output)
    sm, sn = strides(input)
    for i in range(0, M, BLOCK):
        for j in range(0, N, BLOCK):
            m, n = i + np.arange(BLOCK)[:, None], j + np.arange(BLOCK)[None, :]
            mask = (m < M) & (n < N)
            y.store(n * M + m, x.load(m * sm + n * sn, mask), mask)
    return output


def cross_entropy(input, target, ignore_index):
    N, C = input.shape
    losses, output = empty((N,), np.float32), empty((), input.dtype)
    x, t, y = Pointer(input), Pointer(target), Pointer(output)
    (xn, xc), (st,) = strides(input), strides(target)
    row = np.arange(N)[:, None]
    label = t.load(np.arange(N) * st)
    m, total = np.full((N, 1), -np.inf, np.float32), np.zeros((N, 1), np.float32)
    for start in range(0, C, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * xn + col * xc, col < C, other=-np.inf)
        new = np.maximum(m, v.max(axis=1, keepdims=True))
        shift = np.where(new == -np.inf, np.float32(0), new)
        total = total * np.exp(m - shift) + np.exp(v - shift).sum(axis=1, keepdims=True)
        m = new
    valid = label != ignore_index
    picked = x.load(np.arange(N) * xn + label * xc, valid)
    losses[:] = np.where(valid, (m + np.log(total))[:, 0] - picked, np.float32(0))
    y.store(0, losses.sum() / np.float32(valid.sum()))
    return output


def conv1d(input, weight, bias, stride, padding, dilation):
    (N, C, L), (F, _, K) = input.shape, weight.shape
    length = (L + 2 * padding - dilation * (K - 1) - 1) // stride + 1
    output = empty((N, F, length), input.dtype)
    x, w, b, y = Pointer(input), Pointer(weight), Pointer(bias), Pointer(output)
    (xn, xc, xl), (wf, wc, wk), (sb,) = strides(input), strides(weight), strides(bias)
    f, out = np.arange(F)[:, None], np.arange(length)[None, :]
    for n in range(N):
        acc = np.zeros((F, length), np.float32)
        for c in range(C):
            for k in range(K):
                at = out * stride - padding + k * dilation
                v = x.load(n * xn + c * xc + at * xl, (at >= 0) & (at < L))
                acc += w.load(f * wf + c * wc + k * wk) * v
        y.store((n * F + f) * length + out, acc + b.load(f * sb))
    return output


EMBEDDING, INDEX_SELECT = Control("embedding", embedding), Control("index_select", index_select)
SCATTER_ADD, TRANSPOSE = Control("scatter_add", scatter_add), Control("transpose", transpose)
CROSS_ENTROPY = Control("cross_entropy", cross_entropy)
CONV1D = Control("conv1d", conv1d, {"params": {"stride": [1, 2], "padding": [0, 1, 2], "dilation": [1, 2]}})
CONTROLS = (EMBEDDING, INDEX_SELECT, SCATTER_ADD, TRANSPOSE, CROSS_ENTROPY, CONV1D)

MUTANTS = (
    Mutant(
        EMBEDDING,
        "strides ignored",
        "weight taken as contiguous",
        "index[:, None] * wv + col * wd",
        "index[:, None] * D + col",
    ),
    Mutant(
        EMBEDDING,
        "index",
        "index narrowed to int8",
        "index = i.load(row * si)",
        "index = i.load(row * si).astype(np.int8).astype(np.int64)",
    ),
    Mutant(
        EMBEDDING,
        "loop bound",
        "last partial block dropped",
        "range(0, D, BLOCK)",
        "range(0, max(D // BLOCK, 1) * BLOCK, BLOCK)",
    ),
    Mutant(EMBEDDING, "strides ignored", "index stride ignored", "i.load(row * si)", "i.load(row)"),
    Mutant(INDEX_SELECT, "strides ignored", "index taken as contiguous", "i.load(row * si)", "i.load(row)"),
    Mutant(
        INDEX_SELECT,
        "wrong axis",
        "row and column strides exchanged",
        "picked[:, None] * xm + col * xn",
        "picked[:, None] * xn + col * xm",
    ),
    Mutant(
        INDEX_SELECT,
        "index",
        "off by one",
        "picked = i.load(row * si)",
        "picked = np.maximum(i.load(row * si) - 1, 0)",
    ),
    Mutant(
        SCATTER_ADD,
        "lost update",
        "store for atomic add",
        "t.atomic_add(row * N + n, s.load(k * sm + n * sn, n < N), n < N)",
        "t.store(row * N + n, t.load(row * N + n, n < N) + s.load(k * sm + n * sn, n < N), n < N)",
    ),
    Mutant(
        SCATTER_ADD,
        "low precision",
        "sums in the storage type",
        "total = empty((M, N), np.float32)",
        "total = empty((M, N), input.dtype)",
    ),
    Mutant(
        SCATTER_ADD,
        "wrong operand",
        "starts at 0 instead of input",
        "t.store(m * N + n, x.load(m * xm + n * xn, n < N), n < N)",
        "t.store(m * N + n, 0, n < N)",
    ),
    Mutant(
        SCATTER_ADD,
        "aliasing",
        "adds into the input too",
        "t.atomic_add(row * N + n, s.load(k * sm + n * sn, n < N), n < N)",
        "t.atomic_add(row * N + n, s.load(k * sm + n * sn, n < N), n < N); x.store(m * xm + n * xn, t.load(m * N + n, n < N), n < N)",
    ),
    Mutant(
        SCATTER_ADD, "strides ignored", "src read with index's strides", "k * sm + n * sn", "k * im + n * jn"
    ),
    Mutant(TRANSPOSE, "strides ignored", "row stride taken as N", "m * sm + n * sn", "m * N + n * sn"),
    Mutant(
        TRANSPOSE,
        "mask",
        "rows of the last block not masked on store",
        "x.load(m * sm + n * sn, mask), mask)",
        "x.load(m * sm + n * sn, mask), n < N)",
    ),
    Mutant(
        TRANSPOSE,
        "grid off by one",
        "last block of columns dropped",
        "range(0, N, BLOCK)",
        "range(0, max(N - 1, 1), BLOCK)",
    ),
    Mutant(CROSS_ENTROPY, "denominator", "ignored rows counted", "np.float32(valid.sum())", "np.float32(N)"),
    Mutant(
        CROSS_ENTROPY,
        "ignored index",
        "ignored rows add their loss",
        "valid = label != ignore_index",
        "valid = label != ignore_index - 1; label = np.maximum(label, 0)",
    ),
    Mutant(CROSS_ENTROPY, "rescale", "old total not rescaled", "total * np.exp(m - shift)", "total"),
    Mutant(CROSS_ENTROPY, "tail mask", "filled with 0", "other=-np.inf", "other=0.0"),
    Mutant(
        CROSS_ENTROPY,
        "low precision",
        "losses in float16",
        "empty((N,), np.float32)",
        "empty((N,), np.float16)",
    ),
    Mutant(
        CROSS_ENTROPY,
        "missing maximum",
        "no shift",
        "shift = np.where(new == -np.inf, np.float32(0), new)",
        "new = shift = np.zeros_like(new)",
    ),
    Mutant(CONV1D, "padding", "padding read from the neighbour", "(at >= 0) & (at < L)", "(at < L)"),
    Mutant(CONV1D, "dilation", "dilation ignored in the offset", "k * dilation\n", "k\n"),
    Mutant(CONV1D, "stride", "stride ignored in the offset", "out * stride - padding", "out - padding"),
    Mutant(
        CONV1D,
        "strides ignored",
        "input taken as contiguous",
        "n * xn + c * xc + at * xl",
        "(n * C + c) * L + at",
    ),
    Mutant(CONV1D, "wrong operand", "bias forgotten", "acc + b.load(f * sb)", "acc"),
    Mutant(CONV1D, "wrong axis", "kernel flipped", "c * wc + k * wk", "c * wc + (K - 1 - k) * wk"),
)
