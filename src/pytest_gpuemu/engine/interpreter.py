"""Interpreters of GPU kernels: what they compute otherwise than a GPU, and what they take too long for.

Here: whether Triton's interpreter ran a kernel, telling a failure that may be the interpreter's, and a case
that is too large for one. Elsewhere: the probe (triton_probe.py).

Triton calls no hook when it interprets. What every launch passes through, in all its versions that interpret,
is GridExecutor.__call__ of triton.runtime.interpreter: that is counted. Where it is not to be found, or
Triton was imported while the case ran, it is not known whether a kernel was launched, and the excuse says so.
"""

from __future__ import annotations

import os
import sys
from functools import cache, wraps
from math import prod
from typing import Any

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.user_code import call
from pytest_gpuemu.engine.verdict import Verdict

_MAX_ROWS, _MAX_ELEMENTS = 2048, 2**18
_VALUE_KINDS = ("ToleranceExceeded", "NaNDetected", "InfDetected", "InvariantViolation")
_MODULE = "triton.runtime.interpreter"


class Launches:
    """The grids that Triton's interpreter launches from now on, in this process."""

    def __init__(self) -> None:
        self._is_counted = _count_launches()
        self._before = _Count.launched

    @property
    def any(self) -> bool | None:
        """Whether there was one; None where that is not known."""
        if _MODULE not in sys.modules:
            return False
        return _Count.launched > self._before if self._is_counted else None


class _Count:
    launched = 0


def _count_launches() -> bool:
    """Count from now on, if that can be. It is done once, and stays: GridExecutor does what it did."""
    executor: Any = getattr(sys.modules.get(_MODULE), "GridExecutor", None)
    launch = vars(executor).get("__call__") if isinstance(executor, type) else None
    if not callable(launch):
        return False
    if not hasattr(launch, "__wrapped__"):

        @wraps(launch)
        def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
            _Count.launched += 1
            return launch(self, *args, **kwargs)

        executor.__call__ = counted
    return True


def excuse(case: Case, verdict: Verdict, launches: Launches) -> str | None:
    """Why this failure says nothing of the kernel: wrong values in bfloat16, under an interpreter that
    converts to it by truncation and multiplies its bit patterns. None for every other failure, and where
    nothing was launched: that is no Triton kernel.
    """
    values_only = all(finding.kind in _VALUE_KINDS for finding in verdict.findings)
    dtypes = {*case.plan.dtypes.values(), *(comparison.dtype for comparison in verdict.comparisons)}
    launched = launches.any
    may_be = verdict.failed and values_only and "bfloat16" in dtypes and launched is not False
    if not (may_be and _interprets() and _truncates()):
        return None
    version = getattr(sys.modules["triton"], "__version__", "")
    text = f"Triton {version}'s interpreter miscomputes bfloat16 (TRITON_INTERPRET=1); run it on a GPU"
    return text if launched else f"{text} (it is not known whether the kernel is a Triton kernel)"


def too_large(plan: Plan, *, launched: bool | None) -> str | None:
    """Why a campaign leaves this case out: an interpreter runs a kernel's programs one after the other, and
    thousands of them for minutes. None without an interpreter.

    launched is whether earlier cases of the campaign launched a Triton kernel, None where none has run.
    """
    interprets = _interprets() and launched is not False
    name = "Triton's interpreter" if interprets else "Numba's simulator" if _simulates() else None
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
