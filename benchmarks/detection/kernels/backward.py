"""Backward kernels, written after the tuning: rows in blocks of columns, partial sums of parameters."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import BLOCK, FLAT, Pointer, empty, strides

T = 16
ROWS = 8


def silu_backward(grad_output, input):
    rows, cols = input.shape
    output = empty(input.shape, grad_output.dtype)
    x, g, y = Pointer(input), Pointer(grad_output), Pointer(output)
    (sr, sc), (gr, gc) = strides(input), strides(grad_output)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        v = x.load(r * sr + c * sc, mask)
        d = g.load(r * gr + c * gc, mask)
        s = 1 / (1 + np.exp(-v))
        y.store(at, d * (s * (1 + v * (1 - s))), mask)
    return output


def relu_backward(grad_output, input):
    rows, cols = input.shape
    output = empty(input.shape, grad_output.dtype)
    x, g, y = Pointer(input), Pointer(grad_output), Pointer(output)
    (sr, sc), (gr, gc) = strides(input), strides(grad_output)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        v = x.load(r * sr + c * sc, mask)
        d = g.load(r * gr + c * gc, mask)
        y.store(at, np.where(v <= 0, np.float32(0), d), mask)
    return output


def layer_norm_backward(grad_output, input, weight, eps):
    rows, cols = input.shape
    dtype = grad_output.dtype
    grad_input, grad_weight, grad_bias = (
        empty(input.shape, dtype),
        empty((cols,), dtype),
        empty((cols,), dtype),
    )
    x, g, w = Pointer(input), Pointer(grad_output), Pointer(weight)
    dx, dw, db = Pointer(grad_input), Pointer(grad_weight), Pointer(grad_bias)
    (sr, sc), (gr, gc), (sw,) = strides(input), strides(grad_output), strides(weight)
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
    rstd = 1 / np.sqrt(squares / np.float32(cols) + np.float32(eps))
    c1, c2 = np.zeros((rows, 1), np.float32), np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        n = np.where(col < cols, (x.load(row * sr + col * sc, col < cols) - center) * rstd, np.float32(0))
        h = g.load(row * gr + col * gc, col < cols) * w.load(col * sw, col < cols)
        c1 += h.sum(axis=1, keepdims=True)
        c2 += (h * n).sum(axis=1, keepdims=True)
    c1, c2 = c1 / np.float32(cols), c2 / np.float32(cols)
    blocks = -(-rows // ROWS)
    partial_w, partial_b = np.zeros((blocks, cols), np.float32), np.zeros((blocks, cols), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        n = np.where(col < cols, (x.load(row * sr + col * sc, col < cols) - center) * rstd, np.float32(0))
        d = g.load(row * gr + col * gc, col < cols)
        dx.store(row * cols + col, (d * w.load(col * sw, col < cols) - c1 - n * c2) * rstd, col < cols)
        width = min(BLOCK, cols - start)
        for block in range(blocks):
            part = slice(block * ROWS, (block + 1) * ROWS)
            partial_w[block, start : start + BLOCK] += (d * n)[part, :width].sum(axis=0)
            partial_b[block, start : start + BLOCK] += d[part, :width].sum(axis=0)
    dw.store(np.arange(cols), partial_w.sum(axis=0))
    db.store(np.arange(cols), partial_b.sum(axis=0))
    return grad_input, grad_weight, grad_bias


def rms_norm_backward(grad_output, input, weight, eps):
    rows, cols = input.shape
    dtype = grad_output.dtype
    grad_input, grad_weight = empty(input.shape, dtype), empty((cols,), dtype)
    x, g, w = Pointer(input), Pointer(grad_output), Pointer(weight)
    dx, dw = Pointer(grad_input), Pointer(grad_weight)
    (sr, sc), (gr, gc), (sw,) = strides(input), strides(grad_output), strides(weight)
    row = np.arange(rows)[:, None]
    squares = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols)
        squares += (v * v).sum(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(squares / np.float32(cols) + np.float32(eps))
    dot = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        n = x.load(row * sr + col * sc, col < cols) * rstd
        h = g.load(row * gr + col * gc, col < cols) * w.load(col * sw, col < cols)
        dot += (h * n).sum(axis=1, keepdims=True)
    dot = dot / np.float32(cols)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        n = x.load(row * sr + col * sc, col < cols) * rstd
        d = g.load(row * gr + col * gc, col < cols)
        h = d * w.load(col * sw, col < cols)
        dx.store(row * cols + col, (h - n * dot) * rstd, col < cols)
        acc = np.zeros(BLOCK, np.float32)
        for first in range(0, rows, ROWS):
            acc += (d[first : first + ROWS] * n[first : first + ROWS]).sum(axis=0)
        dw.store(col, acc, col < cols)
    return grad_input, grad_weight


def cross_entropy_backward(grad_output, input, target, ignore_index):
    N, C = input.shape
    output = empty((N, C), grad_output.dtype)
    x, t, g, y = Pointer(input), Pointer(target), Pointer(grad_output), Pointer(output)
    (xn, xc), (st,) = strides(input), strides(target)
    row = np.arange(N)[:, None]
    label = t.load(row * st)
    valid = label != ignore_index
    m, total = np.full((N, 1), -np.inf, np.float32), np.zeros((N, 1), np.float32)
    for start in range(0, C, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * xn + col * xc, col < C, other=-np.inf)
        new = np.maximum(m, v.max(axis=1, keepdims=True))
        shift = np.where(new == -np.inf, np.float32(0), new)
        total = total * np.exp(m - shift) + np.exp(v - shift).sum(axis=1, keepdims=True)
        m = new
    scale = g.load(np.zeros(1, np.int64)) / np.float32(valid.sum())
    for start in range(0, C, BLOCK):
        col = start + np.arange(BLOCK)
        p = np.exp(x.load(row * xn + col * xc, col < C) - m) / total
        d = (p - np.where(col == label, np.float32(1), np.float32(0))) * scale
        y.store(row * C + col, np.where(valid, d, np.float32(0)), col < C)
    return output


def matmul_backward(grad_output, input, other):
    (M, K), N = input.shape, other.shape[1]
    grad_input, grad_other = empty((M, K), grad_output.dtype), empty((K, N), grad_output.dtype)
    g, a, b = Pointer(grad_output), Pointer(input), Pointer(other)
    da, db = Pointer(grad_input), Pointer(grad_other)
    (gm, gn), (am, ak), (bk, bn) = strides(grad_output), strides(input), strides(other)
    m, n = np.arange(M), np.arange(N)
    k = np.arange(K)
    acc = np.zeros((M, K), np.float32)
    for start in range(0, N, T):
        j = start + np.arange(T)
        vg = g.load(m[:, None] * gm + j[None, :] * gn, j[None, :] < N)
        vb = b.load(k[None, :] * bk + j[:, None] * bn, j[:, None] < N)
        acc += vg @ vb
    da.store(m[:, None] * K + k[None, :], acc)
    acc = np.zeros((K, N), np.float32)
    for start in range(0, M, T):
        i = start + np.arange(T)
        va = a.load(k[:, None] * ak + i[None, :] * am, i[None, :] < M)
        vg = g.load(i[:, None] * gm + n[None, :] * gn, i[:, None] < M)
        acc += va @ vg
    db.store(k[:, None] * N + n[None, :], acc)
    return grad_input, grad_other


def embedding_backward(grad_output, indices, weight):
    (N, D), V = grad_output.shape, weight.shape[0]
    total = np.zeros((V, D), np.float32)
    output = empty((V, D), grad_output.dtype)
    g, i, t, y = Pointer(grad_output), Pointer(indices), Pointer(total), Pointer(output)
    (gn, gd), (si,) = strides(grad_output), strides(indices)
    row, slot = np.arange(N), np.arange(V)[:, None]
    index = i.load(row * si)[:, None]
    for start in range(0, D, BLOCK):
        col = start + np.arange(BLOCK)
        t.atomic_add(index * D + col, g.load(row[:, None] * gn + col * gd, col < D), col < D)
    for start in range(0, D, BLOCK):
        col = start + np.arange(BLOCK)
        y.store(slot * D + col, t.load(slot * D + col, col < D), col < D)
    return output


def attention_backward(grad_output, query, key, value, is_causal):
    B, H, S, D = query.shape
    L = key.shape[2]
    dtype = grad_output.dtype
    grad_query, grad_key, grad_value = (
        empty(query.shape, dtype),
        empty(key.shape, dtype),
        empty(key.shape, dtype),
    )
    g, q, k, v = Pointer(grad_output), Pointer(query), Pointer(key), Pointer(value)
    dq, dk, dv = Pointer(grad_query), Pointer(grad_key), Pointer(grad_value)
    (gb, gh, gs, gd), (qb, qh, qs, qd) = strides(grad_output), strides(query)
    (kb, kh, kt, kd), (vb, vh, vt, vd) = strides(key), strides(value)
    s, d = np.arange(S)[:, None], np.arange(D)[None, :]
    scale = np.float32(1 / np.sqrt(D))
    for batch in range(B):
        for head in range(H):
            tile_q = q.load(batch * qb + head * qh + s * qs + d * qd)
            tile_g = g.load(batch * gb + head * gh + s * gs + d * gd)
            m, total = np.full((S, 1), -np.inf, np.float32), np.zeros((S, 1), np.float32)
            out = np.zeros((S, D), np.float32)
            for start in range(0, L, T):
                at = start + np.arange(T)
                t = at[:, None]
                tile_k = k.load(batch * kb + head * kh + t * kt + d * kd, t < L)
                tile_v = v.load(batch * vb + head * vh + t * vt + d * vd, t < L)
                scores = np.where(at < L, (tile_q @ tile_k.T) * scale, -np.inf)
                if is_causal:
                    scores = np.where(at <= s, scores, -np.inf)
                new = np.maximum(m, scores.max(axis=1, keepdims=True))
                p, alpha = np.exp(scores - new), np.exp(m - new)
                total = total * alpha + p.sum(axis=1, keepdims=True)
                out = out * alpha + p @ tile_v
                m = new
            out = (out / total).astype(dtype).astype(np.float32)
            delta = (tile_g * out).sum(axis=1, keepdims=True)
            acc_q = np.zeros((S, D), np.float32)
            for start in range(0, L, T):
                at = start + np.arange(T)
                t = at[:, None]
                tile_k = k.load(batch * kb + head * kh + t * kt + d * kd, t < L)
                tile_v = v.load(batch * vb + head * vh + t * vt + d * vd, t < L)
                scores = np.where(at < L, (tile_q @ tile_k.T) * scale, -np.inf)
                if is_causal:
                    scores = np.where(at <= s, scores, -np.inf)
                p = np.exp(scores - m) / total
                ds = p * (tile_g @ tile_v.T - delta)
                acc_q += ds @ tile_k
                to = ((batch * H + head) * L + t) * D + d
                dk.store(to, (ds.T @ tile_q) * scale, t < L)
                dv.store(to, p.T @ tile_g, t < L)
            dq.store(((batch * H + head) * S + s) * D + d, acc_q * scale)
    return grad_query, grad_key, grad_value


SILU_BACKWARD, RELU_BACKWARD = (
    Control("silu_backward", silu_backward),
    Control("relu_backward", relu_backward),
)
LAYER_NORM_BACKWARD = Control("layer_norm_backward", layer_norm_backward)
RMS_NORM_BACKWARD = Control("rms_norm_backward", rms_norm_backward)
CROSS_ENTROPY_BACKWARD = Control("cross_entropy_backward", cross_entropy_backward)
MATMUL_BACKWARD = Control("matmul_backward", matmul_backward)
EMBEDDING_BACKWARD = Control("embedding_backward", embedding_backward)
ATTENTION_BACKWARD = Control(
    "scaled_dot_product_attention_backward", attention_backward, {"params": {"is_causal": [False, True]}}
)
CONTROLS = (
    SILU_BACKWARD,
    RELU_BACKWARD,
    LAYER_NORM_BACKWARD,
    RMS_NORM_BACKWARD,
    CROSS_ENTROPY_BACKWARD,
    MATMUL_BACKWARD,
    EMBEDDING_BACKWARD,
    ATTENTION_BACKWARD,
)

FRESH_MUTANTS = (
    Mutant(SILU_BACKWARD, "wrong formula", "1 - s taken as s", "(1 + v * (1 - s))", "(1 + v * s)"),
    Mutant(
        SILU_BACKWARD, "strides ignored", "incoming gradient taken as contiguous", "r * gr + c * gc", "at"
    ),
    Mutant(
        SILU_BACKWARD,
        "low precision",
        "sigmoid rounded to the storage type",
        "s = 1 / (1 + np.exp(-v))",
        "s = (1 / (1 + np.exp(-v))).astype(input.dtype).astype(np.float32)",
    ),
    Mutant(RELU_BACKWARD, "window edge", "gradient passes at 0", "v <= 0", "v < 0"),
    Mutant(
        RELU_BACKWARD,
        "non-finite swallowed",
        "a gradient of inf becomes NaN where masked",
        "np.where(v <= 0, np.float32(0), d)",
        "d * (v > 0)",
    ),
    Mutant(
        LAYER_NORM_BACKWARD,
        "wrong formula",
        "mean of h forgotten",
        "- c1 - n * c2",
        "- n * c2",
    ),
    Mutant(
        LAYER_NORM_BACKWARD,
        "tail mask",
        "padding's normalized value kept",
        "squares += (d * d).sum(axis=1, keepdims=True)",
        "squares += (d * d).sum(axis=1, keepdims=True) + center * center * np.float32((col >= cols).sum())",
    ),
    Mutant(
        LAYER_NORM_BACKWARD,
        "lost update",
        "rows beyond the last whole block left out of the bias",
        "partial_b.sum(axis=0)",
        "partial_b[: max(1, rows // ROWS)].sum(axis=0)",
    ),
    Mutant(
        LAYER_NORM_BACKWARD,
        "accumulator",
        "= for += in the second dot",
        "c2 += (h",
        "c2 = (h",
    ),
    Mutant(
        LAYER_NORM_BACKWARD,
        "low precision",
        "partial sums of weight in float16",
        "partial_w, partial_b = np.zeros((blocks, cols), np.float32)",
        "partial_w, partial_b = np.zeros((blocks, cols), np.float16)",
    ),
    Mutant(
        RMS_NORM_BACKWARD,
        "denominator",
        "dot not divided by the columns",
        "dot = dot / np.float32(cols)",
        "pass",
    ),
    Mutant(
        RMS_NORM_BACKWARD,
        "wrong operand",
        "weight forgotten in the gradient of the input",
        "h = d * w.load(col * sw, col < cols)",
        "h = d",
    ),
    Mutant(
        RMS_NORM_BACKWARD,
        "loop bound",
        "last partial block of rows dropped beyond two blocks",
        "range(0, rows, ROWS)",
        "range(0, rows if rows <= 2 * ROWS else rows // ROWS * ROWS, ROWS)",
    ),
    Mutant(
        RMS_NORM_BACKWARD,
        "eps",
        "forgotten",
        " + np.float32(eps))",
        ")",
    ),
    Mutant(
        CROSS_ENTROPY_BACKWARD,
        "ignored index",
        "ignored rows get a gradient",
        "np.where(valid, d, np.float32(0))",
        "d",
    ),
    Mutant(
        CROSS_ENTROPY_BACKWARD,
        "denominator",
        "ignored rows counted",
        "np.float32(valid.sum())",
        "np.float32(N)",
    ),
    Mutant(
        CROSS_ENTROPY_BACKWARD,
        "index",
        "label compared within the block",
        "col == label",
        "col - start == label",
    ),
    Mutant(
        CROSS_ENTROPY_BACKWARD,
        "wrong operand",
        "incoming gradient ignored",
        "g.load(np.zeros(1, np.int64))",
        "np.float32(1)",
    ),
    Mutant(
        CROSS_ENTROPY_BACKWARD,
        "missing maximum",
        "no shift",
        "        m = new\n",
        "        m = np.zeros_like(new)\n",
    ),
    Mutant(
        MATMUL_BACKWARD,
        "strides ignored",
        "other taken as row-major",
        "k[None, :] * bk + j[:, None] * bn",
        "k[None, :] * N + j[:, None]",
    ),
    Mutant(
        MATMUL_BACKWARD,
        "accumulator",
        "not reset between the products",
        "acc = np.zeros((K, N), np.float32)",
        "acc = acc if acc.shape == (K, N) else np.zeros((K, N), np.float32)",
    ),
    Mutant(
        MATMUL_BACKWARD,
        "loop bound",
        "last partial block of rows dropped",
        "range(0, M, T)",
        "range(0, max(M - M % T, 1), T)",
    ),
    Mutant(
        MATMUL_BACKWARD,
        "low precision",
        "second accumulator in the storage type",
        "acc += va @ vg",
        "acc = (acc + va @ vg).astype(input.dtype).astype(np.float32)",
    ),
    Mutant(
        EMBEDDING_BACKWARD,
        "lost update",
        "store for atomic add",
        "t.atomic_add(index * D + col, g.load(row[:, None] * gn + col * gd, col < D), col < D)",
        "t.store(index * D + col, g.load(row[:, None] * gn + col * gd, col < D), col < D)",
    ),
    Mutant(
        EMBEDDING_BACKWARD,
        "stale output",
        "rows that no index names are not written",
        "y.store(slot * D + col, t.load(slot * D + col, col < D), col < D)",
        "y.store(slot * D + col, t.load(slot * D + col, col < D), (col < D) & np.isin(slot, index))",
    ),
    Mutant(
        EMBEDDING_BACKWARD,
        "low precision",
        "sums in the storage type",
        "total = np.zeros((V, D), np.float32)",
        "total = np.zeros((V, D), grad_output.dtype)",
    ),
    Mutant(
        ATTENTION_BACKWARD,
        "wrong formula",
        "delta forgotten",
        "tile_g @ tile_v.T - delta",
        "tile_g @ tile_v.T",
    ),
    Mutant(ATTENTION_BACKWARD, "missing factor", "gradient of query not scaled", "acc_q * scale", "acc_q"),
    Mutant(
        ATTENTION_BACKWARD,
        "causal",
        "no mask in the recomputed weights",
        "                if is_causal:\n                    scores = np.where(at <= s, scores, -np.inf)\n"
        "                p = np.exp(scores - m) / total",
        "                p = np.exp(scores - m) / total",
    ),
    Mutant(ATTENTION_BACKWARD, "accumulator", "= for +=", "acc_q += ds", "acc_q = ds"),
    Mutant(
        ATTENTION_BACKWARD,
        "strides ignored",
        "incoming gradient with the query's strides",
        "batch * gb + head * gh + s * gs + d * gd",
        "batch * qb + head * qh + s * qs + d * qd",
    ),
)
