"""The gradients of the built-in ops: each forward op with the backward op that gives its gradients.

Here: for each op, its backward reference as a function of the forward inputs. A backward op that reads the
forward output gets it as that kernel left it, in the storage dtype. Elsewhere: the backward ops themselves
(backward/), gradients of other references (engine/gradients.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from pytest_gpuemu.engine.op import Array, Float64Array, Gradient, Op
from pytest_gpuemu.engine.ops.activations import sigmoid, tanh
from pytest_gpuemu.engine.ops.backward.activations import (
    gelu_backward,
    relu_backward,
    sigmoid_backward,
    silu_backward,
    swiglu_backward,
    tanh_backward,
)
from pytest_gpuemu.engine.ops.backward.attention import (
    scaled_dot_product_attention_backward,
)
from pytest_gpuemu.engine.ops.backward.linalg import (
    embedding_backward,
    linear_backward,
    matmul_backward,
)
from pytest_gpuemu.engine.ops.backward.losses import (
    cross_entropy_backward,
    cross_entropy_backward_of_all,
)
from pytest_gpuemu.engine.ops.backward.normalization import (
    layer_norm_backward,
    layer_norm_backward_as_line,
    log_softmax_backward,
    rms_norm_backward,
    rms_norm_backward_by_cube,
    softmax_backward,
)
from pytest_gpuemu.engine.ops.softmax import log_softmax, softmax
from pytest_gpuemu.engine.trace.stored import stored

Backward = Callable[..., Any]


def of_output(backward: Backward, forward: Callable[..., Float64Array]) -> Backward:
    """A backward reference that reads the forward output, as a function of the forward input."""

    def gradient(grad_output: Float64Array, input: Float64Array, **params: Any) -> Any:
        return backward(grad_output, stored(forward(input, **params)), **params)

    return gradient


def without_bias(backward: Backward) -> Backward:
    """A backward reference that has no use for the bias, with a place for it."""

    def gradient(
        grad_output: Float64Array,
        input: Float64Array,
        weight: Float64Array,
        bias: Float64Array,
        **params: Any,
    ) -> Any:
        return backward(grad_output, input, weight, **params)

    return gradient


def bmm_gradient(grad_output: Float64Array, input: Float64Array, mat2: Float64Array) -> Any:
    return matmul_backward(grad_output, input, mat2)


def embedding_gradient(grad_output: Float64Array, input: Array, weight: Float64Array) -> Any:
    return embedding_backward(grad_output, input, weight)


def _gradient(of: str, *references: Backward) -> Gradient:
    return Gradient(references=references, of=tuple(of.split()))


ATTENTION_GRADIENT = _gradient("query key value", scaled_dot_product_attention_backward)

GRADIENTS: Mapping[str, Gradient] = {
    "relu": _gradient("input", relu_backward),
    "sigmoid": _gradient("input", of_output(sigmoid_backward, sigmoid)),
    "tanh": _gradient("input", of_output(tanh_backward, tanh)),
    "gelu": _gradient("input", gelu_backward),
    "silu": _gradient("input", silu_backward),
    "swiglu": _gradient("gate up", swiglu_backward),
    "softmax": _gradient("input", of_output(softmax_backward, softmax)),
    "log_softmax": _gradient("input", of_output(log_softmax_backward, log_softmax)),
    "layer_norm": _gradient(
        "input weight bias", without_bias(layer_norm_backward), without_bias(layer_norm_backward_as_line)
    ),
    "rms_norm": _gradient("input weight", rms_norm_backward, rms_norm_backward_by_cube),
    "cross_entropy": _gradient("input", cross_entropy_backward, cross_entropy_backward_of_all),
    "matmul": _gradient("input other", matmul_backward),
    "bmm": _gradient("input mat2", bmm_gradient),
    "linear": _gradient("input weight bias", without_bias(linear_backward)),
    "embedding": _gradient("weight", embedding_gradient),
    "scaled_dot_product_attention": ATTENTION_GRADIENT,
    "grouped_query_attention": ATTENTION_GRADIENT,
}


def with_gradients(ops: Iterable[Op]) -> tuple[Op, ...]:
    """The ops, those with a backward op with their gradient."""
    return tuple(replace(op, gradient=GRADIENTS[op.name]) if op.name in GRADIENTS else op for op in ops)
