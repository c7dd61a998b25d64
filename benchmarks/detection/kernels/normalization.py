"""Softmax, log_softmax and the norms, forward and backward: rows in blocks of columns, float32 inside."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import BLOCK, Pointer, empty, strides


def softmax(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    m, total = np.full((rows, 1), -np.inf, np.float32), np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols, other=-np.inf)
        new = np.maximum(m, v.max(axis=1, keepdims=True))
        shift = np.where(new == -np.inf, np.float32(0), new)
        total = total * np.exp(m - shift) + np.exp(v - shift).sum(axis=1, keepdims=True)
        m = new
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols)
        y.store(row * cols + col, np.exp(v - m) / total, col < cols)
    return output


def log_softmax(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    row = np.arange(rows)[:, None]
    m = np.full((rows, 1), -np.inf, np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        m = np.maximum(m, x.load(row * sr + col * sc, col < cols, other=-np.inf).max(axis=1, keepdims=True))
    total = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols, other=-np.inf)
        total += np.exp(v - m).sum(axis=1, keepdims=True)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols)
        y.store(row * cols + col, v - m - np.log(total), col < cols)
    return output


def softmax_backward(grad_output, output):
    rows, cols = output.shape
    grad = empty(output.shape, output.dtype)
    g, p, y = Pointer(grad_output), Pointer(output), Pointer(grad)
    (gr, gc), (pr, pc) = strides(grad_output), strides(output)
    row = np.arange(rows)[:, None]
    dot = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        d = g.load(row * gr + col * gc, col < cols)
        dot += (d * p.load(row * pr + col * pc, col < cols)).sum(axis=1, keepdims=True)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        d = g.load(row * gr + col * gc, col < cols)
        y.store(row * cols + col, p.load(row * pr + col * pc, col < cols) * (d - dot), col < cols)
    return grad


def layer_norm(input, weight, bias, eps):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, w, b, y = Pointer(input), Pointer(weight), Pointer(bias), Pointer(output)
    (sr, sc), (sw,), (sb,) = strides(input), strides(weight), strides(bias)
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
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = (x.load(row * sr + col * sc, col < cols) - center) * rstd
        v = v * w.load(col * sw, col < cols) + b.load(col * sb, col < cols)
        y.store(row * cols + col, v, col < cols)
    return output


def rms_norm(input, weight, eps):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, w, y = Pointer(input), Pointer(weight), Pointer(output)
    (sr, sc), (sw,) = strides(input), strides(weight)
    row = np.arange(rows)[:, None]
    squares = np.zeros((rows, 1), np.float32)
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols)
        squares += (v * v).sum(axis=1, keepdims=True)
    rms = 1 / np.sqrt(squares / np.float32(cols) + np.float32(eps))
    for start in range(0, cols, BLOCK):
        col = start + np.arange(BLOCK)
        v = x.load(row * sr + col * sc, col < cols) * rms
        y.store(row * cols + col, v * w.load(col * sw, col < cols), col < cols)
    return output


SOFTMAX, LOG_SOFTMAX = Control("softmax", softmax), Control("log_softmax", log_softmax)
SOFTMAX_BACKWARD = Control("softmax_backward", softmax_backward)
LAYER_NORM, RMS_NORM = Control("layer_norm", layer_norm), Control("rms_norm", rms_norm)
CONTROLS = (SOFTMAX, LOG_SOFTMAX, SOFTMAX_BACKWARD, LAYER_NORM, RMS_NORM)

MUTANTS = (
    Mutant(SOFTMAX, "tail mask", "filled with 0", "other=-np.inf", "other=0.0"),
    Mutant(SOFTMAX, "tail mask", "finite sentinel", "other=-np.inf", "other=-1e4"),
    Mutant(SOFTMAX, "rescale", "old total not rescaled", "total * np.exp(m - shift)", "total"),
    Mutant(SOFTMAX, "accumulator", "= for +=", "total * np.exp(m - shift) + np.exp", "np.exp"),
    Mutant(SOFTMAX, "missing maximum", "no shift", "m = new", "m = np.zeros_like(new)"),
    Mutant(
        SOFTMAX,
        "masked rows",
        "NaN in a block of -inf",
        "shift = np.where(new == -np.inf, np.float32(0), new)",
        "shift = new",
    ),
    Mutant(
        SOFTMAX,
        "strides ignored",
        "column stride taken as 1",
        "        v = x.load(row * sr + col * sc, col < cols)\n",
        "        v = x.load(row * sr + col, col < cols)\n",
    ),
    Mutant(
        SOFTMAX,
        "low precision",
        "total rounded to float16",
        "        m = new\n",
        "        m, total = new, total.astype(np.float16).astype(np.float32)\n",
    ),
    Mutant(
        SOFTMAX,
        "wrong axis",
        "maximum over the whole tile",
        "v.max(axis=1, keepdims=True))",
        "v.max(keepdims=True))",
    ),
    Mutant(
        LOG_SOFTMAX,
        "tail mask",
        "filled with 0 in the maximum pass",
        "col < cols, other=-np.inf).max",
        "col < cols, other=0.0).max",
    ),
    Mutant(
        LOG_SOFTMAX,
        "unstable form",
        "log of the quotient",
        "v - m - np.log(total)",
        "np.log(np.exp(v - m) / total)",
    ),
    Mutant(LOG_SOFTMAX, "accumulator", "= for +=", "total += np.exp", "total = np.exp"),
    Mutant(
        LOG_SOFTMAX,
        "missing maximum",
        "maximum not subtracted at the end",
        "v - m - np.log(total)",
        "v - np.log(total)",
    ),
    Mutant(SOFTMAX_BACKWARD, "wrong formula", "dot forgotten", "(d - dot)", "d"),
    Mutant(SOFTMAX_BACKWARD, "accumulator", "= for +=", "dot += (d", "dot = (d"),
    Mutant(
        SOFTMAX_BACKWARD,
        "strides ignored",
        "incoming gradient with the output's strides",
        "(gr, gc), (pr, pc) = strides(grad_output), strides(output)",
        "gr, gc = pr, pc = strides(output)",
    ),
    Mutant(
        SOFTMAX_BACKWARD,
        "wrong axis",
        "dot over the columns",
        ").sum(axis=1, keepdims=True)",
        ").sum(keepdims=True)",
    ),
    Mutant(
        LAYER_NORM,
        "unstable form",
        "E[x^2] - E[x]^2",
        "rstd = 1 / np.sqrt(squares / np.float32(cols) + np.float32(eps))",
        "rstd = 1 / np.sqrt(np.maximum((squares + center * center * np.float32(cols)) / np.float32(cols) - center * center, 0) + np.float32(eps))",
    ),
    Mutant(
        LAYER_NORM,
        "tail mask",
        "padding counted in the variance",
        "np.where(col < cols, x.load(row * sr + col * sc, col < cols) - center, np.float32(0))",
        "x.load(row * sr + col * sc, col < cols) - center",
    ),
    Mutant(
        LAYER_NORM,
        "eps",
        "outside the root",
        "1 / np.sqrt(squares / np.float32(cols) + np.float32(eps))",
        "1 / (np.sqrt(squares / np.float32(cols)) + np.float32(eps))",
    ),
    Mutant(LAYER_NORM, "eps", "forgotten", " + np.float32(eps))", ")"),
    Mutant(
        LAYER_NORM,
        "denominator",
        "unbiased variance",
        "squares / np.float32(cols) +",
        "squares / np.float32(max(cols - 1, 1)) +",
    ),
    Mutant(LAYER_NORM, "wrong operand", "bias forgotten", " + b.load(col * sb, col < cols)", ""),
    Mutant(
        LAYER_NORM,
        "strides ignored",
        "weight taken as contiguous",
        "w.load(col * sw, col < cols)",
        "w.load(col, col < cols)",
    ),
    Mutant(
        LAYER_NORM,
        "low precision",
        "normalized value rounded to float16",
        "v * w.load",
        "v.astype(np.float16).astype(np.float32) * w.load",
    ),
    Mutant(LAYER_NORM, "accumulator", "= for += in the mean", "total += x", "total = x"),
    Mutant(
        RMS_NORM,
        "eps",
        "outside the root",
        "1 / np.sqrt(squares / np.float32(cols) + np.float32(eps))",
        "1 / (np.sqrt(squares / np.float32(cols)) + np.float32(eps))",
    ),
    Mutant(RMS_NORM, "eps", "wrong by ten", "np.float32(eps)", "np.float32(10 * eps)"),
    Mutant(RMS_NORM, "denominator", "sum for mean", "squares / np.float32(cols)", "squares"),
    Mutant(
        RMS_NORM,
        "low precision",
        "squares in float16",
        "squares += (v * v)",
        "squares += (v * v).astype(np.float16).astype(np.float32)",
    ),
    Mutant(
        RMS_NORM,
        "low precision",
        "sum rounded to float16",
        "squares += (v * v).sum(axis=1, keepdims=True)",
        "squares = (squares + (v * v).sum(axis=1, keepdims=True)).astype(np.float16).astype(np.float32)",
    ),
    Mutant(RMS_NORM, "strides ignored", "weight taken as contiguous", "col * sw", "col"),
)
