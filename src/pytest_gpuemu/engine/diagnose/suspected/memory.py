"""Inputs as a kernel reads them that takes wrong strides, or that reads past the end of an axis.

Here: reading the memory around a case's input with other strides or another shape. Elsewhere: the memory
itself (buffers.py), what follows from it (inputs.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array, Float64Array

Strides = tuple[int, ...]


def read(
    case: Case, name: str, strides: Sequence[int], shape: Sequence[int] | None = None, first: int = 0
) -> Array | None:
    """The elements at the input's address under these strides (in elements), as float64 or the integers
    there; from so many elements after that address on, or before it.

    What lies outside of the allocation is NaN, or 0 for integers. None without memory of ours, or where that
    is sparse.
    """
    buffer = case.buffers.get(name)
    if buffer is None or buffer.layout == "huge":
        return None
    view, base = buffer.view, buffer.base
    shape = view.shape if shape is None else tuple(shape)
    start = view.ctypes.data - base.ctypes.data
    size = view.itemsize
    memory = base[start % size :]
    memory = memory[: memory.size // size * size].view(view.dtype)
    offsets = np.asarray(start // size + first)
    for axis, (length, stride) in enumerate(zip(shape, strides, strict=True)):
        steps = np.arange(length) * stride
        offsets = offsets[..., None] + steps if axis else offsets + steps
    inside = (offsets >= 0) & (offsets < memory.size)
    found = memory[np.where(inside, offsets, 0)]
    if view.dtype.kind in "iub":
        return np.where(inside, found, np.zeros((), found.dtype))
    values: Float64Array = np.where(inside, found.astype(np.float64), np.nan)
    return values


def true_strides(case: Case, name: str) -> Strides:
    """The strides that the kernel was given, in elements."""
    return _strides_of(case.inputs[name])


def contiguous_strides(shape: Sequence[int]) -> Strides:
    """Those of a C-contiguous array."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def wrong_strides(case: Case, name: str) -> Iterator[tuple[str, Strides]]:
    """Strides that a kernel may have taken for this input's, each with a phrase; none that read the same."""
    shape, right = case.inputs[name].shape, true_strides(case, name)
    dense = contiguous_strides(shape)
    seen = {_effective(shape, right)}

    def new(phrase: str, strides: Strides) -> Iterator[tuple[str, Strides]]:
        if (key := _effective(shape, strides)) not in seen:
            seen.add(key)
            yield phrase, strides

    yield from new("as if it were contiguous", dense)
    for axis in range(len(shape)):
        one = (*right[:axis], dense[axis], *right[axis + 1 :])
        yield from new(f"with stride {dense[axis]} along axis {axis}, which is {right[axis]}", one)
    if len(shape) > 1:
        others = (*right[:-2], right[-1], right[-2])
        yield from new("with the strides of its last two axes exchanged", others)
    for other in case.inputs:
        if other == name:
            continue
        theirs = true_strides(case, other)
        if len(theirs) == len(right):
            yield from new(f"with the strides of {other}", theirs)
            for axis in range(len(shape)):
                one = (*right[:axis], theirs[axis], *right[axis + 1 :])
                yield from new(f"with the stride of {other} along axis {axis}", one)
    for output, buffer in case.output_buffers.items():
        theirs = _strides_of(buffer.view)
        if len(theirs) == len(right):
            yield from new(f"with the strides of {output}", theirs)


def _strides_of(array: Array) -> Strides:
    return tuple(stride // array.itemsize for stride in array.strides)


def _effective(shape: Sequence[int], strides: Strides) -> Strides:
    """Strides with 0 along axes of one element, where they do not matter."""
    return tuple(stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))
