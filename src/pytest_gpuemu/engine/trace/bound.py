"""The error bound E of one reference on one case.

Here: running the reference on traced arrays within a time budget, reading its outputs, and what is
done where that fails. Elsewhere: the rules (ufuncs.py, reductions.py, …), the fallback (fallback.py),
the spread of perturbed runs (engine/spread.py), the factor K (engine/tolerance.py).
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_gpuemu.engine.arrays import from_numpy
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.dtypes import is_floating
from pytest_gpuemu.engine.errors import OutputError
from pytest_gpuemu.engine.op import Array, Float64Array, Reference
from pytest_gpuemu.engine.outputs import outputs_by_name
from pytest_gpuemu.engine.references import (
    call_by_name,
    float64_inputs,
    optional_params,
    speaks,
    wants_torch,
)
from pytest_gpuemu.engine.trace import fallback
from pytest_gpuemu.engine.trace.arithmetic import Arithmetic, arithmetic
from pytest_gpuemu.engine.trace.composites import holds_traced
from pytest_gpuemu.engine.trace.decisions import Outcome, trace_every_way
from pytest_gpuemu.engine.trace.patching import patched
from pytest_gpuemu.engine.trace.run import Ranges, Run, Untraceable, activated
from pytest_gpuemu.engine.trace.structural import cast
from pytest_gpuemu.engine.trace.traced import Traced, is_real
from pytest_gpuemu.engine.user_code import Called, call


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The outputs of a reference by name, and how far a correct kernel may compute from each element.

    errors: 0 is exact, inf undetermined. method is "trace", or "fallback" with a note that says why.
    """

    values: Mapping[str, Array]
    errors: Mapping[str, Float64Array]
    method: str
    note: str | None = None


def error_bound(reference: Reference, case: Case, *, compute: str, time_budget_s: float = 5.0) -> Bound:
    """Run the reference once on traced arrays, and give each output element's value and error.

    Never raises for a reference that runs plainly: what cannot be traced gets the fallback's bound, and so
    does what takes longer than the budget of this thread's CPU time: a loaded machine judges as any other.
    Raises ReferenceFailed for one that does not run plainly either.
    """
    rules = arithmetic(compute, [str(x.dtype) for x in case.originals.values() if is_floating(str(x.dtype))])
    deadline = time.thread_time() + time_budget_s

    why = ""
    for library in _libraries(reference, case):
        # Traced indices may be what cannot be followed: then the numbers of a range are plain ones.
        for ranges in (Ranges(followed=True), Ranges(followed=False)):
            try:
                once = functools.partial(_trace, reference, case, rules, deadline, library, ranges)
                values, errors = trace_every_way(once)
            except Untraceable as refused:
                why = str(refused)
            else:
                return Bound(values=values, errors=errors, method="trace")
            if not ranges.matter:
                break
    wide = rules.operand_unit if compute in ("tf32", "storage") else 0.0
    values, errors = fallback.bound(reference, case, compute=compute, unit=rules.unit, wide=wide)
    note = (
        f"the rounding of this reference could not be followed ({why}), "
        "so its tolerance is a coarser estimate from perturbed runs"
    )
    return Bound(values=values, errors=errors, method="fallback", note=note)


def _libraries(reference: Reference, case: Case) -> Iterator[str]:
    """Whose arrays to try, in the order of references.evaluate: the second only where the first does
    not run plainly either, since methods of one name differ (var's ddof).
    """
    if "torch" not in sys.modules:
        yield "numpy"
        return
    first, second = ("torch", "numpy") if wants_torch(case.op, reference) else ("numpy", "torch")
    yield first
    if not speaks(reference, first) and not _runs_plainly(reference, case, first):
        yield second


def _runs_plainly(reference: Reference, case: Case, library: str) -> bool:
    inputs = {name: from_numpy(array, library) for name, array in float64_inputs(case).items()}
    with np.errstate(all="ignore"):
        called = call(call_by_name, reference, inputs, case.params, optional=optional_params(case.op))
    return called.error is None


def traced_input(run: Run, array: Array) -> Any:
    """An input as the reference gets it: a float as a traced float64 array, others as they are.

    Its error is what a kernel may lose on reading it: a subnormal may be flushed, and a dtype wider
    than the arithmetic is rounded to it.
    """
    if not is_floating(str(array.dtype)):
        return np.array(array)
    value = array.astype(np.float64)
    error: Any = np.abs(value)
    flushed = error < run.arithmetic.tiny
    if np.any(flushed & (error > 0)):
        error = np.where(flushed, error, 0.0)
    else:
        error = 0.0
    if array.dtype == np.float64 and run.arithmetic.rounded is not np.float64:
        narrowed = value.astype(run.arithmetic.rounded).astype(np.float64)
        lost = np.where(narrowed == value, 0.0, np.abs(narrowed - value))
        error = error + np.where(np.isnan(lost), 0.0, lost)
    return Traced(run, value, error, leaf=True)


def _trace(
    reference: Reference,
    case: Case,
    rules: Arithmetic,
    deadline: float,
    library: str,
    ranges: Ranges,
    flipped: int | None,
) -> tuple[Outcome, int]:
    """One run. Raises Untraceable for whatever goes wrong in it."""
    run = Run(rules, deadline, flipped, ranges=ranges)
    with np.errstate(all="ignore"):
        if library == "torch":
            called = _call_torch(run, reference, case)
        else:
            called = _call_numpy(run, reference, case)
        if called.error is not None:
            if isinstance(called.error, Untraceable):
                raise called.error
            raise Untraceable(
                f"on traced arrays it raised {called.summary.splitlines()[0]}"
            ) from called.error
        try:
            named = outputs_by_name(case.op, called.value)
        except OutputError as error:
            raise Untraceable(str(error)) from error
        outcome = {name: _finished(run, value) for name, value in named.items()}
    values = {name: value for name, (value, _) in outcome.items()}
    return (values, {name: error for name, (_, error) in outcome.items()}), run.undecided


def _call_numpy(run: Run, reference: Reference, case: Case) -> Called:
    inputs = {name: traced_input(run, array) for name, array in case.originals.items()}
    with patched(reference), activated(run):
        return call(call_by_name, reference, inputs, case.params, optional=optional_params(case.op))


def _call_torch(run: Run, reference: Reference, case: Case) -> Called:
    from pytest_gpuemu.engine.trace.torch_trace import patched_torch, torch_input, unwrapped

    inputs = {name: torch_input(traced_input(run, array)) for name, array in case.originals.items()}
    with patched_torch(), activated(run):
        called = call(call_by_name, reference, inputs, case.params, optional=optional_params(case.op))
    return called if called.error is not None else Called(unwrapped(called.value))


def _finished(run: Run, output: Any) -> tuple[Array, Float64Array]:
    """One output as (value, error): floats in float64, integers and bools as they are."""
    if isinstance(output, (list, tuple)) and holds_traced(output):
        output = np.stack([item if isinstance(item, Traced) else np.asarray(item) for item in output])
    if not isinstance(output, Traced):
        plain = np.asarray(output)
        if plain.dtype.kind not in "fiub" and not is_real(plain):
            raise Untraceable(f"it returns {type(output).__name__}")
        # It depends on no floating input, but a kernel may compute it: a constant rounds as any other.
        output = Traced(run, plain, run.arithmetic.constant_error(plain) if is_real(plain) else 0.0)
    if is_real(output.value) and output.value.dtype != np.float64:
        output = cast(output, np.float64)
    error = np.array(np.broadcast_to(np.asarray(output.error, float), output.shape))
    if output.value.dtype == bool:
        error = np.where(error > 0, np.inf, 0.0)
    error[np.isnan(error)] = np.inf
    value = np.ascontiguousarray(output.value).reshape(output.shape)
    return value, error
