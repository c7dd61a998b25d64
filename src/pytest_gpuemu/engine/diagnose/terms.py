"""The terms that a condition on cases may consist of: a dim that is no multiple, a dtype, a layout, values.

Here: each kind of term, when it holds, and which changes of a case lie near its border. Elsewhere: choosing
among them (when.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan

# Common blocks first: of several that the cases do not tell apart the first is tried first.
_MODULI = (32, 64, 128, 16, 256, 8, 512, 1024, 4, 2)
_MODULI_OF_A_PRODUCT = (1024, 512, 256, 128, 64, 32)
NONFINITE = frozenset({"nonfinite", "nonfinite_rows"})
_PLAIN_LAYOUTS = ("contiguous", "offset")
_NEAR_LAYOUTS = ("contiguous", "strided", "transposed", "offset")
_ORDINARY = ("normal", "uniform")

Changes = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A condition on one thing of a case. near gives changes of a plan's edits that lie near its border."""

    kind: str
    text: str
    holds: Callable[[Plan], bool]
    cost: float
    near: Callable[[Plan], Sequence[Changes]]


def possible_terms(op: Op, failed: Sequence[Plan], passed: Sequence[Plan]) -> Iterator[Term]:
    """Every term that these cases could be told apart by."""
    plans = [*failed, *passed]
    yield from _dims(plans[0].dims, failed, passed)
    yield from _relations(plans[0].dims)
    yield from _dtypes(op, failed)
    yield from _layouts(op, failed)
    yield from _values(op, failed)
    for param in op.params:
        if len({repr(plan.params[param.name]) for plan in plans}) < 2:
            continue
        near = [{"params": {param.name: choice}} for choice in param.choices]
        for choice in {repr(plan.params[param.name]): plan.params[param.name] for plan in failed}.values():
            yield Term(
                kind="param",
                text=f"{param.name} == {choice!r}",
                holds=partial(_has_param, param.name, choice),
                cost=1.0,
                near=partial(_always, near),
            )


def above_term(name: str, border: int) -> Term:
    """The condition that a dim is larger than border."""
    return Term(
        kind="above",
        text=f"{name} > {border}",
        holds=partial(_is_above, name, border),
        cost=1.1,
        near=partial(_always, _sizes(name, (border, border + 1))),
    )


def _dims(dims: Mapping[str, int], failed: Sequence[Plan], passed: Sequence[Plan]) -> Iterator[Term]:
    for name in dims:
        for modulus in _MODULI:
            yield Term(
                kind="multiple",
                text=f"{name} % {modulus} != 0",
                holds=partial(_is_no_multiple, name, modulus),
                cost=1.0,
                near=partial(_near_multiples, name, modulus),
            )
        low = min(plan.dims[name] for plan in failed)
        high = max(plan.dims[name] for plan in failed)
        below = [plan.dims[name] for plan in passed if plan.dims[name] < low]
        above = [plan.dims[name] for plan in passed if plan.dims[name] > high]
        if below:
            yield above_term(name, round_size(max(below), low - 1))
        if above:
            border = round_size(high + 1, min(above))
            yield Term(
                kind="below",
                text=f"{name} < {border}",
                holds=partial(_is_below, name, border),
                cost=1.2,
                near=partial(_always, _sizes(name, (border - 1, border))),
            )
    if len(dims) > 1:
        for modulus in _MODULI_OF_A_PRODUCT:
            yield Term(
                kind="multiple",
                text=f"{'*'.join(dims)} % {modulus} != 0",
                holds=partial(_product_is_no_multiple, modulus),
                cost=2.0,
                near=partial(_near_multiples, list(dims)[-1], modulus),
            )


def _relations(dims: Mapping[str, int]) -> Iterator[Term]:
    for one, two in combinations(dims, 2):
        for sign in ("<", ">", "!="):
            yield Term(
                kind="relation",
                text=f"{one} {sign} {two}",
                holds=partial(_is_related, one, sign, two),
                cost=1.6,
                near=partial(_near_other, one, two),
            )


def _dtypes(op: Op, failed: Sequence[Plan]) -> Iterator[Term]:
    near = [{"dtype": dtype} for dtype in op.dtypes]
    for dtype in dict.fromkeys(plan.dtype for plan in failed):
        yield Term(
            kind="dtype",
            text=f"dtype == {dtype}",
            holds=partial(_has_dtype, dtype),
            cost=1.0,
            near=partial(_always, near),
        )
    for dtype in op.dtypes if len(op.dtypes) > 2 else ():
        yield Term(
            kind="dtype",
            text=f"dtype != {dtype}",
            holds=partial(_has_another_dtype, dtype),
            cost=1.5,
            near=partial(_always, near),
        )


def _layouts(op: Op, failed: Sequence[Plan]) -> Iterator[Term]:
    for x in op.inputs:
        near = partial(_always, [{"layouts": {x.name: layout}} for layout in _NEAR_LAYOUTS])
        label = "layout" if len(op.inputs) == 1 else f"layout of {x.name}"
        yield Term(
            kind="layout",
            text=f"{label} is not contiguous",
            holds=partial(_is_not_contiguous, x.name),
            cost=1.0,
            near=near,
        )
        for layout in dict.fromkeys(plan.layouts[x.name] for plan in failed):
            yield Term(
                kind="layout",
                text=f"{label} is {layout}",
                holds=partial(_has_layout, x.name, layout),
                cost=1.2,
                near=near,
            )
    if len(op.inputs) > 1:
        yield Term(
            kind="layout",
            text="some input is not contiguous",
            holds=_has_not_contiguous,
            cost=1.3,
            near=partial(_always, [{"layouts": {None: layout}} for layout in ("contiguous", "strided")]),
        )


def _values(op: Op, failed: Sequence[Plan]) -> Iterator[Term]:
    near = partial(_always, [*({"values": {None: name}} for name in _ORDINARY), {"draw": 1}, {"draw": 2}])
    yield Term(
        kind="values",
        text="values contain NaN or infinities",
        holds=_has_nonfinite,
        cost=1.0,
        near=near,
    )
    for x in op.inputs:
        if x.kind != "values":
            continue
        label = "values" if len(op.inputs) == 1 else f"values of {x.name}"
        for name in dict.fromkeys(plan.values[x.name] for plan in failed):
            yield Term(
                kind="values",
                text=f"{label} are {name}",
                holds=partial(_has_values, x.name, name),
                cost=1.2,
                near=near,
            )


def _is_no_multiple(name: str, modulus: int, plan: Plan) -> bool:
    return plan.dims[name] % modulus != 0


def _product_is_no_multiple(modulus: int, plan: Plan) -> bool:
    return prod(plan.dims.values()) % modulus != 0


def _is_above(name: str, border: int, plan: Plan) -> bool:
    return plan.dims[name] > border


def _is_below(name: str, border: int, plan: Plan) -> bool:
    return plan.dims[name] < border


def _is_related(one: str, sign: str, two: str, plan: Plan) -> bool:
    a, b = plan.dims[one], plan.dims[two]
    return a < b if sign == "<" else a > b if sign == ">" else a != b


def _has_dtype(dtype: str, plan: Plan) -> bool:
    return plan.dtype == dtype


def _has_another_dtype(dtype: str, plan: Plan) -> bool:
    return plan.dtype != dtype


def _has_layout(name: str, layout: str, plan: Plan) -> bool:
    return plan.layouts[name] == layout


def _is_not_contiguous(name: str, plan: Plan) -> bool:
    return plan.layouts[name] not in _PLAIN_LAYOUTS


def _has_not_contiguous(plan: Plan) -> bool:
    return any(layout not in _PLAIN_LAYOUTS for layout in plan.layouts.values())


def _has_values(name: str, distribution: str, plan: Plan) -> bool:
    return plan.values[name] == distribution


def _has_nonfinite(plan: Plan) -> bool:
    return any(name in NONFINITE for name in plan.values.values())


def _has_param(name: str, choice: Any, plan: Plan) -> bool:
    return repr(plan.params[name]) == repr(choice)


def _always(changes: Sequence[Changes], plan: Plan) -> Sequence[Changes]:
    return changes


def _near_multiples(name: str, modulus: int, plan: Plan) -> Sequence[Changes]:
    """Sizes near the plan's: a multiple, one more, half of the modulus more, the next multiple."""
    base = max(plan.dims[name] // modulus, 1) * modulus
    return _sizes(name, (base, base + 1, base + modulus // 2, base + modulus))


def _near_other(name: str, other: str, plan: Plan) -> Sequence[Changes]:
    size = plan.dims[other]
    return _sizes(name, (size - 1, size, size + 1))


def _sizes(name: str, sizes: Sequence[int]) -> list[Changes]:
    return [{"dims": {name: size}} for size in dict.fromkeys(sizes) if size > 0]


def round_size(low: int, high: int) -> int:
    """The roundest of low to high: the multiple of the largest power of two, the smaller of two."""
    for power in range(high.bit_length(), -1, -1):
        unit: int = 2**power
        first = -(-low // unit) * unit
        if low <= first <= high:
            return first
    return low
