"""Buffers for outputs: poisoned memory inside guard bands, for kernels that write into what they are given.

Here: the shape and dtype of each output of a case before anything expected exists.
Elsewhere: the memory (buffers.py), whether it was written (checks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from pytest_gpuemu.engine.buffers import allocate
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.dtypes import is_floating
from pytest_gpuemu.engine.op import Array, Output
from pytest_gpuemu.engine.plan import layout_fits
from pytest_gpuemu.engine.references import evaluate, output_shape
from pytest_gpuemu.engine.rng import derive_seed


def make_outputs(case: Case, poison: int = 0) -> dict[str, Array]:
    """New buffers for every output, filled with that poison; they become case.output_buffers.

    An output that the op writes in place is the input's own view. Raises ReferenceFailed where the
    shape or dtype is the reference's to tell and it fails on ones.
    """
    probed: dict[str, Array] | None = None
    views: dict[str, Array] = {}
    case.output_buffers.clear()
    for output in case.op.outputs:
        if output.name in case.op.inplace:
            written = case.op.inplace[output.name]
            views[output.name] = case.inputs[written]
            if written in case.buffers:
                case.output_buffers[output.name] = case.buffers[written]
            continue
        shape = output_shape(case.op, output.name, case)
        dtype = output.dtype
        if shape is None or dtype is None:
            probed = probed or _on_ones(case)
            shape = probed[output.name].shape
            dtype = dtype or output_dtype(case, output, str(probed[output.name].dtype))
        layout = case.plan.output_layouts.get(output.name, "contiguous")
        buffer = allocate(
            shape,
            dtype,
            layout if layout_fits(layout, shape) else "contiguous",
            derive_seed(case.plan.seed, f"output_layout/{output.name}"),
        )
        if poison:
            buffer.poison(poison)
        case.output_buffers[output.name] = buffer
        views[output.name] = buffer.view
    return views


def output_dtype(case: Case, output: Output, reference_dtype: str) -> str:
    """The dtype that an output should have: declared, or the reference's if integer or bool, else the
    first floating input's.
    """
    if output.dtype is not None:
        return output.dtype
    if not is_floating(reference_dtype):
        return reference_dtype
    floating = [dtype for dtype in case.plan.dtypes.values() if is_floating(dtype)]
    return floating[0] if floating else case.plan.dtype


def _on_ones(case: Case) -> dict[str, Array]:
    """What the reference gives for ones: its shapes and dtypes, and nothing of this case's values."""
    ones: Mapping[str, Array] = {
        x.name: np.ones_like(case.originals[x.name]) if x.kind == "values" else case.originals[x.name]
        for x in case.op.inputs
    }
    return evaluate(case.op, case.op.references[0], replace(case, originals=ones))
