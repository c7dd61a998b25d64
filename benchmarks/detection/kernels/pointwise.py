"""elu, softplus, clamp, floor_divide, normalize, group_norm, rope and quantization, written after the tuning."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import BLOCK, FLAT, Pointer, empty, strides

GROUP = 128


def elu(input, alpha):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, np.where(v > 0, v, np.float32(alpha) * (np.exp(np.minimum(v, 0)) - 1)), mask)
    return output


def softplus(input, beta, threshold):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        z = v * np.float32(beta)
        y.store(at, np.where(z > threshold, v, np.log1p(np.exp(z)) / np.float32(beta)), mask)
    return output


def clamp(input, min, max):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, np.minimum(np.maximum(v, np.float32(min)), np.float32(max)), mask)
    return output


def floor_divide(input, other):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    a, b, y = Pointer(input), Pointer(other), Pointer(output)
    (ar, ac), (br, bc) = strides(input), strides(other)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        n, d = a.load(r * ar + c * ac, mask), b.load(r * br + c * bc, mask, other=1)
        rest = np.fmod(n, d)
        quotient = (n - rest) // d
        y.store(at, quotient - ((rest != 0) & ((rest < 0) != (d < 0))), mask)
    return output


def normalize(input, eps):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    squares = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols)
        squares += (v * v).sum(axis=1, keepdims=True)
    norm = np.maximum(np.sqrt(squares), np.float32(eps))
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        y.store(row * cols + col, x.load(row * sr + col * sc, col < cols) / norm, col < cols)
    return output


def group_norm(input, weight, bias, num_groups, eps):
    N, channels, L = input.shape
    C = channels // num_groups
    output = empty(input.shape, input.dtype)
    x, w, b, y = Pointer(input), Pointer(weight), Pointer(bias), Pointer(output)
    (sn, sc, sl), (sw,), (sb,) = strides(input), strides(weight), strides(bias)
    program = np.arange(N * num_groups)[:, None]
    n, first, size = program // num_groups, program % num_groups * C, C * L
    total = np.zeros((program.size, 1), np.float32)
    for start in range(0, size, BLOCK):
        j = start + np.arange(BLOCK)
        total += x.load(n * sn + (first + j // L) * sc + j % L * sl, j < size).sum(axis=1, keepdims=True)
    center = total / np.float32(size)
    squares = np.zeros((program.size, 1), np.float32)
    for start in range(0, size, BLOCK):
        j = start + np.arange(BLOCK)
        v = x.load(n * sn + (first + j // L) * sc + j % L * sl, j < size)
        d = np.where(j < size, v - center, np.float32(0))
        squares += (d * d).sum(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(squares / np.float32(size) + np.float32(eps))
    for start in range(0, size, BLOCK):
        j = start + np.arange(BLOCK)
        channel = first + j // L
        v = (x.load(n * sn + channel * sc + j % L * sl, j < size) - center) * rstd
        v = v * w.load(channel * sw, j < size) + b.load(channel * sb, j < size)
        y.store((n * channels + channel) * L + j % L, v, j < size)
    return output


def rope(input, cos, sin):
    B, H, S, width = input.shape
    D = width // 2
    output = empty(input.shape, input.dtype)
    x, c, s, y = Pointer(input), Pointer(cos), Pointer(sin), Pointer(output)
    (xb, xh, xs, xd), (cs, cd), (ss, sd) = strides(input), strides(cos), strides(sin)
    pos, d = np.arange(S)[:, None], np.arange(D)[None, :]
    vc, vs = c.load(pos * cs + d * cd), s.load(pos * ss + d * sd)
    for batch in range(B):
        for head in range(H):
            one = x.load(batch * xb + head * xh + pos * xs + d * xd)
            two = x.load(batch * xb + head * xh + pos * xs + (d + D) * xd)
            at = ((batch * H + head) * S + pos) * width + d
            y.store(at, one * vc - two * vs)
            y.store(at + D, two * vc + one * vs)
    return output


def quantize_int8(input, eps):
    rows, cols = input.shape
    groups = cols // GROUP
    output, scales = empty((rows, cols), np.int8), empty((rows, groups), np.float32)
    x, y, s = Pointer(input), Pointer(output), Pointer(scales)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    for group in range(groups):
        col = group * GROUP + np.arange(GROUP)
        v = x.load(row * sr + col * sc)
        scale = np.maximum(np.abs(v).max(axis=1, keepdims=True), np.float32(eps)) / np.float32(127)
        y.store(row * cols + col, np.rint(np.clip(v / scale, -127, 127)))
        s.store(row * groups + group, scale)
    return output, scales


def dequantize_int8(input, scale):
    rows, cols = input.shape
    groups = scale.shape[1]
    output = empty((rows, cols), scale.dtype)
    x, s, y = Pointer(input), Pointer(scale), Pointer(output)
    (xr, xc), (sr, sg) = strides(input), strides(scale)
    row = np.arange(rows)[:, None]
    for group in range(groups):
        col = group * GROUP + np.arange(GROUP)
        codes = x.load(row * xr + col * xc).astype(np.float32)
        y.store(row * cols + col, codes * s.load(row * sr + group * sg))
    return output


ELU = Control("elu", elu, {"params": {"alpha": [1.0, 0.5]}})
SOFTPLUS = Control("softplus", softplus, {"params": {"beta": [1.0, 2.0]}})
CLAMP = Control("clamp", clamp, {"params": {"min": [-1.0, 0.3], "max": [1.0, 0.7]}})
FLOOR_DIVIDE, NORMALIZE = Control("floor_divide", floor_divide), Control("normalize", normalize)
GROUP_NORM, ROPE = Control("group_norm", group_norm), Control("rope", rope)
QUANTIZE, DEQUANTIZE = Control("quantize_int8", quantize_int8), Control("dequantize_int8", dequantize_int8)
CONTROLS = (ELU, SOFTPLUS, CLAMP, FLOOR_DIVIDE, NORMALIZE, GROUP_NORM, ROPE, QUANTIZE, DEQUANTIZE)

FRESH_MUTANTS = (
    Mutant(ELU, "missing factor", "alpha ignored", "np.float32(alpha) * ", ""),
    Mutant(ELU, "non-finite swallowed", "NaN becomes 0", "np.exp(np.minimum(v, 0))", "np.exp(np.fmin(v, 0))"),
    Mutant(
        ELU,
        "low precision",
        "exponential rounded to float16",
        "(np.exp(np.minimum(v, 0)) - 1)",
        "(np.exp(np.minimum(v, 0)).astype(np.float16).astype(np.float32) - 1)",
    ),
    Mutant(SOFTPLUS, "unstable form", "log(1 + exp)", "np.log1p(np.exp(z))", "np.log(1 + np.exp(z))"),
    Mutant(
        SOFTPLUS,
        "overflow",
        "threshold forgotten",
        "np.where(z > threshold, v, np.log1p(np.exp(z)) / np.float32(beta))",
        "np.log1p(np.exp(z)) / np.float32(beta)",
    ),
    Mutant(
        SOFTPLUS,
        "missing factor",
        "not divided by beta",
        "np.log1p(np.exp(z)) / np.float32(beta)",
        "np.log1p(np.exp(z))",
    ),
    Mutant(
        CLAMP,
        "non-finite swallowed",
        "NaN becomes a bound",
        "np.minimum(np.maximum(v, np.float32(min)), np.float32(max))",
        "np.fmin(np.fmax(v, np.float32(min)), np.float32(max))",
    ),
    Mutant(
        CLAMP,
        "low precision",
        "bounds kept in float16",
        "np.float32(min)",
        "np.float32(np.float16(min))",
    ),
    Mutant(
        CLAMP, "wrong operand", "only the upper bound's size is used", "np.float32(min)", "-np.float32(max)"
    ),
    Mutant(
        FLOOR_DIVIDE,
        "truncation",
        "quotient rounded to zero",
        "quotient - ((rest != 0) & ((rest < 0) != (d < 0)))",
        "quotient",
    ),
    Mutant(
        FLOOR_DIVIDE,
        "truncation",
        "exact quotients of mixed sign lowered too",
        "(rest != 0) & ((rest < 0) != (d < 0))",
        "(n < 0) != (d < 0)",
    ),
    Mutant(
        FLOOR_DIVIDE,
        "low precision",
        "divided in float32",
        "(n - rest) // d",
        "(n.astype(np.float32) / d.astype(np.float32)).astype(np.int64)",
    ),
    Mutant(
        FLOOR_DIVIDE,
        "strides ignored",
        "divisor read with the dividend's strides",
        "r * br + c * bc",
        "r * ar + c * ac",
    ),
    Mutant(
        NORMALIZE,
        "eps",
        "forgotten: 0 / 0 for a row of zeros",
        "np.maximum(np.sqrt(squares), np.float32(eps))",
        "np.sqrt(squares)",
    ),
    Mutant(
        NORMALIZE,
        "eps",
        "inside the root",
        "np.maximum(np.sqrt(squares), np.float32(eps))",
        "np.sqrt(np.maximum(squares, np.float32(eps)))",
    ),
    Mutant(
        NORMALIZE,
        "denominator",
        "root of the mean square",
        "np.sqrt(squares)",
        "np.sqrt(squares / np.float32(cols))",
    ),
    Mutant(
        NORMALIZE,
        "low precision",
        "norm rounded to the storage type",
        "np.maximum(np.sqrt(squares), np.float32(eps))",
        "np.maximum(np.sqrt(squares).astype(input.dtype).astype(np.float32), np.float32(eps))",
    ),
    Mutant(NORMALIZE, "accumulator", "= for +=", "squares += (v", "squares = (v"),
    Mutant(
        GROUP_NORM,
        "wrong axis",
        "weight by group",
        "w.load(channel * sw, j < size)",
        "w.load((program % num_groups) * sw)",
    ),
    Mutant(
        GROUP_NORM,
        "denominator",
        "divided by the channel's length",
        "squares / np.float32(size)",
        "squares / np.float32(L)",
    ),
    Mutant(
        GROUP_NORM,
        "tail mask",
        "padding counted in the variance",
        "np.where(j < size, v - center, np.float32(0))",
        "v - center",
    ),
    Mutant(
        GROUP_NORM,
        "loop bound",
        "last partial block dropped from the mean beyond eight blocks",
        "total = np.zeros((program.size, 1), np.float32)\n    for start in range(0, size, BLOCK):",
        "total = np.zeros((program.size, 1), np.float32)\n"
        "    for start in range(0, size if size <= 8 * BLOCK else size // BLOCK * BLOCK, BLOCK):",
    ),
    Mutant(
        GROUP_NORM,
        "strides ignored",
        "bias taken as contiguous",
        "b.load(channel * sb, j < size)",
        "b.load(channel, j < size)",
    ),
    Mutant(
        ROPE,
        "wrong sign",
        "rotates the other way in the second half",
        "two * vc + one * vs",
        "two * vc - one * vs",
    ),
    Mutant(
        ROPE,
        "wrong operand",
        "cosine of the next position",
        "c.load(pos * cs + d * cd)",
        "c.load((pos + 1) % S * cs + d * cd)",
    ),
    Mutant(
        ROPE, "strides ignored", "sine read with cosine's strides", "pos * ss + d * sd", "pos * cs + d * cd"
    ),
    Mutant(
        ROPE,
        "low precision",
        "products rounded to the storage type",
        "two * vc + one * vs",
        "(two * vc).astype(input.dtype).astype(np.float32) + one * vs",
    ),
    Mutant(
        QUANTIZE,
        "truncation",
        "codes truncated",
        "np.rint(np.clip(v / scale, -127, 127))",
        "np.trunc(np.clip(v / scale, -127, 127))",
    ),
    Mutant(
        QUANTIZE,
        "wrong formula",
        "scale from the signed maximum",
        "np.abs(v).max(axis=1, keepdims=True)",
        "v.max(axis=1, keepdims=True)",
    ),
    Mutant(QUANTIZE, "wrong constant", "scaled to 128", "np.float32(127)", "np.float32(128)"),
    Mutant(
        QUANTIZE,
        "wrong axis",
        "one scale for all rows",
        "np.abs(v).max(axis=1, keepdims=True)",
        "np.abs(v).max(axis=1, keepdims=True).max(axis=0, keepdims=True)",
    ),
    Mutant(
        QUANTIZE,
        "low precision",
        "scale rounded to float16",
        "/ np.float32(127)\n",
        "/ np.float32(127)\n        scale = scale.astype(np.float16).astype(np.float32)\n",
    ),
    Mutant(DEQUANTIZE, "wrong operand", "scale of the first group", "row * sr + group * sg", "row * sr"),
    Mutant(
        DEQUANTIZE,
        "wrong type",
        "codes read as unsigned",
        "x.load(row * xr + col * xc)",
        "(x.load(row * xr + col * xc) & 255)",
    ),
    Mutant(
        DEQUANTIZE,
        "strides ignored",
        "scale taken as contiguous",
        "row * sr + group * sg",
        "row * groups + group",
    ),
)
