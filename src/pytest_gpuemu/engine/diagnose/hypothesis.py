"""A suspected bug that can be computed: what the reference gives when it has that bug.

Here: the data class, and calling the reference on other inputs, params or sizes. Elsewhere: which bugs are
suspected (suspected/), whether one agrees with the output (evidence.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine import references
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Array, Reference
from pytest_gpuemu.engine.user_code import call

Outputs = Mapping[str, Array]
# The outputs of the reference as it is, for the suspicions that change these alone.
Right = Callable[[], Outputs | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A suspected bug. kind names the suspicion, text says it; outputs() computes the reference with it.

    That may give None. has_unknown: NaN in an output stands for what cannot be known, such as memory that is
    not the case's. completed gives the text once outputs() has run, where that finds a number. is_fitted:
    one number was chosen to agree, so that agreement means less. explains_unwritten: it leaves elements
    of the output unwritten.
    """

    kind: str
    text: str
    outputs: Callable[[], Outputs | None]
    has_unknown: bool = False
    completed: Callable[[], str] | None = None
    explains_unwritten: bool = False

    @property
    def is_fitted(self) -> bool:
        return self.completed is not None

    @property
    def full_text(self) -> str:
        """The text with what was found, to be read after outputs()."""
        return self.text if self.completed is None else self.completed()


def altered(
    case: Case,
    inputs: Mapping[str, Array] | None = None,
    params: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    reference: Reference | None = None,
    *,
    any_shape: bool = False,
) -> Outputs | None:
    """What the op's reference gives for the case with these inputs, params, sizes or this reference in place.

    In the form that outputs are compared in, an index as the value that it points to. None where it raises,
    or gives another shape than the record says, unless any_shape.
    """
    plan = replace(
        case.plan,
        params={**case.plan.params, **(params or {})},
        dims={**case.plan.dims, **(dims or {})},
    )
    other = replace(case, plan=plan, originals={**case.originals, **(inputs or {})})
    op = case.op
    if any_shape:
        op = replace(op, outputs=tuple(replace(x, dims=None) for x in op.outputs), shape_rule=None)
    try:
        found: Outputs = references.evaluate(op, reference or op.references[0], other)
    except (ReferenceFailed, RecursionError):
        return None
    if op.canonical is not None:
        return _canonical(case, found)
    return found


def with_inputs(
    case: Case,
    kind: str,
    text: str,
    inputs: Mapping[str, Array],
    *,
    has_unknown: bool = False,
    any_shape: bool = False,
) -> Hypothesis:
    """A suspected bug that is other inputs to the same reference."""
    outputs = partial(altered, case, inputs, any_shape=any_shape)
    return Hypothesis(kind=kind, text=text, outputs=outputs, has_unknown=has_unknown)


def unaltered(case: Case) -> Right:
    """What the reference gives for the case itself: computed when it is first asked for, and once."""
    return functools.cache(partial(altered, case))


def _canonical(case: Case, outputs: Outputs) -> Outputs | None:
    """What indices of the case's own inputs lead to."""
    assert case.op.canonical is not None
    inputs = references.float64_inputs(case)
    with np.errstate(all="ignore"):
        called = call(case.op.canonical, dict(outputs), inputs, case.params)
    return None if called.error is not None else dict(called.value)
