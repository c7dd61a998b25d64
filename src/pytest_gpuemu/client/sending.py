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


def sent_arrays(given: Mapping[str, Any]) -> dict[str, Tensor]:
    """Arrays by name. Raises ClientError for what is no array, or of a dtype that the wire has not."""
    return {name: _sent(array) for name, array in given.items()}


def sent_output(output: Any) -> SentOutput:
    """One output, or several: by name, or in the op's order. What is a tensor already stays."""
    if isinstance(output, Mapping):
        return sent_arrays(output)
    if isinstance(output, (tuple, list)):
        return [_sent(array) for array in output]
    return _sent(output)


def _sent(array: Any) -> Tensor:
    if isinstance(array, Tensor):
        return array
    try:
        return to_tensor(arrays.to_numpy(array))
    except ProtocolError as error:
        raise ClientError(str(error)) from error
