"""Handing a case's arrays to a kernel in its own library, and bringing back what it made of their memory.

Here: which arrays share the host's memory, and which lie in a copy. Elsewhere: an array of a library over
given memory (arrays.py), the copy on a device (device_memory.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.arrays import from_numpy
from pytest_gpuemu.engine.buffers import Buffer
from pytest_gpuemu.engine.device_memory import DeviceCopy, copy_to_device, is_copied
from pytest_gpuemu.engine.op import Array


class Handover:
    """Arrays of "numpy", "torch", "cupy" or "jax" on one device, for views of a case's buffers."""

    def __init__(self, library: str, device: Any = None) -> None:
        self.library = library
        self.device = device
        self._copies: dict[int, DeviceCopy] = {}

    @property
    def shares_memory(self) -> bool:
        """Whether the arrays lie in the buffers themselves."""
        return self.library == "numpy" or (
            self.library == "torch" and not is_copied(self.library, self.device)
        )

    def arrays(self, views: Mapping[str, Array], buffers: Mapping[str, Buffer]) -> dict[str, Any]:
        """The views as arrays of the library, by name; one that has a buffer begins its torch storage where
        that says. Raises CannotRunHere as arrays.from_numpy does.
        """
        return {name: self._array(view, buffers.get(name)) for name, view in views.items()}

    def fetch(self) -> None:
        """Put what a kernel wrote on a device, around its arrays too, into the buffers."""
        for copy in self._copies.values():
            copy.fetch()

    def forget(self) -> None:
        """Copy the buffers anew when they are next handed over."""
        self._copies.clear()

    def _array(self, view: Array, buffer: Buffer | None) -> Any:
        if buffer is None:
            return from_numpy(view, self.library, self.device)
        if not is_copied(self.library, self.device):
            return from_numpy(view, self.library, self.device, storage_offset=buffer.storage_offset)
        # An output that is computed in place has the input's buffer, and its copy.
        if id(buffer) not in self._copies:
            self._copies[id(buffer)] = copy_to_device(buffer, self.library, self.device)
        return self._copies[id(buffer)].array
