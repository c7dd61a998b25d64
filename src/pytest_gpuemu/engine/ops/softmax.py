"""softmax and log_softmax.

Here: the references and the records. Elsewhere: logsumexp (reductions.py), backward (backward/).
"""

from __future__ import annotations

import numpy as np

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.op import Float64Array

SCHEMA = "input[rows,cols] -> [rows,cols]"


def softmax(input: Float64Array, *, dim: int = -1) -> Float64Array:
    """exp(x) / sum(exp(x)) along dim, shifted by the maximum so that exp cannot overflow.

    Where -inf masks some elements they are exactly 0; a row of -inf alone, or with NaN or +inf,
    is NaN, as in torch.
    """
    if input.shape[dim] == 0:
        return input
    shifted = np.exp(input - input.max(axis=dim, keepdims=True))
    return shifted / shifted.sum(axis=dim, keepdims=True)


SOFTMAX = define_op("softmax", reference=softmax, schema=SCHEMA, params={"dim": -1}, origin="built-in")


def log_softmax(input: Float64Array, *, dim: int = -1) -> Float64Array:
    """x - (max + log(sum(exp(x - max)))) along dim: x less its logsumexp.

    The form that subtracts the maximum first is more exact; kernels have both, so this asks for less.
    """
    if input.shape[dim] == 0:
        return input
    largest = input.max(axis=dim, keepdims=True)
    return input - (largest + np.log(np.exp(input - largest).sum(axis=dim, keepdims=True)))


LOG_SOFTMAX = define_op(
    "log_softmax", reference=log_softmax, schema=SCHEMA, params={"dim": -1}, origin="built-in"
)

SOFTMAXES = (SOFTMAX, LOG_SOFTMAX)
