"""Activation functions, and the gated forms that language models use.

Here: the references and the records. Elsewhere: their backward ops (backward/).
The logistic function is scipy's expit: one function to the tracer, so that neither exp's overflow
nor its cancellation in 1 + exp(-x) is asked of a kernel or forgiven to it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf, expit

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array
from pytest_gpuemu.engine.ops.elementwise import UNARY


def relu(input: Float64Array) -> Float64Array:
    """max(input, 0); NaN stays NaN, as in torch."""
    return np.maximum(input, 0.0)


RELU = define_op("relu", reference=relu, schema=UNARY, origin="built-in")


def leaky_relu(input: Float64Array, *, negative_slope: float = 0.01) -> Float64Array:
    """input where it is above 0, else negative_slope * input."""
    return np.where(input > 0, input, negative_slope * input)


LEAKY_RELU = define_op(
    "leaky_relu", reference=leaky_relu, schema=UNARY, params={"negative_slope": 0.01}, origin="built-in"
)


def elu(input: Float64Array, *, alpha: float = 1.0) -> Float64Array:
    """input where it is above 0, else alpha * (exp(input) - 1).

    Written with exp - 1, which most kernels have, not with expm1, which is more exact near 0.
    """
    return np.where(input > 0, input, alpha * (np.exp(np.minimum(input, 0.0)) - 1.0))


ELU = define_op("elu", reference=elu, schema=UNARY, params={"alpha": 1.0}, origin="built-in")


def gelu(input: Float64Array, *, approximate: str = "none") -> Float64Array:
    """x/2 * (1 + erf(x/sqrt 2)); "tanh": x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).

    Raises ValueError for another value of approximate.
    """
    if approximate == "none":
        return 0.5 * input * (1.0 + erf(input * math.sqrt(0.5)))
    if approximate == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (input + 0.044715 * input * input * input)
        return 0.5 * input * (1.0 + np.tanh(inner))
    raise ValueError(f'gelu: approximate = {approximate!r} is neither "none" nor "tanh"')


GELU = define_op("gelu", reference=gelu, schema=UNARY, params={"approximate": "none"}, origin="built-in")


def silu(input: Float64Array) -> Float64Array:
    """x * sigmoid(x)."""
    return input * expit(input)


SILU = define_op("silu", reference=silu, schema=UNARY, aliases=["swish"], origin="built-in")


def sigmoid(input: Float64Array) -> Float64Array:
    """1 / (1 + exp(-x))."""
    return expit(input)


SIGMOID = define_op("sigmoid", reference=sigmoid, schema=UNARY, origin="built-in")


def tanh(input: Float64Array) -> Float64Array:
    """The hyperbolic tangent."""
    return np.tanh(input)


TANH = define_op("tanh", reference=tanh, schema=UNARY, origin="built-in")


def softplus(input: Float64Array, *, beta: float = 1.0, threshold: float = 20.0) -> Float64Array:
    """log(1 + exp(beta x)) / beta, and x itself where beta x is above threshold, as torch does."""
    scaled = input if beta == 1 else beta * input
    soft = np.log1p(np.exp(np.minimum(scaled, threshold)))
    return np.where(scaled > threshold, input, soft if beta == 1 else soft / beta)


SOFTPLUS = define_op(
    "softplus",
    reference=softplus,
    schema=UNARY,
    params={"beta": 1.0, "threshold": 20.0},
    origin="built-in",
)


def swiglu(gate: Float64Array, up: Float64Array) -> Float64Array:
    """silu(gate) * up: the gated product of a language model's feed-forward layer."""
    return gate * expit(gate) * up


SWIGLU = define_op(
    "swiglu",
    reference=swiglu,
    schema="gate[rows,cols], up[rows,cols] -> [rows,cols]",
    aliases=["silu_mul"],
    origin="built-in",
)


def silu_and_mul(input: Float64Array) -> Float64Array:
    """swiglu of the two halves of the last dim: silu(input[..., :n]) * input[..., n:]."""
    half = input.shape[-1] // 2
    return swiglu(input[..., :half], input[..., half:])


SILU_AND_MUL = define_op(
    "silu_and_mul", reference=silu_and_mul, schema="input[rows,2*cols] -> [rows,cols]", origin="built-in"
)


def geglu(gate: Float64Array, up: Float64Array, *, approximate: str = "none") -> Float64Array:
    """gelu(gate) * up."""
    return gelu(gate, approximate=approximate) * up


GEGLU = define_op(
    "geglu",
    reference=geglu,
    schema="gate[rows,cols], up[rows,cols] -> [rows,cols]",
    params={"approximate": "none"},
    aliases=["gelu_mul"],
    origin="built-in",
)

ACTIVATIONS = (
    RELU,
    LEAKY_RELU,
    ELU,
    GELU,
    SILU,
    SIGMOID,
    TANH,
    SOFTPLUS,
    SWIGLU,
    SILU_AND_MUL,
    GEGLU,
)
