"""Judging a case: the one function that says whether a kernel's output is right.

Here: the order of the checks, and the choice among several references. Nothing expected is computed
before the kernel's output is in hand. Elsewhere: the outputs beside one reference (attempt.py), the
rules for values (compare.py), for memory (checks.py), what else would have passed (advice.py), how a
verdict reads (report.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from pytest_gpuemu.engine import advice, arrays, checks, dtypes, references, tolerance
from pytest_gpuemu.engine.attempt import Attempt, attempt
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.outputs import outputs_by_name
from pytest_gpuemu.engine.verdict import FAILED, PASSED, UNDETERMINED, Finding, Verdict


def judge(
    case: Case,
    output: Any = None,
    *,
    inputs: Mapping[str, Any] | None = None,
    device: str | None = None,
    hints: bool = True,
    strides_known: bool = True,
) -> Verdict:
    """The verdict on what a kernel made of a case.

    output is what it returned: an array of any library, or a tuple or dict of them; None stands for
    the case's own output buffers, and for inputs overwritten in place. inputs are the arrays that the
    kernel got, where they are not case.inputs; device is where these lie, if outputs must lie there too.
    hints=False saves the search for what else would have passed a failure. strides_known=False says that the
    output came in C order from where the kernel ran, so that its layout is not known.

    Raises OutputError where the output cannot be read, ReferenceFailed where a reference cannot be run.
    """
    case = with_tolerance_of_its_dtype(case)
    given = outputs_of(case, output, inputs)
    taken = {name: arrays.to_numpy(array) for name, array in given.items()}
    best = _best_attempt(case, taken)
    before = best.misfits + checks.of_outputs(case, given, taken, device, strides_known=strides_known)
    values = best.value_findings
    if not best.misfits:
        values = values + broken_invariants(best)
    after = checks.of_memory(case, given, inputs)
    findings = [*before, *values, *after]

    def besides(other: Attempt) -> list[Finding]:
        return [*before, *after] or broken_invariants(other)

    status = FAILED if findings else UNDETERMINED if best.is_undetermined else PASSED
    return Verdict(
        op=case.op.name,
        seed=case.plan.seed,
        edits=case.plan.edits,
        status=status,
        findings=tuple(findings),
        comparisons=best.comparisons,
        hints=tuple(advice.hints(best, besides)) if hints and best.value_findings else (),
    )


def _best_attempt(case: Case, outputs: dict[str, Array]) -> Attempt:
    """The outputs beside the reference that they fit best; no further one is run once they pass."""
    made = []
    for reference in case.op.references:
        made.append(attempt(case, outputs, reference))
        if made[-1].rank < (False, True):
            break
    return min(made, key=lambda one: one.rank)


def with_tolerance_of_its_dtype(case: Case) -> Case:
    """The case as its op's record judges it: a tolerance by dtype, from gpuemu.toml, becomes the op's own."""
    op = case.op
    if op.tolerance is not None or case.plan.dtype not in op.tolerances:
        return case
    return replace(case, op=replace(op, tolerance=op.tolerances[case.plan.dtype]))


def outputs_of(case: Case, output: Any, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a kernel made of a case, by output name, as the arrays that it gave (see judge)."""
    if output is not None:
        return outputs_by_name(case.op, output)
    given = {}
    for declared in case.op.outputs:
        if declared.name in case.op.inplace:
            given[declared.name] = (inputs or case.inputs)[case.op.inplace[declared.name]]
        elif declared.name in case.output_buffers:
            given[declared.name] = case.output_buffers[declared.name].view
        else:
            arrays.to_numpy(None)  # says what a None is, and what to do instead
    return given


def broken_invariants(made: Attempt) -> list[Finding]:
    """Invariants that the output breaks, and the reference does not.

    A tolerant one is first asked with the output's rounding alone, and only if that is too little with
    the whole tolerance, which may need a bound.
    """
    case = made.case
    if not case.op.invariants:
        return []
    inputs = references.float64_inputs(case)
    outputs = {name: dtypes.to_float64(array) for name, array in made.outputs.items()}
    found = []
    for invariant in case.op.invariants:
        for allow in (_rounding_allowances, _allowances) if invariant.tolerant else (None,):
            allowed = () if allow is None else (allow(made),)
            message = invariant.check(outputs, inputs, case.params, *allowed)
            if message is None:
                break
        else:
            slack = (_float64_slack(made.references),) if invariant.tolerant else ()
            if invariant.check(made.references, inputs, case.params, *slack) is None:
                found.append(Finding(kind="InvariantViolation", message=str(message)))
    return found


def _rounding_allowances(made: Attempt) -> dict[str, Array]:
    return {
        name: tolerance.rounding_allowance(
            np.asarray(array, dtype=np.float64), str(made.outputs[name].dtype), made.case.op.rounding
        )
        for name, array in made.references.items()
    }


def _allowances(made: Attempt) -> dict[str, Array]:
    given = made.case.op.tolerance
    allowances = {}
    for name, array in made.references.items():
        reference, dtype = np.asarray(array, dtype=np.float64), str(made.outputs[name].dtype)
        if given is not None:
            allowances[name] = tolerance.given_allowance(reference, given, dtype)
        else:
            errors = made.bounds.widened(name)
            allowances[name] = tolerance.derived_allowance(reference, errors, dtype, made.case.op.rounding)
    return allowances


def _float64_slack(reference_values: Mapping[str, Array]) -> dict[str, Array]:
    """Ample for what the reference itself rounds, far below what an invariant is there to find."""
    return {name: 2.0**-40 * (1.0 + np.abs(array)) for name, array in reference_values.items()}
