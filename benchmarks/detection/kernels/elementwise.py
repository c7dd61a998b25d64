"""Elementwise kernels: a 1-d grid over the flat index, each program FLAT elements."""

from __future__ import annotations

import numpy as np
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.memory import FLAT, Pointer, empty, strides
from scipy.special import erf


def relu(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, np.where(v > 0, v, np.where(v != v, v, 0)), mask)
    return output


def leaky_relu(input, negative_slope):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, np.where(v > 0, v, v * np.float32(negative_slope)), mask)
    return output


def gelu(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, np.float32(0.5) * v * (1 + erf(v * np.float32(0.70710678))), mask)
    return output


def gelu_tanh(input, approximate):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        inner = np.float32(0.79788456) * (v + np.float32(0.044715) * v * v * v)
        y.store(at, np.float32(0.5) * v * (1 + np.tanh(inner)), mask)
    return output


def silu(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, v / (1 + np.exp(-v)), mask)
    return output


def sigmoid(input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, y = Pointer(input), Pointer(output)
    sr, sc = strides(input)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        v = x.load(at // cols * sr + at % cols * sc, mask)
        y.store(at, 1 / (1 + np.exp(-v)), mask)
    return output


def add(input, other, alpha):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    a, b, y = Pointer(input), Pointer(other), Pointer(output)
    (ar, ac), (br, bc) = strides(input), strides(other)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        va = a.load(r * ar + c * ac, mask)
        vb = b.load(r * br + c * bc, mask)
        y.store(at, va + np.float32(alpha) * vb, mask)
    return output


def mul(input, other):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    a, b, y = Pointer(input), Pointer(other), Pointer(output)
    (ar, ac), (br, bc) = strides(input), strides(other)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        va = a.load(r * ar + c * ac, mask)
        vb = b.load(r * br + c * bc, mask)
        y.store(at, va * vb, mask)
    return output


def swiglu(gate, up):
    rows, cols = gate.shape
    output = empty(gate.shape, gate.dtype)
    g, u, y = Pointer(gate), Pointer(up), Pointer(output)
    (gr, gc), (ur, uc) = strides(gate), strides(up)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        vg = g.load(r * gr + c * gc, mask)
        vu = u.load(r * ur + c * uc, mask)
        y.store(at, vg / (1 + np.exp(-vg)) * vu, mask)
    return output


def gelu_backward(grad_output, input):
    rows, cols = input.shape
    output = empty(input.shape, input.dtype)
    x, g, y = Pointer(input), Pointer(grad_output), Pointer(output)
    (sr, sc), (gr, gc) = strides(input), strides(grad_output)
    for start in range(0, rows * cols, FLAT):
        at = start + np.arange(FLAT)
        mask = at < rows * cols
        r, c = at // cols, at % cols
        v = x.load(r * sr + c * sc, mask)
        d = g.load(r * gr + c * gc, mask)
        cdf = np.float32(0.5) * (1 + erf(v * np.float32(0.70710678)))
        pdf = np.float32(0.39894228) * np.exp(np.float32(-0.5) * v * v)
        y.store(at, d * (cdf + v * pdf), mask)
    return output


RELU, LEAKY_RELU, GELU = Control("relu", relu), Control("leaky_relu", leaky_relu), Control("gelu", gelu)
GELU_TANH = Control("gelu", gelu_tanh, {"params": {"approximate": "tanh"}})
SILU, SIGMOID, ADD = (
    Control("silu", silu),
    Control("sigmoid", sigmoid),
    Control("add", add, {"params": {"alpha": [1, 2.5]}}),
)
MUL, SWIGLU = Control("mul", mul), Control("swiglu", swiglu)
GELU_BACKWARD = Control("gelu_backward", gelu_backward)
CONTROLS = (RELU, LEAKY_RELU, GELU, GELU_TANH, SILU, SIGMOID, ADD, MUL, SWIGLU, GELU_BACKWARD)

INDEX = "at // cols * sr + at % cols * sc"
MUTANTS = (
    Mutant(RELU, "non-finite swallowed", "NaN becomes 0", "np.where(v != v, v, 0)", "0"),
    Mutant(RELU, "strides ignored", "contiguous indexing", INDEX, "at"),
    Mutant(
        RELU,
        "grid off by one",
        "the last partial block is not run",
        "range(0, rows * cols, FLAT)",
        "range(0, rows * cols // FLAT * FLAT, FLAT)",
    ),
    Mutant(LEAKY_RELU, "wrong constant", "slope ignored", "np.float32(negative_slope)", "np.float32(0.02)"),
    Mutant(
        LEAKY_RELU,
        "wrong formula",
        "absolute value of the slope side",
        "v * np.float32(negative_slope)",
        "-v * np.float32(negative_slope)",
    ),
    Mutant(GELU, "wrong constant", "1/sqrt(2) as 0.7071", "np.float32(0.70710678)", "np.float32(0.7071)"),
    Mutant(
        GELU,
        "wrong formula",
        "tanh form for erf",
        "erf(v * np.float32(0.70710678))",
        "np.tanh(np.float32(0.79788456) * (v + np.float32(0.044715) * v * v * v))",
    ),
    Mutant(
        GELU,
        "low precision",
        "intermediate rounded to float16",
        "1 + erf(v * np.float32(0.70710678))",
        "1 + erf(v * np.float32(0.70710678)).astype(np.float16).astype(np.float32)",
    ),
    Mutant(GELU, "strides ignored", "row stride only", INDEX, "at // cols * sr + at % cols"),
    Mutant(GELU_TANH, "wrong constant", "0.044715 as 0.0447", "np.float32(0.044715)", "np.float32(0.0447)"),
    Mutant(GELU_TANH, "wrong formula", "square for cube", "* v * v * v)", "* v * v)"),
    Mutant(GELU_TANH, "missing factor", "half forgotten", "np.float32(0.5) * v *", "v *"),
    Mutant(SILU, "overflow", "exp(v) form", "v / (1 + np.exp(-v))", "v * np.exp(v) / (1 + np.exp(v))"),
    Mutant(
        SILU,
        "low precision",
        "sigmoid rounded to bfloat16",
        "v / (1 + np.exp(-v))",
        "v * (1 / (1 + np.exp(-v))).astype(np.float16).astype(np.float32)",
    ),
    Mutant(
        SILU,
        "mask",
        "stores only whole blocks",
        "mask)\n    return",
        "mask & (start + FLAT <= rows * cols))\n    return",
    ),
    Mutant(SIGMOID, "wrong sign", "exp(v)", "np.exp(-v)", "np.exp(v)"),
    Mutant(
        SIGMOID, "strides ignored", "rows and columns exchanged", INDEX, "at // cols * sc + at % cols * sr"
    ),
    Mutant(
        SIGMOID, "non-finite swallowed", "input clipped to 20", "np.exp(-v)", "np.exp(-np.clip(v, -20, 20))"
    ),
    Mutant(ADD, "missing factor", "alpha ignored", "np.float32(alpha) * vb", "vb"),
    Mutant(ADD, "strides ignored", "other read with input's strides", "r * br + c * bc", "r * ar + c * ac"),
    Mutant(
        ADD,
        "aliasing",
        "result written over the input",
        "y.store(at, va",
        "y.store(at, va + np.float32(alpha) * vb, mask); a.store(r * ar + c * ac, va",
    ),
    Mutant(MUL, "wrong operand", "input squared", "va * vb", "va * va"),
    Mutant(
        MUL,
        "low precision",
        "factors rounded to float16",
        "va * vb",
        "va.astype(np.float16).astype(np.float32) * vb",
    ),
    Mutant(MUL, "loop bound", "one column short", "at < rows * cols", "at < rows * cols - 1"),
    Mutant(
        SWIGLU,
        "wrong operand",
        "gate and up exchanged",
        "vg / (1 + np.exp(-vg)) * vu",
        "vu / (1 + np.exp(-vu)) * vg",
    ),
    Mutant(
        SWIGLU,
        "low precision",
        "gate rounded to the storage type",
        "np.exp(-vg)) * vu",
        "np.exp(-vg)).astype(np.float16).astype(np.float32) * vu",
    ),
    Mutant(SWIGLU, "strides ignored", "up taken as contiguous", "r * ur + c * uc", "at"),
    Mutant(GELU_BACKWARD, "wrong formula", "density term forgotten", "(cdf + v * pdf)", "cdf"),
    Mutant(
        GELU_BACKWARD, "strides ignored", "incoming gradient taken as contiguous", "r * gr + c * gc", "at"
    ),
    Mutant(
        GELU_BACKWARD, "wrong constant", "1/sqrt(2 pi) as 0.4", "np.float32(0.39894228)", "np.float32(0.4)"
    ),
)
