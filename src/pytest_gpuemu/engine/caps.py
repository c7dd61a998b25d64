"""Caps: the case of a seed made plainer by a list of small numbers, for a shrinker that knows only numbers.

Here: which parts of an op's case can be capped, and the edits of a seed under given caps. A cap is a position
in a list that begins with the plainest choice: the case has the plainer of what its seed draws and what
stands there, so a smaller number never gives a larger or less plain case, whatever the seed draws.
Elsewhere: our own search for the smallest case (minimize/), the edits' text (edits.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_gpuemu.engine.edits import Edits, write_edits
from pytest_gpuemu.engine.minimize.dtype import PLAINEST_FIRST
from pytest_gpuemu.engine.minimize.values import plain_values
from pytest_gpuemu.engine.op import Op, Range
from pytest_gpuemu.engine.plan import Plan, possible_layouts
from pytest_gpuemu.engine.sizes import BOUNDARIES

_PLAIN_LAYOUT = "contiguous"
_Edit = tuple[str, str, Any]


@dataclass(frozen=True, slots=True)
class Cap:
    """One part of a case. A position below `positions` caps it; any other leaves it as the seed draws it.

    edit(plan, position) is what the cap changes in a drawn plan, as (field of Edits, name, value); None where
    the plan is as plain already.
    """

    name: str
    positions: int
    edit: Callable[[Plan, int], _Edit | None]


def caps_of(op: Op) -> tuple[Cap, ...]:
    """What can be capped in the cases of an op: dims, which cost most, come first."""
    found = [_of_dim(op, name) for name in op.dim_names]
    plainest = [dtype for dtype in PLAINEST_FIRST if dtype in op.dtypes]
    if plainest and any(x.is_floating for x in op.inputs):
        found.append(
            Cap("dtype", len(plainest), lambda plan, at: _choose("dtype", "", plainest, plan.dtype, at))
        )
    found += [_of_layout(x.name) for x in op.inputs if _PLAIN_LAYOUT in possible_layouts(op, x)]
    found += [_of_param(param.name, param.choices) for param in op.params if len(param.choices) > 1]
    if len(op.configs) > 1:
        found.append(_of_config(op))
    found += [_of_values(x.name, plain_values(op, x)) for x in op.inputs if x.kind == "values"]
    return tuple(found)


def capped_edits(op: Op, drawn: Plan, positions: Mapping[str, int]) -> str:
    """The edits, as text, that make the drawn plan of a seed as plain as these caps say, by their names."""
    changes: dict[str, dict[Any, Any]] = {
        field: {} for field in ("dims", "dtype", "layouts", "params", "config", "values")
    }
    for cap in caps_of(op):
        position = positions[cap.name]
        if position < cap.positions and (edit := cap.edit(drawn, position)) is not None:
            field, name, value = edit
            changes[field][name] = value
    for field, of_drawn in (("layouts", drawn.layouts), ("values", drawn.values)):
        names = [x.name for x in op.inputs if field == "layouts" or x.kind == "values"]
        wanted = {changes[field].get(name, of_drawn[name]) for name in names}
        if changes[field] and len(wanted) == 1:  # one word for all inputs makes a short case id
            changes[field] = {None: wanted.pop()}
    return write_edits(
        Edits(
            dims=changes["dims"],
            dtype=changes["dtype"].get(""),
            layouts=changes["layouts"],
            params=changes["params"],
            values=changes["values"],
            config=changes["config"].get(""),
        )
    )


def _of_dim(op: Op, name: str) -> Cap:
    given = op.dims.get(name)
    sizes: Sequence[int] = range(1, BOUNDARIES[-1] + 1)
    if isinstance(given, Range):
        sizes = range(max(given.low, 1), given.high + 1)
    elif isinstance(given, tuple):
        sizes = sorted({size for size in given if size})

    def edit(plan: Plan, at: int) -> _Edit | None:
        return ("dims", name, sizes[at]) if sizes[at] < plan.dims[name] else None

    return Cap(f"dim.{name}", len(sizes), edit)


def _of_layout(name: str) -> Cap:
    def edit(plan: Plan, _: int) -> _Edit | None:
        return ("layouts", name, _PLAIN_LAYOUT) if plan.layouts[name] != _PLAIN_LAYOUT else None

    return Cap(f"layout.{name}", 1, edit)


def _of_values(name: str, plainest: Sequence[str]) -> Cap:
    return Cap(
        f"values.{name}",
        len(plainest),
        lambda plan, at: _choose("values", name, plainest, plan.values[name], at),
    )


def _of_param(name: str, choices: Sequence[Any]) -> Cap:
    def edit(plan: Plan, at: int) -> _Edit | None:
        drawn = [repr(choice) for choice in choices].index(repr(plan.params[name]))  # by repr, as 0 == False
        return ("params", name, choices[at]) if at < drawn else None

    return Cap(f"param.{name}", len(choices), edit)


def _of_config(op: Op) -> Cap:
    shown = [repr(config) for config in op.configs]
    return Cap(
        "config",
        len(shown),
        lambda plan, at: ("config", "", at) if at < shown.index(repr(plan.config)) else None,
    )


def _choose(field: str, name: str, plainest: Sequence[str], drawn: str, at: int) -> _Edit | None:
    return (field, name, plainest[at]) if drawn not in plainest[: at + 1] else None
