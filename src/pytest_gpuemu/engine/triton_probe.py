"""A Triton kernel that shows how the interpreter converts to bfloat16; imports torch and Triton."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator, unused-ignore]
def _store(source, target):  # type: ignore[no-untyped-def]
    tl.store(target, tl.load(source).to(target.dtype.element_ty))


def truncates_bfloat16() -> bool:
    """Whether 1.005859375, which is nearer to 1.0078125 than to 1, becomes 1 in bfloat16."""
    source = torch.tensor([1.0 + 2.0**-8 + 2.0**-9])
    target = torch.zeros(1, dtype=torch.bfloat16)
    _store[(1,)](source, target)
    return bool(target.item() == 1.0)
