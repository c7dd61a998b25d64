"""The gradient of cross_entropy."""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.ops.attention import FINITE
from pytest_gpuemu.engine.ops.losses import IGNORED, TARGET, class_axis
from pytest_gpuemu.engine.ops.softmax import softmax


def cross_entropy_backward(
    grad_output: Float64Array,
    input: Float64Array,
    target: Array,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float64Array:
    """(softmax(input) - target's distribution) * grad_output, over the number of targets for a mean.

    grad_output is that of the loss: one number, or one a target where reduction is "none". The rows of
    ignored targets are 0, whatever is in them. Raises ValueError for another reduction.
    """
    gradient = cross_entropy_backward_of_all(
        grad_output,
        input,
        target,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    return np.where(np.expand_dims(target != ignore_index, class_axis(input)), gradient, 0.0)


def cross_entropy_backward_of_all(
    grad_output: Float64Array,
    input: Float64Array,
    target: Array,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float64Array:
    """cross_entropy_backward with ignored rows multiplied by 0, as torch does it: NaN logits stay NaN."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction = {reduction!r} is none of mean, sum, none")
    axis = class_axis(input)
    classes = input.shape[axis]
    valid = np.expand_dims(target != ignore_index, axis)
    places = np.arange(classes).reshape([classes if a == axis else 1 for a in range(input.ndim)])
    wanted = np.where(places == np.expand_dims(target, axis), 1.0 - label_smoothing, 0.0)
    weight = np.expand_dims(grad_output, axis) if reduction == "none" else grad_output
    if reduction == "mean":
        weight = weight / np.count_nonzero(valid)
    return (softmax(input, dim=axis) - (wanted + label_smoothing / classes)) * np.where(valid, weight, 0.0)


CROSS_ENTROPY_BACKWARD = define_op(
    "cross_entropy_backward",
    reference=[cross_entropy_backward, cross_entropy_backward_of_all],
    schema="grad_output[], input[N,C], target[N] -> grad_input[N,C]",
    inputs={"grad_output": FINITE, "target": TARGET},
    params={"ignore_index": IGNORED, "reduction": "mean", "label_smoothing": 0.0},
    origin="built-in",
)
