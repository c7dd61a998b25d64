"""Convolution and pooling in two dims, written after the tuning: a flat grid over the output's pixels."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import Pointer, empty, strides


def conv2d(input, weight, bias, stride, padding, dilation):
    (N, C, H, W), (F, _, R, S) = input.shape, weight.shape
    height = (H + 2 * padding - dilation * (R - 1) - 1) // stride + 1
    width = (W + 2 * padding - dilation * (S - 1) - 1) // stride + 1
    output = empty((N, F, height, width), input.dtype)
    x, w, b, y = Pointer(input), Pointer(weight), Pointer(bias), Pointer(output)
    (xn, xc, xh, xw), (wf, wc, wr, ws), (sb,) = strides(input), strides(weight), strides(bias)
    f, pixel = np.arange(F)[:, None], np.arange(height * width)[None, :]
    top, left = pixel // width * stride - padding, pixel % width * stride - padding
    for n in range(N):
        acc = np.zeros((F, height * width), np.float32)
        for c in range(C):
            for r in range(R):
                for s in range(S):
                    i, j = top + r * dilation, left + s * dilation
                    inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
                    v = x.load(n * xn + c * xc + i * xh + j * xw, inside)
                    acc += w.load(f * wf + c * wc + r * wr + s * ws) * v
        y.store((n * F + f) * (height * width) + pixel, acc + b.load(f * sb))
    return output


def max_pool2d(input, kernel_size, stride, padding):
    N, C, H, W = input.shape
    step = kernel_size if stride is None else stride
    height, width = (H + 2 * padding - kernel_size) // step + 1, (W + 2 * padding - kernel_size) // step + 1
    output = empty((N, C, height, width), input.dtype)
    x, y = Pointer(input), Pointer(output)
    xn, xc, xh, xw = strides(input)
    plane, pixel = np.arange(N * C)[:, None], np.arange(height * width)[None, :]
    best = np.full((N * C, height * width), -np.inf, np.float32)
    for r in range(kernel_size):
        for s in range(kernel_size):
            i, j = pixel // width * step - padding + r, pixel % width * step - padding + s
            inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
            v = x.load(plane // C * xn + plane % C * xc + i * xh + j * xw, inside, other=-np.inf)
            best = np.where((v > best) | (v != v), v, best)
    y.store(plane * (height * width) + pixel, best)
    return output


def avg_pool2d(input, kernel_size, stride, padding, count_include_pad):
    N, C, H, W = input.shape
    step = kernel_size if stride is None else stride
    height, width = (H + 2 * padding - kernel_size) // step + 1, (W + 2 * padding - kernel_size) // step + 1
    output = empty((N, C, height, width), input.dtype)
    x, y = Pointer(input), Pointer(output)
    xn, xc, xh, xw = strides(input)
    plane, pixel = np.arange(N * C)[:, None], np.arange(height * width)[None, :]
    acc = np.zeros((N * C, height * width), np.float32)
    count = np.zeros((1, height * width), np.float32)
    for r in range(kernel_size):
        for s in range(kernel_size):
            i, j = pixel // width * step - padding + r, pixel % width * step - padding + s
            inside = (i >= 0) & (i < H) & (j >= 0) & (j < W)
            acc += x.load(plane // C * xn + plane % C * xc + i * xh + j * xw, inside)
            count += inside
    divisor = np.float32(kernel_size * kernel_size) if count_include_pad else count
    y.store(plane * (height * width) + pixel, acc / divisor)
    return output


CONV2D = Control("conv2d", conv2d, {"params": {"stride": [1, 2], "padding": [0, 1, 2], "dilation": [1, 2]}})
WINDOWS = {"kernel_size": [2, 3], "stride": [None, 1, 2], "padding": [0, 1]}
MAX_POOL2D = Control("max_pool2d", max_pool2d, {"params": WINDOWS})
AVG_POOL2D = Control("avg_pool2d", avg_pool2d, {"params": {**WINDOWS, "count_include_pad": [True, False]}})
CONTROLS = (CONV2D, MAX_POOL2D, AVG_POOL2D)

FRESH_MUTANTS = (
    Mutant(CONV2D, "padding", "right edge not masked", " & (j < W)", ""),
    Mutant(CONV2D, "dilation", "dilation ignored in the columns", "left + s * dilation", "left + s"),
    Mutant(
        CONV2D,
        "wrong axis",
        "pixel split by the height",
        "pixel // width * stride",
        "pixel // height * stride",
    ),
    Mutant(CONV2D, "wrong axis", "kernel transposed", "r * wr + s * ws", "r * ws + s * wr"),
    Mutant(
        CONV2D,
        "strides ignored",
        "channels-first strides assumed",
        "c * xc + i * xh + j * xw",
        "c * H * W + i * W + j",
    ),
    Mutant(
        CONV2D,
        "low precision",
        "float16 accumulator",
        "acc = np.zeros((F, height * width), np.float32)",
        "acc = np.zeros((F, height * width), np.float16)",
    ),
    Mutant(
        CONV2D,
        "accumulator",
        "not reset between images",
        "        acc = np.zeros((F, height * width), np.float32)\n",
        "        acc = np.zeros((F, height * width), np.float32) if n == 0 else acc\n",
    ),
    Mutant(
        MAX_POOL2D,
        "wrong init",
        "starts at 0: all-negative windows",
        "np.full((N * C, height * width), -np.inf, np.float32)",
        "np.zeros((N * C, height * width), np.float32)",
    ),
    Mutant(MAX_POOL2D, "padding", "padding counts as 0", "other=-np.inf", "other=0.0"),
    Mutant(MAX_POOL2D, "non-finite swallowed", "NaN loses", "(v > best) | (v != v)", "v > best"),
    Mutant(
        MAX_POOL2D,
        "stride",
        "kernel size for the stride",
        "step = kernel_size if stride is None else stride",
        "step = kernel_size",
    ),
    Mutant(MAX_POOL2D, "window edge", "last row of the input left out", "(i < H)", "(i < H - 1)"),
    Mutant(
        MAX_POOL2D,
        "strides ignored",
        "channel stride taken as H * W",
        "plane % C * xc",
        "plane % C * (H * W)",
    ),
    Mutant(
        AVG_POOL2D,
        "denominator",
        "padding always counted",
        "np.float32(kernel_size * kernel_size) if count_include_pad else count",
        "np.float32(kernel_size * kernel_size)",
    ),
    Mutant(
        AVG_POOL2D,
        "denominator",
        "elements counted even with padding",
        "np.float32(kernel_size * kernel_size) if count_include_pad else count",
        "count",
    ),
    Mutant(
        AVG_POOL2D,
        "window edge",
        "last column of the window left out",
        "for s in range(kernel_size):",
        "for s in range(max(kernel_size - 1, 2)):",
    ),
    Mutant(
        AVG_POOL2D,
        "low precision",
        "rounded to the storage type before the division",
        "acc / divisor",
        "acc.astype(input.dtype).astype(np.float32) / divisor",
    ),
)
