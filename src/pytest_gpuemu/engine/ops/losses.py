"""Losses over class indices: cross_entropy and nll_loss.

Here: the references and the records. Elsewhere: cross_entropy's backward op (backward/).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.ops.softmax import log_softmax

IGNORED = -100
TARGET: dict[str, Any] = {"kind": "index", "of": "C", "ignore": IGNORED}


def class_axis(input: Float64Array) -> int:
    """Where the classes are: dim 1 of [N, C, ...], dim 0 of a lone [C]."""
    return 0 if input.ndim == 1 else 1


def reduce(losses: Float64Array, valid: Array, reduction: str) -> Float64Array:
    """The losses, 0 where ignored, or their sum, or its share of the targets that are not ignored.

    The mean without any such target is NaN, as in torch. Raises ValueError for another reduction.
    """
    kept = np.where(valid, losses, 0.0)
    if reduction == "none":
        return kept
    if reduction == "sum":
        return kept.sum()
    if reduction == "mean":
        return kept.sum() / np.count_nonzero(valid)
    raise ValueError(f"reduction = {reduction!r} is none of mean, sum, none")


def nll_loss(
    input: Float64Array, target: Array, *, ignore_index: int = IGNORED, reduction: str = "mean"
) -> Float64Array:
    """-input[n, target[n]], the negative log-likelihood, for log-probabilities input [N, C, ...]."""
    axis = class_axis(input)
    valid = target != ignore_index
    index = np.expand_dims(np.where(valid, target, 0), axis)
    picked = np.squeeze(np.take_along_axis(input, index, axis=axis), axis=axis)
    return reduce(-picked, valid, reduction)


NLL_LOSS = define_op(
    "nll_loss",
    reference=nll_loss,
    schema="input[N,C], target[N] -> output[...]",
    inputs={"target": TARGET},
    params={"ignore_index": IGNORED, "reduction": "mean"},
    origin="built-in",
)


def cross_entropy(
    input: Float64Array,
    target: Array,
    *,
    ignore_index: int = IGNORED,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Float64Array:
    """nll_loss(log_softmax(input), target); label_smoothing mixes in the mean over all classes."""
    axis = class_axis(input)
    likelihood = log_softmax(input, dim=axis)
    if label_smoothing == 0:
        return nll_loss(likelihood, target, ignore_index=ignore_index, reduction=reduction)
    of_target = nll_loss(likelihood, target, ignore_index=ignore_index, reduction="none")
    of_all = -likelihood.sum(axis=axis)
    losses = (1.0 - label_smoothing) * of_target + label_smoothing / input.shape[axis] * of_all
    return reduce(losses, target != ignore_index, reduction)


CROSS_ENTROPY = define_op(
    "cross_entropy",
    reference=cross_entropy,
    schema="input[N,C], target[N] -> output[...]",
    inputs={"target": TARGET},
    params={"ignore_index": IGNORED, "reduction": "mean", "label_smoothing": 0.0},
    aliases=["cross_entropy_loss"],
    origin="built-in",
)

LOSSES = (NLL_LOSS, CROSS_ENTROPY)
