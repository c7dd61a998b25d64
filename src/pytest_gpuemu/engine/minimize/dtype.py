"""Pass: a plainer dtype. float32 says that the failure is none of rounding or range.

The move is to the plainest of the op's dtypes, in the order float32, float64, float16, bfloat16, float8. It
ends since each accepted move goes up that order.
"""

from __future__ import annotations

from pytest_gpuemu.engine.minimize.attempts import Attempts

PLAINEST_FIRST = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")


def simplify_dtype(attempts: Attempts) -> bool:
    """Whether a plainer dtype was accepted."""
    here = attempts.plan.dtype
    if here not in PLAINEST_FIRST or not any(x.is_floating for x in attempts.op.inputs):
        return False
    plainer = PLAINEST_FIRST[: PLAINEST_FIRST.index(here)]
    return any(attempts.accepts(dtype=dtype) for dtype in plainer if dtype in attempts.op.dtypes)
