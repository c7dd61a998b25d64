"""Attempts: trying smaller cases, one kernel run each, and keeping the smallest that still fails.

Here: what was tried, what was accepted, the budget. Elsewhere: which cases to try (the passes), in which
order (search.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.edits import Edits, read_edits, write_edits
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.layouts import c_strides, place
from pytest_gpuemu.engine.minimize.signature import Signature
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, plan_case
from pytest_gpuemu.engine.rng import derive_seed
from pytest_gpuemu.engine.values import EDIT_VALUES

# A node id is one line: more kept elements than these are no simpler than a distribution's name.
MAX_KEPT = 12
# Rounding shows in cases of so many elements; what does not is more than that.
_SMALL = 64
_MANY_LOOSER = 20
_GUARD = 64


class OutOfBudget(Exception):
    """No further kernel run is allowed. search.py stops there; no caller sees it."""


class IsNoRounding(Exception):
    """What looked like rounding is more in most smaller cases. search.py goes on from one of these."""


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
        self.edits = self._edits_of_original = read_edits(op, plan.edits) if plan.edits else Edits()
        self.cases = 0
        self._fails = fails
        self._max_cases = max_cases
        self._is_over = is_over
        self._known: dict[str, bool] = {}
        self._needed: list[tuple[str, Plan]] = []
        self._is_loose = not failure.is_rounding
        self._looser: tuple[Plan, Edits] | None = None
        self._count_looser = 0

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
        plan = self._plan(edits)
        if plan is None or _content(plan) == _content(self.plan):
            return False
        if self._lacks_a_need(plan) or not self._fails_alike(plan, edits):
            return False
        self.plan, self.edits = plan, edits
        return True

    def fails(self, edits: Edits) -> bool:
        """Whether the case of these edits fails as the first did, without keeping it."""
        edits = self._without_the_drawn(edits)
        plan = self._plan(edits)
        return plan is not None and not self._lacks_a_need(plan) and self._fails_alike(plan, edits)

    def needs(self, thing: str, of: Plan) -> bool:
        """Whether the original case passes, or fails otherwise, once its `thing` is that of another plan.

        Then no case that is as plain in it is accepted any more: what fails there is another bug.
        """
        edits = self._without_the_drawn(replace(self._edits_of_original, **_edits_for(thing, of)))
        plan = self._plan(edits)
        if plan is None or _content(plan) == _content(self.original) or self._fails_alike(plan, edits):
            return False
        if not self._runs_alike(self.original):  # memory that is not written holds one thing or another
            return False
        self._needed.append((thing, plan))
        return True

    def forget_needs(self) -> None:
        """Accept every case again that fails as the first did."""
        self._needed.clear()

    def _lacks_a_need(self, plan: Plan) -> bool:
        return any(is_as_plain(thing, plan, than) for thing, than in self._needed)

    def restart(self) -> None:
        """Go back to the original case. What was run is not run again."""
        self.plan, self.edits = self.original, self._edits_of_original

    def _plan(self, edits: Edits) -> Plan | None:
        text = write_edits(edits)
        if not _fits_an_id(text):
            return None
        try:
            return plan_case(self.op, self.original.seed, text)
        except ConfigError:  # no such case: a condition, the byte limit, a layout that does not fit
            return None

    def _fails_alike(self, plan: Plan, edits: Edits) -> bool:
        """Whether this case fails as the first did; a run, unless that is known."""
        if plan.edits in self._known:
            return self._known[plan.edits]
        is_alike = self._runs_alike(plan, edits)
        self._known[plan.edits] = is_alike
        if self._count_looser >= _MANY_LOOSER and elements(self.plan) > _SMALL:
            raise IsNoRounding
        return is_alike

    def spend(self) -> None:
        """Raise OutOfBudget where no further run is allowed."""
        if self.cases >= self._max_cases or self._is_over():
            raise OutOfBudget

    def _runs_alike(self, plan: Plan, edits: Edits | None = None) -> bool:
        """Run it. Edits are those of a case that may be gone on from."""
        self.spend()
        self.cases += 1
        found = self._fails(plan.case_id)
        is_alike = found is not None and self.failure.is_kept_by(found, loosely=self._is_loose)
        if found is not None and edits is not None and not is_alike and not self._is_loose:
            self._note_looser(plan, edits, found)
        return is_alike

    def _note_looser(self, plan: Plan, edits: Edits, found: Signature) -> None:
        """Keep the smallest case that fails as the first did but for an error that is more than rounding."""
        if self.failure.is_kept_by(found, loosely=True):
            self._count_looser += 1
            if self._looser is None or elements(plan) < elements(self._looser[0]):
                self._looser = plan, edits

    def loosen(self) -> bool:
        """Take what looked like rounding for a wrong value from now on, where that is much smaller.

        Goes to the smallest case that would have been accepted so. False where there is none, or the present
        one is small already.
        """
        looser, self._looser, self._is_loose, self._count_looser = self._looser, None, True, 0
        if looser is None or elements(self.plan) <= _SMALL or 2 * elements(looser[0]) > elements(self.plan):
            return False
        self.plan, self.edits = looser
        self._known = {text: True for text, is_alike in self._known.items() if is_alike}
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
            draw=0 if self._is_constant(edits) else edits.draw,
        )

    def _is_constant(self, edits: Edits) -> bool:
        """Whether every input has one value, so that one draw is as good as another."""
        every = edits.values.get(None)
        return all(
            x.kind == "values"
            and (edits.values.get(x.name) or every or self.drawn.values[x.name]) in EDIT_VALUES
            for x in self.op.inputs
        )


def elements(plan: Plan) -> int:
    """How many elements the inputs have."""
    return sum(prod(shape) for shape in plan.shapes.values())


def is_as_plain(thing: str, plan: Plan, than: Plan) -> bool:
    """Whether a plan's dtype, layouts or params are those of another; no further layout is plain."""
    if thing != "layouts":
        return repr(getattr(plan, thing)) == repr(getattr(than, thing))
    return _laid_out(plan) <= _laid_out(than)


def _laid_out(plan: Plan) -> set[str]:
    """The inputs and outputs that are not contiguous, whatever their layout is called: one row may be."""
    inputs = {name for name in plan.layouts if not _is_contiguous(plan, name)}
    outputs = {name for name, layout in plan.output_layouts.items() if layout != "contiguous"}
    return inputs | outputs


def _is_contiguous(plan: Plan, name: str) -> bool:
    layout, shape = plan.layouts[name], plan.shapes[name]
    if layout in ("contiguous", "offset"):
        return layout == "contiguous"
    itemsize = numpy_dtype(plan.dtypes[name]).itemsize
    placed = place(shape, itemsize, layout, _GUARD, derive_seed(plan.seed, f"layout/{name}"))
    steps = zip(shape, placed.strides, c_strides(shape), strict=True)
    return all(size < 2 or found == step * itemsize for size, found, step in steps)


def _edits_for(thing: str, of: Plan) -> dict[str, Any]:
    """The edits that give a case the dtype, layouts or params of another plan."""
    if thing == "layouts":
        return {"layouts": {**of.output_layouts, **of.layouts}}
    return {thing: getattr(of, thing)}


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
