"""Buffers: the memory around an array of a case, with its layout, guard bands and poisoned gaps."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_gpuemu.engine.op import Array


@dataclass(slots=True, kw_only=True)
class Buffer:
    """A view with a layout inside a larger allocation of ours.

    base is the whole allocation as bytes (1-d uint8), view the array that a kernel gets.
    """

    base: Array
    view: Array
