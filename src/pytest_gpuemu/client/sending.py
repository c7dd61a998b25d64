"""A user's arrays on their way to the daemon.

Here: arrays of any library as tensors. Elsewhere: the tensors' bytes (engine/protocol/), which library an
array is of (engine/arrays.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.errors import ClientError, ProtocolError
from pytest_gpuemu.engine.protocol.tensor import Tensor
from pytest_gpuemu.engine.wire_arrays import to_tensor

SentOutput: TypeAlias = Tensor | dict[str, Tensor] | list[Tensor]


def sent_inputs(given: Any) -> dict[str, Tensor]:
    """Inputs by name. Raises ClientError for what is no dict, or of a dtype that the wire has not, and
    OutputError for what is no array."""
    if not isinstance(given, Mapping):
        raise ClientError(f"inputs is a {type(given).__name__}; expected a dict of arrays by name")
    return {name: _sent(array, f"the caller (input {name!r})") for name, array in given.items()}


def sent_output(output: Any) -> SentOutput:
    """One output, or several: by name, or in the op's order. What is a tensor already stays. Raises as
    sent_inputs does."""
    giver = "the op"
    if isinstance(output, Mapping):
        return {name: _sent(array, giver) for name, array in output.items()}
    if isinstance(output, (tuple, list)):
        return [_sent(array, giver) for array in output]
    return _sent(output, giver)


def _sent(array: Any, giver: str) -> Tensor:
    if isinstance(array, Tensor):
        return array
    try:
        return to_tensor(arrays.to_numpy(array, giver))
    except ProtocolError as error:
        raise ClientError(str(error)) from error
