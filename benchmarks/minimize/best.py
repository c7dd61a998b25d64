"""The smallest case of an op at which a kernel fails at all, by trying small ones in the order of their size.

Here: which cases are tried. Elsewhere: the search that is measured against it (engine/minimize).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from pytest_gpuemu.engine.edits import Edits, write_edits
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.minimize import Signature
from pytest_gpuemu.engine.minimize.attempts import elements
from pytest_gpuemu.engine.minimize.coupled import count
from pytest_gpuemu.engine.minimize.dims import sizes_below
from pytest_gpuemu.engine.minimize.values import ORDINARY, plain_values
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, plan_case

MOST_RUNS = 1500
DRAWS = 2


def smallest_failing(
    op: Op, found: Plan, fails: Callable[[str], Signature | None], failure: Signature
) -> tuple[int, int, int]:
    """How many elements the smallest failing case below `found` has, or else found itself.

    Gives that number for a case that fails alike, for a case that fails at all, and the runs. Every shape
    with fewer elements than found is tried, the smallest first, in float32 and the two dtypes that the seed
    draws and that found has, plain and as the seed draws layouts and params, with the distributions of found,
    of the seed, and five others, of special ones three draws.
    """
    most = elements(found)
    alike = at_all = most
    runs = 0
    for plan in _smaller(op, found):
        if runs >= MOST_RUNS or alike < most:
            break
        runs += 1
        if (how := fails(plan.case_id)) is None:
            continue
        at_all = min(at_all, elements(plan))
        if failure.is_kept_by(how):
            alike = elements(plan)
    return alike, at_all, runs


def _smaller(op: Op, found: Plan) -> Iterator[Plan]:
    drawn = plan_case(op, found.seed)
    variants = list(_variants(op, drawn, found))
    for dims in _dims_below(op, found):
        for changes in variants:
            if (plan := _plan(op, found, replace(Edits(dims=dims), **changes))) is not None:
                yield plan


def _dims_below(op: Op, found: Plan) -> list[dict[str, int]]:
    """The dims of every smaller shape, those with the fewest elements first."""
    names, most = op.dim_names, elements(found)
    sizes = {name: [*sizes_below(op, name, found.dims[name]), found.dims[name]] for name in names}
    least = {name: sizes[name][0] for name in names}
    shapes: list[dict[str, int]] = [{}]
    for name in names:
        shapes = [
            {**shape, name: size}
            for shape in shapes
            for size in sizes[name]
            if count(op, {**least, **shape, name: size}) < most
        ]
    return sorted(shapes, key=lambda dims: count(op, dims))


def _variants(op: Op, drawn: Plan, found: Plan) -> Iterator[dict[str, Any]]:
    """Dtypes, layouts, params and values to try for each shape."""
    inputs = [x for x in op.inputs if x.kind == "values"]
    first = {param.name: param.choices[0] for param in op.params}
    kinds: list[dict[str, str]] = []
    for plan in (found, drawn):
        kinds.append({x.name: plan.values[x.name] for x in inputs})
    for name in ("integers", "normal", "large", "wide", "nonfinite"):
        kinds.append({x.name: name for x in inputs if name in plain_values(op, x)})
    dtypes = [dtype for dtype in op.dtypes if dtype in ("float32", drawn.dtype, found.dtype)]
    plain = [{None: "contiguous"}, {}] if set(drawn.layouts.values()) != {"contiguous"} else [{}]
    params = [first, {}] if drawn.params != first else [{}]
    for layouts, chosen, dtype in product(plain, params, dtypes):
        changes = {"layouts": layouts, "params": chosen, "dtype": dtype}
        for at, values in enumerate(kinds):
            if values not in kinds[:at]:
                yield {**changes, "values": values}
                if not ORDINARY.issuperset(values.values()):
                    yield from ({**changes, "values": values, "draw": n} for n in range(1, DRAWS + 1))


def _plan(op: Op, found: Plan, edits: Edits) -> Plan | None:
    try:
        return plan_case(op, found.seed, write_edits(edits))
    except ConfigError:
        return None
