"""What the adapters of torch and JAX share: refusing other arrays, and checking gradients of a caller's own.

Elsewhere: the verdicts (engine/own_arrays.py), one call and its gradients (engine/autograd.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pytest_gpuemu.engine import arrays, autograd
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import KernelMismatch, OutputError
from pytest_gpuemu.engine.own_arrays import by_op_names, judge_gradients, judge_own, own_case, snapshot
from pytest_gpuemu.engine.report import describe_failure
from pytest_gpuemu.engine.verdict import UNDETERMINED, Verdict

_CLASSES = {"torch": "torch.Tensor", "jax": "jax.Array"}


def of_library(library: str, what: str, x: Any) -> Any:
    """x itself. Raises OutputError where it is no array of library; what says what x is."""
    if arrays.is_array_of(x, library):
        return x
    kind = f"{type(x).__module__}.{type(x).__qualname__}"
    raise OutputError(
        f"{what} is a {kind}, not a {_CLASSES[library]}; convert it by from_numpy, or use "
        "pytest_gpuemu.validation.validate_op, which takes arrays of any library"
    )


def check_gradients(
    library: str,
    function: Callable[..., Any],
    op_name: str,
    inputs: Mapping[str, Any],
    seed: int,
    params: Mapping[str, Any],
) -> Any:
    """Call function, judge its output and the gradients of its inputs, and return the output."""
    __tracebackhide__ = True
    for name, x in inputs.items():
        of_library(library, f"input {name!r}", x)
    case = own_case(op_name, snapshot(inputs), params, seed, load_config(Path.cwd()))
    handed = by_op_names(case, inputs)
    called = autograd.differentiate(function, case.op, handed, case.params, library)
    _raise_unless_passed(case, judge_own(case, called.output, handed))
    device = None if library == "jax" else arrays.device_of(next(iter(handed.values())))
    _raise_unless_passed(*judge_gradients(case, called, handed, library, device))
    return called.output


def _raise_unless_passed(case: Case, verdict: Verdict) -> None:
    """Undetermined counts as not passed: outside of a campaign nobody would read of it."""
    __tracebackhide__ = True
    if verdict.failed:
        raise KernelMismatch("\n".join(describe_failure(case, verdict)), verdict)
    if verdict.status == UNDETERMINED:
        raise KernelMismatch(
            f"{case.op.name}: undetermined: the error bound of most elements is infinite, so nothing "
            "was proven for these inputs; choose others",
            verdict,
        )
