"""A case's buffers on a device: copied whole, so that guard bands and gaps are watched there too.

Here: the copy, and bringing back what a kernel made of it. Elsewhere: the memory and its guard bands
(buffers.py), arrays that share the host's memory (arrays.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_gpuemu.engine import arrays
from pytest_gpuemu.engine.buffers import Buffer


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCopy:
    """A buffer's whole allocation on a device: memory is its bytes there, array the view that a kernel gets.

    The view's torch storage is all of the memory, whatever the layout, so it has an offset.
    """

    buffer: Buffer
    memory: Any
    array: Any

    def fetch(self) -> None:
        """Put the device's bytes into the buffer, those around the view too."""
        self.buffer.base[...] = arrays.to_numpy(self.memory)


def is_copied(library: str, device: Any) -> bool:
    """Whether the arrays that a kernel gets have memory of their own, which it can write."""
    if library != "torch" or device is None:
        return library == "cupy"
    import torch

    return str(torch.device(device).type) != "cpu"


def copy_to_device(buffer: Buffer, library: str, device: Any) -> DeviceCopy:
    """The buffer on the device of "torch" or "cupy". Raises CannotRunHere where it cannot be there."""
    view = buffer.view
    if buffer.layout == "huge" or not view.size:
        return DeviceCopy(buffer=buffer, memory=buffer.base, array=arrays.from_numpy(view, library, device))
    memory = arrays.from_numpy(buffer.base, library, device)
    return DeviceCopy(
        buffer=buffer,
        memory=memory,
        array=arrays.view_of_bytes(memory, str(view.dtype), view.shape, view.strides, buffer.placement.first),
    )
