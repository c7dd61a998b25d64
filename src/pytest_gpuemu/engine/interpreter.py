"""Triton's interpreter: what it computes otherwise than a GPU, so that no kernel is blamed for it.

Here: telling a failure that may be the interpreter's. Elsewhere: the probe (triton_probe.py).
"""

from __future__ import annotations

import os
import sys
from functools import cache

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.user_code import call
from pytest_gpuemu.engine.verdict import Verdict

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
