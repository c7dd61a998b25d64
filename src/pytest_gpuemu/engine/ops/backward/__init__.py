"""Backward ops: the gradients of an op's inputs, from that of its output.

Here: the references and the records, as ordinary ops; inputs are named as in torch's aten, outputs
`grad_` and the name of what they are the gradient of. Elsewhere: the forward ops.
Statistics of the forward pass (mean, rstd, log-sum-exp) are no inputs: drawn at random they would
contradict the input, and kernels differ in which of them they save. Where sums of several terms may be
grouped in several ways, inputs are finite: infinity less infinity depends on the grouping.
"""

from pytest_gpuemu.engine.ops.backward.activations import ACTIVATIONS
from pytest_gpuemu.engine.ops.backward.attention import SCALED_DOT_PRODUCT_ATTENTION_BACKWARD
from pytest_gpuemu.engine.ops.backward.linalg import LINALG
from pytest_gpuemu.engine.ops.backward.losses import CROSS_ENTROPY_BACKWARD
from pytest_gpuemu.engine.ops.backward.normalization import NORMALIZATION

BACKWARD = (
    *ACTIVATIONS,
    *NORMALIZATION,
    CROSS_ENTROPY_BACKWARD,
    *LINALG,
    SCALED_DOT_PRODUCT_ATTENTION_BACKWARD,
)
