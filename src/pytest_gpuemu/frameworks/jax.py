"""JAX: arrays to and from NumPy, and judging what a block of JAX code computed.

    with validate_jax("softmax", {"input": x}) as ctx:
        ctx.set_output(my_softmax(x))
    check_autograd(my_layer_norm, "layer_norm", {"input": x, "weight": w, "bias": b})

Elsewhere: the verdicts (engine/own_arrays.py), the same for drawn cases (`library="jax"` in the marker,
`fuzz_case.check_grad`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.client.client import Client
from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.frameworks.differentiating import check_gradients, of_library
from pytest_gpuemu.validation import ValidationContext, validate_op

__all__ = ["check_autograd", "from_numpy", "to_numpy", "validate_jax"]


def to_numpy(array: Any) -> Array:
    """The values of a JAX array; bfloat16 and float8 as ml_dtypes."""
    return arrays.to_numpy(of_library("jax", "array", array), giver="the caller")


def from_numpy(array: Array, device: Any = None) -> Any:
    """A JAX array of an array's values and dtype. Strides are lost, as JAX has none.

    Raises CannotRunHere for what JAX cannot hold, such as float64 while jax_enable_x64 is not set.
    """
    return arrays.from_numpy(np.ascontiguousarray(array), "jax", device)


def validate_jax(
    op_name: str,
    inputs: Mapping[str, Any],
    *,
    client: Client | None = None,
    seed: int | None = None,
    **params: Any,
) -> ValidationContext:
    """`validate_op` for JAX arrays: judge the output that the block sets, on its inputs' device."""
    for name, x in inputs.items():
        of_library("jax", f"input {name!r}", x)
    return validate_op(op_name, inputs, client=client, seed=seed, **params)


def check_autograd(
    function: Callable[..., Any], op_name: str, inputs: Mapping[str, Any], *, seed: int = 0, **params: Any
) -> Any:
    """Call function(**inputs, **params), judge its output and the gradients of the inputs, and return the
    output.

    Gradients are those of jax.vjp for an incoming gradient drawn from seed; they are compared with the
    float64 gradients of the op's reference. Raises KernelMismatch where something is wrong, ConfigError where
    the reference's gradients are not known.
    """
    __tracebackhide__ = True
    return check_gradients("jax", function, op_name, inputs, seed, params)
