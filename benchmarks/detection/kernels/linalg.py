"""Matrix products and attention: tiles of T by T, float32 accumulators, operands in the storage type."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import Pointer, empty, strides

T = 16


def matmul(input, other):
    (M, K), N = input.shape, other.shape[1]
    output = empty((M, N), input.dtype)
    a, b, c = Pointer(input), Pointer(other), Pointer(output)
    (am, ak), (bk, bn) = strides(input), strides(other)
    m, n = np.arange(-(-M // T) * T)[:, None], np.arange(-(-N // T) * T)[None, :]
    acc = np.zeros((m.size, n.size), np.float32)
    for start in range(0, K, T):
        k = start + np.arange(T)
        va = a.load(m * am + k[None, :] * ak, (m < M) & (k[None, :] < K))
        vb = b.load(k[:, None] * bk + n * bn, (k[:, None] < K) & (n < N))
        acc += va @ vb
    c.store(m * N + n, acc, (m < M) & (n < N))
    return output


def matmul_split_k(input, other):
    (M, K), N = input.shape, other.shape[1]
    output = empty((M, N), input.dtype)
    a, b, c = Pointer(input), Pointer(other), Pointer(output)
    (am, ak), (bk, bn) = strides(input), strides(other)
    m, n = np.arange(M)[:, None], np.arange(N)[None, :]
    splits = 4
    each = -(-K // splits)
    partial = np.zeros((splits, M, N), np.float32)
    for split in range(splits):
        for start in range(split * each, min(K, (split + 1) * each), T):
            k = start + np.arange(T)
            inside = k < min(K, (split + 1) * each)
            va = a.load(m * am + k[None, :] * ak, inside[None, :])
            vb = b.load(k[:, None] * bk + n * bn, inside[:, None])
            partial[split] += va @ vb
    c.store(m * N + n, partial.sum(axis=0))
    return output


def bmm(input, mat2):
    (B, M, K), N = input.shape, mat2.shape[2]
    output = empty((B, M, N), input.dtype)
    a, b, c = Pointer(input), Pointer(mat2), Pointer(output)
    (ab, am, ak), (bb, bk, bn) = strides(input), strides(mat2)
    m, n = np.arange(M)[:, None], np.arange(N)[None, :]
    for batch in range(B):
        acc = np.zeros((M, N), np.float32)
        for start in range(0, K, T):
            k = start + np.arange(T)
            va = a.load(batch * ab + m * am + k[None, :] * ak, k[None, :] < K)
            vb = b.load(batch * bb + k[:, None] * bk + n * bn, k[:, None] < K)
            acc += va @ vb
        c.store(batch * M * N + m * N + n, acc)
    return output


def linear(input, weight, bias):
    (M, K), N = input.shape, weight.shape[0]
    output = empty((M, N), input.dtype)
    x, w, b, y = Pointer(input), Pointer(weight), Pointer(bias), Pointer(output)
    (xm, xk), (wn, wk), (sb,) = strides(input), strides(weight), strides(bias)
    m, n = np.arange(M)[:, None], np.arange(N)[None, :]
    acc = np.zeros((M, N), np.float32)
    for start in range(0, K, T):
        k = start + np.arange(T)
        vx = x.load(m * xm + k[None, :] * xk, k[None, :] < K)
        vw = w.load(k[:, None] * wk + n * wn, k[:, None] < K)
        acc += vx @ vw
    y.store(m * N + n, acc + b.load(n * sb))
    return output


def attention(query, key, value, is_causal):
    B, H, S, D = query.shape
    G, L, E = key.shape[1], key.shape[2], value.shape[3]
    output = empty((B, H, S, E), query.dtype)
    q, k, v, o = Pointer(query), Pointer(key), Pointer(value), Pointer(output)
    (qb, qh, qs, qd), (kb, kh, kt, kd), (vb, vh, vt, vd) = strides(query), strides(key), strides(value)
    s, d, e = np.arange(S)[:, None], np.arange(D)[None, :], np.arange(E)[None, :]
    scale = np.float32(1 / np.sqrt(D))
    for batch in range(B):
        for head in range(H):
            group = head // (H // G)
            tile_q = q.load(batch * qb + head * qh + s * qs + d * qd)
            m, total = np.full((S, 1), -np.inf, np.float32), np.zeros((S, 1), np.float32)
            acc = np.zeros((S, E), np.float32)
            for start in range(0, L, T):
                t = start + np.arange(T)
                tile_k = k.load(batch * kb + group * kh + t[:, None] * kt + d * kd, t[:, None] < L)
                tile_v = v.load(batch * vb + group * vh + t[:, None] * vt + e * vd, t[:, None] < L)
                scores = (tile_q @ tile_k.T) * scale
                scores = np.where(t[None, :] < L, scores, -np.inf)
                if is_causal:
                    scores = np.where(t[None, :] <= s, scores, -np.inf)
                new = np.maximum(m, scores.max(axis=1, keepdims=True))
                shift = np.where(new == -np.inf, np.float32(0), new)
                p = np.exp(scores - shift)
                alpha = np.exp(m - shift)
                total = total * alpha + p.sum(axis=1, keepdims=True)
                tile_p = p.astype(query.dtype).astype(np.float32)
                product = np.where(
                    t[None, :, None] < L, tile_p[:, :, None] * tile_v[None], np.float32(0)
                ).sum(axis=1)
                acc = acc * alpha + product
                m = new
            o.store(((batch * H + head) * S + s) * E + e, acc / total)
    return output


MATMUL, SPLIT_K = Control("matmul", matmul), Control("matmul", matmul_split_k)
BMM, LINEAR = Control("bmm", bmm), Control("linear", linear)
ATTENTION = Control("scaled_dot_product_attention", attention, {"params": {"is_causal": [False, True]}})
GROUPED = Control("grouped_query_attention", attention, {"params": {"is_causal": [False, True]}})
CONTROLS = (MATMUL, SPLIT_K, BMM, LINEAR, ATTENTION, GROUPED)

MUTANTS = (
    Mutant(MATMUL, "accumulator", "= for +=", "acc += va", "acc = va"),
    Mutant(
        MATMUL,
        "low precision",
        "float16 accumulator",
        "acc += va @ vb",
        "acc = (acc + va @ vb).astype(np.float16).astype(np.float32)",
    ),
    Mutant(MATMUL, "tail mask", "K not masked in a", " & (k[None, :] < K)", ""),
    Mutant(MATMUL, "loop bound", "last partial K block dropped", "range(0, K, T)", "range(0, K // T * T, T)"),
    Mutant(
        MATMUL, "strides ignored", "b taken as row-major", "k[:, None] * bk + n * bn", "k[:, None] * N + n"
    ),
    Mutant(
        MATMUL,
        "grid off by one",
        "last column never stored",
        "(m < M) & (n < N))\n    return",
        "(m < M) & (n < N - (N > T)))\n    return",
    ),
    Mutant(MATMUL, "wrong axis", "output transposed", "m * N + n", "n * M + m"),
    Mutant(
        MATMUL,
        "store mask",
        "columns of the padding spill into the next row",
        "c.store(m * N + n, acc, (m < M) & (n < N))",
        "c.store((m * N + n)[::-1], acc[::-1], (m < M)[::-1] & (n < N + T))",
    ),
    Mutant(SPLIT_K, "lost update", "partial sums overwritten", "partial.sum(axis=0)", "partial[-1]"),
    Mutant(
        SPLIT_K,
        "low precision",
        "partial sums in the storage type",
        "partial.sum(axis=0)",
        "partial.astype(input.dtype).astype(np.float32).sum(axis=0)",
    ),
    Mutant(
        SPLIT_K,
        "loop bound",
        "split size rounded down",
        "each = -(-K // splits)",
        "each = max(1, K // splits)",
    ),
    Mutant(BMM, "strides ignored", "batch stride of b taken from a", "batch * bb", "batch * ab"),
    Mutant(
        BMM,
        "accumulator",
        "not reset between batches",
        "        acc = np.zeros((M, N), np.float32)\n",
        "        acc = np.zeros((M, N), np.float32) if batch == 0 else acc\n",
    ),
    Mutant(
        BMM,
        "low precision",
        "products rounded to float16",
        "acc += va @ vb",
        "acc += (va @ vb).astype(np.float16)",
    ),
    Mutant(LINEAR, "wrong operand", "bias forgotten", "acc + b.load(n * sb)", "acc"),
    Mutant(
        LINEAR,
        "strides ignored",
        "weight taken as row-major",
        "k[:, None] * wk + n * wn",
        "k[:, None] + n * K",
    ),
    Mutant(
        LINEAR,
        "low precision",
        "rounded before the bias",
        "acc + b.load",
        "acc.astype(input.dtype).astype(np.float32) + b.load",
    ),
    Mutant(LINEAR, "wrong axis", "bias by row", "b.load(n * sb)", "b.load(np.minimum(m, N - 1) * sb)"),
    Mutant(ATTENTION, "missing factor", "no 1/sqrt(D)", "np.float32(1 / np.sqrt(D))", "np.float32(1)"),
    Mutant(ATTENTION, "missing factor", "1/D for 1/sqrt(D)", "1 / np.sqrt(D)", "1 / D"),
    Mutant(ATTENTION, "rescale", "accumulator not rescaled", "acc * alpha + product", "acc + product"),
    Mutant(ATTENTION, "rescale", "total not rescaled", "total * alpha + p", "total + p"),
    Mutant(
        ATTENTION,
        "tail mask",
        "scores of the padding kept",
        "np.where(t[None, :] < L, scores, -np.inf)",
        "scores",
    ),
    Mutant(ATTENTION, "causal", "diagonal masked", "t[None, :] <= s", "t[None, :] < s"),
    Mutant(
        ATTENTION,
        "causal",
        "aligned at the end for unequal lengths",
        "t[None, :] <= s",
        "t[None, :] <= s + (L - S)",
    ),
    Mutant(GROUPED, "head mapping", "modulo for division", "head // (H // G)", "head % G"),
    Mutant(
        ATTENTION,
        "strides ignored",
        "key strides used for value",
        "group * vh + t[:, None] * vt",
        "group * kh + t[:, None] * kt",
    ),
    Mutant(
        ATTENTION,
        "low precision",
        "accumulator in float16",
        "acc = acc * alpha + product",
        "acc = (acc * alpha + product).astype(np.float16).astype(np.float32)",
    ),
    Mutant(
        ATTENTION,
        "low precision",
        "scores rounded to float16",
        "(tile_q @ tile_k.T) * scale",
        "((tile_q @ tile_k.T) * scale).astype(np.float16).astype(np.float32)",
    ),
    Mutant(
        ATTENTION,
        "missing maximum",
        "maximum of the first block only",
        "new = np.maximum(m, scores.max(axis=1, keepdims=True))",
        "new = scores.max(axis=1, keepdims=True) if start == 0 else m",
    ),
    Mutant(ATTENTION, "denominator", "divided by the number of keys", "acc / total", "acc / np.float32(L)"),
)
