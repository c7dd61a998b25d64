"""Interpreters of GPU kernels: what they compute otherwise than a GPU, and what they take too long for.

Here: telling a failure that may be the interpreter's, and a case that is too large for one. Elsewhere: the
probe (triton_probe.py).
"""

from __future__ import annotations

import os
import sys
from functools import cache
from math import prod

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.user_code import call
from pytest_gpuemu.engine.verdict import Verdict

_MAX_ROWS, _MAX_ELEMENTS = 2048, 2**18
_VALUE_KINDS = ("ToleranceExceeded", "NaNDetected", "InfDetected", "InvariantViolation")


def excuse(case: Case, verdict: Verdict) -> str | None:
    """Why this failure says nothing of the kernel: wrong values in bfloat16, under an interpreter that
    converts to it by truncation and multiplies its bit patterns. None for every other failure.
    """
    values_only = all(finding.kind in _VALUE_KINDS for finding in verdict.findings)
    dtypes = {*case.plan.dtypes.values(), *(comparison.dtype for comparison in verdict.comparisons)}
    if not (verdict.failed and values_only and "bfloat16" in dtypes and _interprets() and _truncates()):
        return None
    version = getattr(sys.modules["triton"], "__version__", "")
    return f"Triton {version}'s interpreter miscomputes bfloat16 (TRITON_INTERPRET=1); run it on a GPU"


def too_large(plan: Plan) -> str | None:
    """Why a campaign leaves this case out: an interpreter runs a kernel's programs one after the other, and
    thousands of them for minutes. None without an interpreter.
    """
    name = "Triton's interpreter" if _interprets() else "Numba's simulator" if _simulates() else None
    rows = max((prod(shape[:-1]) for shape in plan.shapes.values()), default=0)
    elements = max((prod(shape) for shape in plan.shapes.values()), default=0)
    if name is None or (rows <= _MAX_ROWS and elements <= _MAX_ELEMENTS):
        return None
    return f"more than {_MAX_ROWS} rows or {_MAX_ELEMENTS} elements are too many for {name}"


def _simulates() -> bool:
    return "numba" in sys.modules and os.environ.get("NUMBA_ENABLE_CUDASIM", "0") == "1"


def _interprets() -> bool:
    return "triton" in sys.modules and os.environ.get("TRITON_INTERPRET", "0").lower() in (
        "1",
        "true",
        "yes",
        "on",
    )


@cache
def _truncates() -> bool:
    """What the installed interpreter does, by trying it; False where it cannot be tried."""

    def probe() -> bool:
        from pytest_gpuemu.engine.triton_probe import truncates_bfloat16

        return truncates_bfloat16()

    return call(probe).value is True
