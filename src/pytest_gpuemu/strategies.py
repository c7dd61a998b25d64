"""Hypothesis strategies: the cases of an op inside `@given`.

    @given(cases("softmax"))
    def test_softmax(case):
        case.run(my_softmax)

Here: drawing a seed and caps, and what a case that says nothing means to Hypothesis. Elsewhere: the case
itself (pytest_items/fuzz_case.py), capping it (engine/caps.py), campaigns in pytest without Hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from pytest_gpuemu.engine.caps import capped_edits, caps_of
from pytest_gpuemu.engine.config import load_config
from pytest_gpuemu.engine.errors import CannotRunHere, SeedError
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, parse_case_id, plan_case
from pytest_gpuemu.engine.resolve import resolve_op
from pytest_gpuemu.pytest_items.fuzz_case import BoundCase, FuzzCase, bind

__all__ = ["GivenCase", "case", "cases"]

# Numbers are drawn far from 0, for Hypothesis prefers small integers, and ones that it finds in the code
# under test; out there it draws evenly.
_FIRST, _SEEDS = 712_345_678_901, 2**24
# So few of the drawn caps do anything: cases are as their seeds draw them until Hypothesis shrinks.
_ONE_CAP_IN = 64
# What else would have passed is looked for in cases of so few elements: not in each that Hypothesis shrinks.
_FEW_ELEMENTS = 2**12


def cases(op_name: str, **keys: Any) -> SearchStrategy[GivenCase]:
    """The cases of an op, each what `fuzz_case` is in a test marked `gpuemu_op(op_name, **keys)`.

    keys are the marker's. A failing case shrinks to few and small dims, float32, contiguous inputs, default
    params and plain values; its repr in the falsifying example is the call of `case` that makes it. A case
    that cannot run here, or whose verdict is undetermined, is rejected as by `hypothesis.assume`. What is
    wrong with op_name or keys is raised when the first case is drawn.
    """

    @cache
    def op() -> Op:
        return _resolved(op_name, keys)

    return _cases(op, keys)


def case(op_name: str, case_id: int | str, **keys: Any) -> GivenCase:
    """One case of an op by its seed or case id, such as `case("softmax", "7~rows=1")`: for `@example`."""
    op = _resolved(op_name, keys)
    return _given(op, plan_case(op, *parse_case_id(case_id)), keys)


class GivenCase(FuzzCase):
    """A case that Hypothesis drew: as fuzz_case, but a case that proves nothing is rejected."""

    __slots__ = ("_source",)
    _source: str

    def __repr__(self) -> str:
        return self._source

    def to(self, library: str, device: Any = None) -> GivenCase:
        """The same case with inputs and outputs of another array library."""
        handed_over = GivenCase(super().to(library, device)._at)
        handed_over._source = self._source
        return handed_over

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs by name, with the layouts of the case, as arrays of the op's `library`."""
        with _Rejecting():
            return super().inputs

    @property
    def outputs(self) -> dict[str, Any]:
        """Output buffers by name, poisoned and in guard bands; see FuzzCase.outputs."""
        with _Rejecting():
            return super().outputs

    def check(self, output: Any = None) -> None:
        """Judge the kernel's output; raise KernelMismatch where it is wrong."""
        __tracebackhide__ = True
        with _Rejecting():
            super().check(output)
        self._reject_undetermined()

    def run(self, kernel: Callable[..., Any]) -> Any:
        """Call kernel(**inputs, **params), check what it returns, and return that."""
        __tracebackhide__ = True
        with _Rejecting():
            output = super().run(kernel)
        self._reject_undetermined()
        return output

    def check_grad(self, function: Callable[..., Any]) -> Any:
        """Call function(**inputs, **params), check its output and gradients, and return the output."""
        __tracebackhide__ = True
        with _Rejecting():
            output = super().check_grad(function)
        self._reject_undetermined()
        return output

    def _reject_undetermined(self) -> None:
        bound = self._here.bound
        if bound.status == "undetermined" and hypothesis.currently_in_test_context():
            hypothesis.event(f"undetermined: {bound.undetermined_reason}")
            hypothesis.reject()


class _Rejecting:
    """Makes of CannotRunHere, inside a Hypothesis test, a rejected example; its reason is an event."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, CannotRunHere) and hypothesis.currently_in_test_context():
            hypothesis.event(f"could not run here: {error}")
            hypothesis.reject()


def _resolved(op_name: str, keys: dict[str, Any]) -> Op:
    return resolve_op(op_name, keys, load_config(Path.cwd()))


def _given(op: Op, plan: Plan, keys: dict[str, Any]) -> GivenCase:
    written = "".join(f", {key}={getattr(value, '__name__', repr(value))}" for key, value in keys.items())
    made = GivenCase()
    made._source = f"case({op.name!r}, {plan.case_id!r}{written})"
    bound = BoundCase(op, plan, lambda: [f"@example({made!r})"])
    bound.judging = partial(judge, hints=sum(map(prod, plan.shapes.values())) <= _FEW_ELEMENTS)
    bind(made, bound)
    return made


@st.composite
def _cases(draw: DrawFn, op: Callable[[], Op], keys: dict[str, Any]) -> GivenCase:
    """A case: the caps first, as to Hypothesis a smaller early number is worth more than a later one.

    The numbers come from `randoms`, since Hypothesis copies what several `integers()` gave from one place to
    another, and then most of its examples are one seed's case again.
    """
    rng = draw(st.randoms(use_true_random=False))

    def below(count: int) -> int:
        return rng.randint(_FIRST, _FIRST + count - 1) - _FIRST

    positions = {cap.name: below(_ONE_CAP_IN * cap.positions + 1) for cap in caps_of(op())}
    drawn = plan_case(op(), below(_SEEDS))
    edits = capped_edits(op(), drawn, positions)
    try:
        plan = plan_case(op(), drawn.seed, edits) if edits else drawn
    except SeedError:  # the caps break a condition between dims
        hypothesis.reject()
    return _given(op(), plan, keys)
