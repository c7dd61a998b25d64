"""A wrong output of any built-in op is diagnosed without an error, whatever its reference is made of."""

import numpy as np
import pytest

from pytest_gpuemu.engine import dtypes, references
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.diagnose import diagnose
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS

MOST_ELEMENTS = 1000
OPS = {op.name: op for op in BUILTIN_OPS.values()}


def small_case(op):
    """The first small case of some seeds; None where all are large."""
    cases = (make_case(op, seed) for seed in range(3, 12))
    return next(
        (case for case in cases if sum(a.size for a in case.originals.values()) <= MOST_ELEMENTS), None
    )


def wrong(array, dtype):
    """The right values in a dtype, every third of them changed."""
    changed = np.array(array)
    flat = changed.reshape(-1)
    flat[::3] = ~flat[::3] if changed.dtype == bool else flat[::3] + 1
    return changed.astype(dtypes.numpy_dtype(dtype))


@pytest.mark.parametrize("name", sorted(OPS))
def test_a_wrong_output_is_diagnosed(name):
    """Guards: a reference that joins arrays, and integers of 64 bits, raised in the search."""
    op = OPS[name]
    case = small_case(op)
    if case is None:
        pytest.skip("no small case among the first")
    with np.errstate(all="ignore"):
        right = references.evaluate(op, op.references[0], case)
        of = {x.name: dtypes_of(x, case) for x in op.outputs}
        outputs = [wrong(right[x.name], of[x.name]) for x in op.outputs]
        verdict = judge(case, tuple(outputs) if len(outputs) > 1 else outputs[0])

        diagnosis = diagnose(case, verdict)

    assert diagnosis.plain()["when"] is None


def dtypes_of(output, case):
    return output.dtype or case.plan.dtype
