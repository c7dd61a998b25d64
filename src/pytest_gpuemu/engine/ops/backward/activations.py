"""The gradients of activations: ReLU, sigmoid, tanh, GELU, SiLU and SwiGLU."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import erf, expit

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array

OF_INPUT = "grad_output[rows,cols], input[rows,cols] -> grad_input[rows,cols]"
OF_OUTPUT = "grad_output[rows,cols], output[rows,cols] -> grad_input[rows,cols]"


def relu_backward(grad_output: Float64Array, input: Float64Array) -> Float64Array:
    """grad_output where input is above 0 or NaN, else 0, as aten's threshold_backward."""
    return np.where(input <= 0, 0.0, grad_output)


RELU_BACKWARD = define_op("relu_backward", reference=relu_backward, schema=OF_INPUT, origin="built-in")


def sigmoid_backward(grad_output: Float64Array, output: Float64Array) -> Float64Array:
    """grad_output * (1 - y) * y, for the output y of sigmoid."""
    return grad_output * (1.0 - output) * output


SIGMOID_BACKWARD = define_op(
    "sigmoid_backward",
    reference=sigmoid_backward,
    schema=OF_OUTPUT,
    inputs={"output": {"low": 0.0, "high": 1.0}},
    origin="built-in",
)


def tanh_backward(grad_output: Float64Array, output: Float64Array) -> Float64Array:
    """grad_output * (1 - y^2), for the output y of tanh."""
    return grad_output * (1.0 - output * output)


TANH_BACKWARD = define_op(
    "tanh_backward",
    reference=tanh_backward,
    schema=OF_OUTPUT,
    inputs={"output": {"low": -1.0, "high": 1.0}},
    origin="built-in",
)


def gelu_backward(
    grad_output: Float64Array, input: Float64Array, *, approximate: str = "none"
) -> Float64Array:
    """grad_output * d gelu(x) / dx, with gelu's two forms. Raises ValueError for another."""
    if approximate == "none":
        density = np.exp(-0.5 * input * input) * (1.0 / math.sqrt(2.0 * math.pi))
        return grad_output * (0.5 * (1.0 + erf(input * math.sqrt(0.5))) + input * density)
    if approximate == "tanh":
        beta, square = math.sqrt(2.0 / math.pi), input * input
        t = np.tanh(beta * (input + 0.044715 * square * input))
        slope = beta * (1.0 + 3.0 * 0.044715 * square)
        return grad_output * (0.5 * (1.0 + t) + 0.5 * input * (1.0 - t * t) * slope)
    raise ValueError(f'gelu_backward: approximate = {approximate!r} is neither "none" nor "tanh"')


GELU_BACKWARD = define_op(
    "gelu_backward",
    reference=gelu_backward,
    schema=OF_INPUT,
    params={"approximate": "none"},
    origin="built-in",
)


def silu_backward(grad_output: Float64Array, input: Float64Array) -> Float64Array:
    """grad_output * s * (1 + x * (1 - s)), with s = sigmoid(x)."""
    s = expit(input)
    return grad_output * (s * (1.0 + input * (1.0 - s)))


SILU_BACKWARD = define_op("silu_backward", reference=silu_backward, schema=OF_INPUT, origin="built-in")


def swiglu_backward(
    grad_output: Float64Array, gate: Float64Array, up: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """The gradients of silu(gate) * up."""
    return silu_backward(grad_output * up, gate), grad_output * (gate * expit(gate))


SWIGLU_BACKWARD = define_op(
    "swiglu_backward",
    reference=swiglu_backward,
    schema="grad_output[rows,cols], gate[rows,cols], up[rows,cols]"
    " -> grad_gate[rows,cols], grad_up[rows,cols]",
    origin="built-in",
)

ACTIVATIONS = (RELU_BACKWARD, SIGMOID_BACKWARD, TANH_BACKWARD, GELU_BACKWARD, SILU_BACKWARD, SWIGLU_BACKWARD)
