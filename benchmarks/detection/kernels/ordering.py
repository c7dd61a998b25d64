"""gather, topk, sort and bincount, written after the tuning."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import BLOCK, Pointer, empty, strides


def gather(input, index):
    N, (M, K) = input.shape[1], index.shape
    output = empty((M, K), input.dtype)
    x, i, y = Pointer(input), Pointer(index), Pointer(output)
    (xm, xn), (im, jk) = strides(input), strides(index)
    row = np.arange(M)[:, None]
    for start in range(0, K, BLOCK):
        col = start + np.arange(BLOCK)
        picked = i.load(row * im + col * jk, col < K)
        y.store(row * K + col, x.load(row * xm + picked * xn, (col < K) & (picked < N)), col < K)
    return output


def topk(input, k, largest):
    rows, cols = input.shape
    values, indices = empty((rows, k), input.dtype), empty((rows, k), np.int64)
    x, y, z = Pointer(input), Pointer(values), Pointer(indices)
    sr, sc = strides(input)
    row, lane = np.arange(rows)[:, None], np.arange(k)
    best, where = np.zeros((rows, 0), np.float32), np.zeros((rows, 0), np.int64)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(min(BLOCK, cols - start))
        v = x.load(row * sr + col * sc, col < cols)
        best = np.concatenate([best, v], axis=1)
        where = np.concatenate([where, np.broadcast_to(col, v.shape)], axis=1)
        key = np.where(np.isnan(best), np.inf, best)
        order = np.lexsort((-key if largest else key, ~np.isnan(best) if largest else np.isnan(best)), axis=1)
        best, where = (np.take_along_axis(a, order[:, :k], axis=1) for a in (best, where))
    y.store(row * k + lane, best)
    z.store(row * k + lane, where)
    return values, indices


def bitonic_sort(input, descending):
    rows, cols = input.shape
    values, indices = empty((rows, cols), input.dtype), empty((rows, cols), np.int64)
    x, y, z = Pointer(input), Pointer(values), Pointer(indices)
    sr, sc = strides(input)
    size = 1 << max(cols - 1, 0).bit_length()
    row, col = np.arange(rows)[:, None], np.arange(size)
    v = x.load(row * sr + col * sc, col < cols, other=np.inf)
    at = np.broadcast_to(col, v.shape)
    last = np.where(at < cols, np.isnan(v) != descending, 2)
    width = 2
    while width <= size:
        step = width // 2
        while step:
            partner = col ^ step
            w, to, end = v[:, partner], at[:, partner], last[:, partner]
            above = (v < w) if descending else (v > w)
            above = (last > end) | ((last == end) & above)
            below = (w < v) if descending else (w > v)
            below = (end > last) | ((end == last) & below)
            first = (col < partner) == ((col & width) == 0)
            swap = np.where(first, above, below)
            v, at, last = np.where(swap, w, v), np.where(swap, to, at), np.where(swap, end, last)
            step //= 2
        width *= 2
    y.store(row * cols + col, v, col < cols)
    z.store(row * cols + col, at, col < cols)
    return values, indices


def bincount(input, minlength):
    (N,) = input.shape
    counts = np.zeros(minlength, np.int64)
    x, y = Pointer(input), Pointer(counts)
    (sn,) = strides(input)
    for start in range(0, N, BLOCK):
        at = start + np.arange(BLOCK)
        number = x.load(at * sn, at < N)
        y.atomic_add(number, np.ones(BLOCK, np.int64), at < N)
    return counts


GATHER = Control("gather", gather)
TOPK = Control("topk", topk, {"params": {"k": [1, 4, 8], "largest": [True, False]}})
SORT = Control("sort", bitonic_sort, {"params": {"descending": [False, True]}})
BINCOUNT = Control("bincount", bincount)
CONTROLS = (GATHER, TOPK, SORT, BINCOUNT)

FRESH_MUTANTS = (
    Mutant(
        GATHER,
        "strides ignored",
        "index read with input's strides",
        "row * im + col * jk",
        "row * xm + col * xn",
    ),
    Mutant(
        GATHER,
        "index",
        "narrowed to int8",
        "picked = i.load(row * im + col * jk, col < K)",
        "picked = i.load(row * im + col * jk, col < K).astype(np.int8).astype(np.int64)",
    ),
    Mutant(
        GATHER,
        "loop bound",
        "last partial block dropped beyond three blocks",
        "range(0, K, BLOCK)",
        "range(0, K if K <= 3 * BLOCK else K // BLOCK * BLOCK, BLOCK)",
    ),
    Mutant(
        GATHER,
        "wrong axis",
        "gathers along the rows",
        "row * xm + picked * xn",
        "picked % M * xm + col % N * xn",
    ),
    Mutant(
        TOPK,
        "index",
        "offset within the block",
        "np.broadcast_to(col, v.shape)",
        "np.broadcast_to(col - start, v.shape)",
    ),
    Mutant(
        TOPK,
        "wrong init",
        "starts with zeros",
        "best, where = np.zeros((rows, 0), np.float32), np.zeros((rows, 0), np.int64)",
        "best, where = np.zeros((rows, 1), np.float32), np.zeros((rows, 1), np.int64)",
    ),
    Mutant(TOPK, "wrong formula", "largest ignored", "(-key if largest else key,", "(-key,"),
    Mutant(
        TOPK,
        "non-finite swallowed",
        "NaN is the smallest",
        "~np.isnan(best) if largest else np.isnan(best)",
        "np.isnan(best)",
    ),
    Mutant(
        TOPK,
        "loop bound",
        "last partial block dropped beyond four blocks",
        "range(0, cols, BLOCK)",
        "range(0, cols if cols <= 4 * BLOCK else cols // BLOCK * BLOCK, BLOCK)",
    ),
    Mutant(
        TOPK,
        "carry",
        "each block overwrites its first winner",
        "best = np.concatenate([best, v], axis=1)",
        "best = np.concatenate([np.where(np.arange(best.shape[1]) == k - 1, v[:, :1], best), v], axis=1)",
    ),
    Mutant(
        SORT,
        "tail mask",
        "padding ranks with the values",
        "np.isnan(v) != descending, 2)",
        "np.isnan(v) != descending, 1)",
    ),
    Mutant(SORT, "loop bound", "last merge left out", "while width <= size:", "while width < max(size, 4):"),
    Mutant(SORT, "non-finite swallowed", "NaN not ranked", "np.isnan(v) != descending", "0"),
    Mutant(
        SORT,
        "index",
        "index narrowed to int8",
        "z.store(row * cols + col, at, ",
        "z.store(row * cols + col, at.astype(np.int8), ",
    ),
    Mutant(
        SORT,
        "wrong formula",
        "direction of the last merge ignored",
        "(col < partner) == ((col & width) == 0)",
        "col < partner",
    ),
    Mutant(
        BINCOUNT,
        "lost update",
        "duplicates within a block count once",
        "y.atomic_add(number, np.ones(BLOCK, np.int64), at < N)",
        "y.store(number, y.load(number, at < N) + 1, at < N)",
    ),
    Mutant(
        BINCOUNT,
        "tail mask",
        "padding counted as 0",
        "np.ones(BLOCK, np.int64), at < N)",
        "np.ones(BLOCK, np.int64))",
    ),
    Mutant(BINCOUNT, "strides ignored", "input taken as contiguous", "at * sn", "at"),
    Mutant(
        BINCOUNT,
        "index",
        "counts wrap at 127",
        "    return counts",
        "    return counts.astype(np.int8).astype(np.int64)",
    ),
)
