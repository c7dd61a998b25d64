"""A case: a plan with its arrays, as a kernel gets them and as the reference reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_gpuemu.engine.buffers import Buffer
from pytest_gpuemu.engine.op import Array, Op
from pytest_gpuemu.engine.plan import Plan


@dataclass(slots=True, kw_only=True)
class Case:
    """One set of inputs for an op.

    inputs are views with the plan's layouts inside buffers of ours; they may be handed to a kernel,
    which may spoil them. originals are equal C-contiguous arrays that no kernel sees; the reference
    reads these. buffers (by input name) and output_buffers (by output name, where asked for) know
    the memory around the views. A case made from a caller's own arrays has no buffers.
    """

    op: Op
    plan: Plan
    inputs: dict[str, Array]
    originals: Mapping[str, Array]
    buffers: dict[str, Buffer] = field(default_factory=dict)
    output_buffers: dict[str, Buffer] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        return dict(self.plan.params)
