"""PyTorch: tensors to and from NumPy, and judging what a block of torch code computed.

    with validate_pytorch("softmax", {"input": x}) as ctx:
        ctx.set_output(my_softmax(x))
    check_autograd(MyLayerNorm.apply, "layer_norm", {"input": x, "weight": w, "bias": b})

Elsewhere: the verdicts (engine/own_arrays.py), the same for drawn cases (`library="torch"` in the marker,
`fuzz_case.check_grad`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_gpuemu.client.client import Client
from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.frameworks.differentiating import check_gradients, of_library
from pytest_gpuemu.validation import ValidationContext, validate_op

__all__ = ["check_autograd", "from_numpy", "to_numpy", "validate_pytorch"]


def to_numpy(tensor: Any) -> Array:
    """The values of a tensor, with its strides; bfloat16 and float8 as ml_dtypes.

    Shares the memory of a tensor on the CPU. Raises OutputError for a tensor without dense values.
    """
    return arrays.to_numpy(of_library("torch", "tensor", tensor), giver="the caller")


def from_numpy(array: Array, device: Any = None) -> Any:
    """A tensor of an array's values, dtype and strides; on the CPU it shares the memory.

    Raises CannotRunHere for what torch cannot hold, such as negative strides.
    """
    return arrays.from_numpy(array, "torch", device)


def validate_pytorch(
    op_name: str,
    inputs: Mapping[str, Any],
    *,
    client: Client | None = None,
    seed: int | None = None,
    **params: Any,
) -> ValidationContext:
    """`validate_op` for tensors: judge the output that the block sets, on its inputs' device."""
    for name, x in inputs.items():
        of_library("torch", f"input {name!r}", x)
    return validate_op(op_name, inputs, client=client, seed=seed, **params)


def check_autograd(
    function: Callable[..., Any], op_name: str, inputs: Mapping[str, Any], *, seed: int = 0, **params: Any
) -> Any:
    """Call function(**inputs, **params), judge its output and the gradients of the inputs, and return the
    output.

    Gradients are those of torch.autograd for an incoming gradient drawn from seed, in any layout; they are
    compared with the float64 gradients of the op's reference. Raises KernelMismatch where something is wrong,
    ConfigError where the reference's gradients are not known.
    """
    __tracebackhide__ = True
    return check_gradients("torch", function, op_name, inputs, seed, params)
