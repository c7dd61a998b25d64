"""Built-in operators, one file a family; `BUILTIN_OPS` has them all by name and alias.

Here: the look-up. Elsewhere: each op with its reference, in the file of its family. Adding an op
changes its family's file alone; adding a family adds a line to `FAMILIES`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.ops.activations import ACTIVATIONS
from pytest_gpuemu.engine.ops.attention import ATTENTION
from pytest_gpuemu.engine.ops.backward import BACKWARD
from pytest_gpuemu.engine.ops.convolution import CONVOLUTION
from pytest_gpuemu.engine.ops.elementwise import ELEMENTWISE
from pytest_gpuemu.engine.ops.gradients import with_gradients
from pytest_gpuemu.engine.ops.indexing import INDEXING
from pytest_gpuemu.engine.ops.linalg import LINALG
from pytest_gpuemu.engine.ops.losses import LOSSES
from pytest_gpuemu.engine.ops.normalization import NORMALIZATION
from pytest_gpuemu.engine.ops.ordering import ORDERING
from pytest_gpuemu.engine.ops.quantization import QUANTIZATION
from pytest_gpuemu.engine.ops.random import RANDOM
from pytest_gpuemu.engine.ops.reductions import REDUCTIONS
from pytest_gpuemu.engine.ops.shapes_taken import with_shapes_taken
from pytest_gpuemu.engine.ops.softmax import SOFTMAXES

FAMILIES: Mapping[str, tuple[Op, ...]] = MappingProxyType(
    {
        "elementwise": ELEMENTWISE,
        "activations": ACTIVATIONS,
        "reductions": REDUCTIONS,
        "order": ORDERING,
        "softmax": SOFTMAXES,
        "normalization": NORMALIZATION,
        "matrix products": LINALG,
        "attention": ATTENTION,
        "convolution": CONVOLUTION,
        "indexing": INDEXING,
        "losses": LOSSES,
        "quantization": QUANTIZATION,
        "random": RANDOM,
        "backward": BACKWARD,
    }
)


def by_name(ops: Iterable[Op]) -> dict[str, Op]:
    """The ops by name and by alias. Raises ValueError where two share one."""
    found: dict[str, Op] = {}
    for op in ops:
        for name in (op.name, *op.aliases):
            if name in found:
                raise ValueError(f"{name!r} names both {found[name].name!r} and {op.name!r}")
            found[name] = op
    return found


BUILTIN_OPS: Mapping[str, Op] = MappingProxyType(
    by_name(with_shapes_taken(with_gradients(op for family in FAMILIES.values() for op in family)))
)
