"""Attempts: trying smaller cases, one kernel run each, and keeping the smallest that still fails.

Here: what was tried, what was accepted, the budget. Elsewhere: which cases to try (the passes), in which
order (search.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from pytest_gpuemu.engine.edits import Edits, read_edits, write_edits
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.minimize.signature import Signature
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, plan_case

# A node id is one line: more kept elements than these are no simpler than a distribution's name.
MAX_KEPT = 12


class OutOfBudget(Exception):
    """No further kernel run is allowed. search.py stops there; no caller sees it."""


class Attempts:
    """The smallest failing case so far, and the way to try a smaller one.

    fails runs the kernel on the case of an id and returns the signature of its failure, None where it
    does not fail. is_over says that no time is left.
    """

    def __init__(
        self,
        op: Op,
        plan: Plan,
        failure: Signature,
        fails: Callable[[str], Signature | None],
        max_cases: int,
        is_over: Callable[[], bool],
    ) -> None:
        self.op = op
        self.original = plan
        self.failure = failure
        self.drawn = plan_case(op, plan.seed)
        self.plan = plan
        self.edits = read_edits(op, plan.edits) if plan.edits else Edits()
        self.cases = 0
        self._fails = fails
        self._max_cases = max_cases
        self._is_over = is_over
        self._failed_to: set[str] = set()

    def accepts(self, **changes: Any) -> bool:
        """Try the smallest case with these fields of its edits changed; keep it if it fails as the first did.

        Mappings are merged into those of the edits. False without a run where no such case exists, or it
        is the same case. Raises OutOfBudget.
        """
        merged: dict[str, Any] = {
            key: {**getattr(self.edits, key), **value} if isinstance(value, Mapping) else value
            for key, value in changes.items()
        }
        return self.accepts_edits(replace(self.edits, **merged))

    def accepts_edits(self, edits: Edits) -> bool:
        """The same for whole edits."""
        edits = self._without_the_drawn(edits)
        text = write_edits(edits)
        if text in self._failed_to or not _fits_an_id(text):
            return False
        try:
            plan = plan_case(self.op, self.original.seed, text)
        except ConfigError:  # no such case: a condition, the byte limit, a layout that does not fit
            return False
        if _content(plan) == _content(self.plan):
            return False
        if self.cases >= self._max_cases or self._is_over():
            raise OutOfBudget
        self.cases += 1
        found = self._fails(plan.case_id)
        if found is None or not self.failure.is_kept_by(found):
            self._failed_to.add(text)
            return False
        self.plan, self.edits = plan, edits
        return True

    def restore(self, plan: Plan, edits: Edits) -> None:
        """Go back to a case that was accepted before."""
        self.plan, self.edits = plan, edits

    def _without_the_drawn(self, edits: Edits) -> Edits:
        """Edits that say only what the seed does not draw itself: a short case id; dims in their order."""
        edits = replace(
            edits, dims={name: edits.dims[name] for name in self.op.dim_names if name in edits.dims}
        )
        drawn = self.drawn
        return replace(
            edits,
            dims={name: size for name, size in edits.dims.items() if size != drawn.dims[name]},
            dtype=None if edits.dtype == drawn.dtype else edits.dtype,
            params={name: value for name, value in edits.params.items() if value != drawn.params[name]},
        )


def elements(plan: Plan) -> int:
    """How many elements the inputs have."""
    return sum(prod(shape) for shape in plan.shapes.values())


def _content(plan: Plan) -> tuple[object, ...]:
    """What decides the case, however its edits are written."""
    return (
        sorted(plan.dims.items()),
        plan.dtype,
        sorted(plan.layouts.items()),
        sorted(plan.output_layouts.items()),
        sorted(plan.values.items()),
        repr(plan.params),
        repr(plan.config),
        sorted(plan.keep.items()),
        plan.draw,
    )


def _fits_an_id(text: str) -> bool:
    """pytest ends a node id's brackets at the first `]`, and takes one line of ASCII."""
    return text.isascii() and text.isprintable() and "]" not in text
