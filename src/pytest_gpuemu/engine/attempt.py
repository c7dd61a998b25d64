"""The outputs of a case beside one of its op's references.

Here: whether shapes and dtypes fit, the canonical form of outputs with several right answers, and the
comparison of each under the op's rules or under others. Elsewhere: choosing among references (judge.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes, references, tolerance
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.compare import Rules, compare
from pytest_gpuemu.engine.op import Array, Op, Reference
from pytest_gpuemu.engine.tolerance import ErrorBounds
from pytest_gpuemu.engine.user_code import call
from pytest_gpuemu.engine.verdict import Comparison, Finding


@dataclass(slots=True, kw_only=True)
class Attempt:
    """The outputs beside one reference. Wrong shapes and dtypes (misfits) leave nothing to compare."""

    case: Case
    outputs: dict[str, Array]
    references: dict[str, Array]
    bounds: ErrorBounds
    rules: dict[str, Rules]
    misfits: list[Finding]
    comparisons: tuple[Comparison, ...] = ()
    interpreted: dict[str, Array] = field(default_factory=dict)
    canonical_error: Finding | None = None
    statistics_error: Finding | None = None

    def compared(self, bounds: ErrorBounds | None = None, **changes: Any) -> tuple[Comparison, ...]:
        """Every output compared, under these changes of its rules."""
        comparisons = []
        for name, rules in self.rules.items():
            output, reference = self.outputs[name], self.references[name]
            comparison = compare(name, output, reference, replace(rules, **changes), bounds or self.bounds)
            if name in self.interpreted:
                comparison = replace(comparison, interpreted=self.interpreted[name])
            comparisons.append(comparison)
        return tuple(comparisons)

    @property
    def value_findings(self) -> list[Finding]:
        found = [error for error in (self.canonical_error, self.statistics_error) if error is not None]
        return found + [
            value_finding(comparison) for comparison in self.comparisons if fails(self.case.op, comparison)
        ]

    @property
    def is_undetermined(self) -> bool:
        """Whether most of what there was to judge could not be."""
        count = sum(comparison.stats.count for comparison in self.comparisons)
        return sum(comparison.stats.num_undetermined for comparison in self.comparisons) > count / 2

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """Smaller is better: passed, then undetermined, then by the number of exceeding elements."""
        failed = bool(self.misfits or self.value_findings)
        exceeding = sum(comparison.stats.num_exceeding for comparison in self.comparisons)
        return failed, self.is_undetermined, exceeding


def attempt(
    case: Case,
    outputs: dict[str, Array],
    reference: Reference,
    *,
    reference_values: dict[str, Array] | None = None,
    bounds: ErrorBounds | None = None,
) -> Attempt:
    """The outputs compared with what reference gives for the case. Raises ReferenceFailed.

    reference_values and bounds are those of an earlier attempt at the same case and reference, if there
    was one.
    """
    op = case.op
    if reference_values is None:
        reference_values = references.evaluate(op, reference, case)
    wanted = {name: expected_dtype(case, name, array) for name, array in reference_values.items()}
    compute = tolerance.compute_type(
        op, [str(outputs[n].dtype) if w is None else w for n, w in wanted.items()]
    )
    misfits = []
    fitting = dict(outputs)
    for name, array in reference_values.items():
        misfits += _dtype_misfit(op, name, outputs[name], wanted[name])
        if outputs[name].shape != array.shape:
            if op.checks_for("shape") or outputs[name].size != array.size:
                misfits.append(_shape_misfit(name, outputs[name], array))
            else:
                fitting[name] = outputs[name].reshape(array.shape)
    made = Attempt(
        case=case,
        outputs=fitting,
        references=reference_values,
        bounds=bounds or ErrorBounds(reference, case, compute, reference_values=reference_values),
        rules={},
        misfits=misfits,
    )
    if misfits or not op.checks_for("values"):
        return made
    if op.statistics is not None:
        inputs = references.float64_inputs(case)
        if (message := op.statistics(fitting, inputs, case.params)) is not None:
            name = op.outputs[0].name
            made.statistics_error = Finding(kind="InvariantViolation", message=message, output=name)
        return made
    made.rules = {
        name: Rules(
            dtype=str(array.dtype),
            compute=compute,
            rounding=op.rounding,
            scale=op.scale,
            given=op.tolerance,
        )
        for name, array in fitting.items()
    }
    if op.canonical is not None:
        _make_canonical(made)
    if made.canonical_error is None:
        made.comparisons = made.compared()
    return made


def expected_dtype(case: Case, name: str, reference: Array) -> str | None:
    """The dtype that an output must have: the record's, or the first floating input's.

    "integer" where the reference is integer and the record says nothing: any integer type will do.
    None where nothing says anything: no input is floating.
    """
    declared = case.op.output(name).dtype
    if declared is not None:
        return declared
    if reference.dtype.kind in "iu":
        return "integer"
    if reference.dtype.kind == "b":
        return "bool"
    floating = [dtype for dtype in case.plan.dtypes.values() if dtypes.is_floating(dtype)]
    return floating[0] if floating else None


def fails(op: Op, comparison: Comparison) -> bool:
    """Whether more elements exceed their tolerance than the share that may."""
    fraction = 1.0 if op.tolerance is None else op.tolerance.fraction
    stats = comparison.stats
    return stats.num_exceeding > round((1.0 - fraction) * stats.count, 9)


def value_finding(comparison: Comparison) -> Finding:
    """The finding for an output whose values are wrong, of the kind that the worst element shows."""
    stats, worst = comparison.stats, comparison.worst
    assert worst is not None
    kind, what = "ToleranceExceeded", ""
    if np.isnan(worst.output) and not np.isnan(worst.reference):
        kind, what = "NaNDetected", ", the worst by a NaN"
    elif np.isinf(worst.output) and not np.isinf(worst.reference):
        kind, what = "InfDetected", ", the worst by an infinity"
    share = 100 * stats.num_exceeding / stats.count
    return Finding(
        kind=kind,
        message=f"{stats.num_exceeding} of {stats.count} elements ({share:.1f}%) "
        f"exceed their tolerance{what}",
        output=comparison.name,
        index=worst.index,
        expected=worst.reference,
        actual=worst.output,
    )


def _make_canonical(made: Attempt) -> None:
    """Map outputs and references to what is compared: an index becomes the value that it points to."""
    op, case = made.case.op, made.case
    assert op.canonical is not None
    inputs = references.float64_inputs(case)
    made.references = dict(op.canonical(made.references, inputs, case.params))
    # An index out of range is the kernel's mistake; the reference has none.
    called = call(op.canonical, made.outputs, inputs, case.params)
    if called.error is None:
        canonical = dict(called.value)
        made.interpreted = {
            name: array
            for name, array in made.outputs.items()
            if array.dtype.kind in "iu" and canonical[name].dtype.kind == "f"
        }
        made.outputs = canonical
        if made.bounds.exact != (exact := frozenset(made.interpreted)):
            made.bounds = replace(made.bounds, exact=exact)
        return
    made.canonical_error = Finding(
        kind="ToleranceExceeded", message=f"the output cannot be interpreted: {called.summary}"
    )


def _dtype_misfit(op: Op, name: str, output: Array, wanted: str | None) -> list[Finding]:
    found = str(output.dtype)
    fits = wanted in (None, found) or (wanted == "integer" and output.dtype.kind in "iu")
    if found not in dtypes.DTYPES:
        message = f"{name} has dtype {found}, which is none of {', '.join(dtypes.DTYPES)}"
    elif fits or not op.checks_for("dtype"):
        return []
    else:
        message = (
            f"{name} has dtype {found}, expected {wanted} "
            f'(another is meant? outputs={{"{name}": {{"dtype": "{found}"}}}})'
        )
    return [Finding(kind="DTypeMismatch", message=message, output=name)]


def _shape_misfit(name: str, output: Array, reference: Array) -> Finding:
    return Finding(
        kind="ShapeMismatch",
        message=f"{name} has shape {list(output.shape)}, expected {list(reference.shape)}",
        output=name,
    )
