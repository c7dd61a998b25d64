"""The plan of a case: all that a seed decides before a value is drawn.

Here: the plan, reading a case id, and drawing dtype, layouts, value distributions, params and config.
Elsewhere: drawing sizes (draw_sizes.py), the edits of a case id (edits.py), the arrays (case.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from pytest_gpuemu.engine.draw_sizes import draw_sizes, what_is_wrong
from pytest_gpuemu.engine.edits import Edits, read_edits, split_edits
from pytest_gpuemu.engine.errors import ConfigError, SeedError
from pytest_gpuemu.engine.layouts import huge_axis
from pytest_gpuemu.engine.op import LAYOUTS, Input, Op, tensor_shape
from pytest_gpuemu.engine.rng import SeededRng, derive_seed
from pytest_gpuemu.engine.sizes import byte_counts, case_bytes, input_dtype

GENERATOR_VERSION = 2
MAX_SEED = 2**64 - 1

# What an array library cannot represent: torch has no negative strides, JAX no strides at all.
UNREPRESENTABLE = {
    "torch": frozenset({"reversed"}),
    "jax": frozenset({"strided", "transposed", "channels_last", "offset", "reversed", "broadcast", "huge"}),
}
_MIN_RANK = {"strided": 1, "transposed": 2, "channels_last": 4, "reversed": 1, "broadcast": 1, "huge": 1}
_MAX_HUGE_SLICES = 512
# One seed in so many gives an input the huge layout, where nobody chose the layouts.
HUGE_ONCE_IN = 32
_FEW_SLICES, _FEW_ELEMENTS = 64, 2**14
_BENIGN = ("uniform", "normal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes, dtypes, layouts, value distributions and params of one case.

    dtype is that of every floating input without one of its own; the mappings are by input name
    (output_layouts by output name). keep holds, for inputs that were edited so, the flat indices of
    the elements that keep their value while all others are 0. draw, if not 0, is another draw of all values.
    """

    op_name: str
    seed: int
    edits: str = ""
    dims: Mapping[str, int]
    dtype: str
    shapes: Mapping[str, tuple[int, ...]]
    dtypes: Mapping[str, str]
    layouts: Mapping[str, str]
    values: Mapping[str, str]
    output_layouts: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    config: Any = None
    keep: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    draw: int = 0

    @property
    def case_id(self) -> str:
        """`seed`, or `seed~edits`: what is accepted wherever a seed is."""
        return f"{self.seed}~{self.edits}" if self.edits else str(self.seed)


def parse_case_id(case_id: str | int) -> tuple[int, str]:
    """The seed and the edits of `N`, `N~edits` or an integer. Raises SeedError.

    Of the edits it checks that each is NAME=VALUE; whether they fit an op is checked by `plan_case`.
    """
    number, tilde, edits = str(case_id).strip().partition("~")
    if isinstance(case_id, bool) or not (number.isascii() and number.isdigit()):
        raise SeedError(f"seed {case_id!r} is not a whole number >= 0; write N, or N~edits such as 7~rows=1")
    if int(number) > MAX_SEED:
        raise SeedError(f"seed {number} is out of range; seeds are below 2**64 = {MAX_SEED + 1}")
    if tilde and not edits.strip():
        raise SeedError(f"seed {case_id!r} ends in '~' without an edit; write {number}, or {number}~rows=1")
    if tilde:
        try:
            list(split_edits(edits))
        except SeedError as error:
            raise SeedError(f"seed {case_id!r}: {error}") from None
    return int(number), edits.strip()


def plan_case(op: Op, seed: int, edits: str = "") -> Plan:
    """The plan that belongs to this op, seed and edits: a function of nothing else.

    Raises SchemaError where no sizes fit the op, SeedError where the edits do not.
    """
    dtype = SeededRng(derive_seed(seed, "dtype")).choice(op.dtypes)
    dims = draw_sizes(op, dtype, SeededRng(derive_seed(seed, "shape")))
    shapes = {x.name: tensor_shape(x.dims, dims) for x in op.inputs}
    layouts = _draw_layouts(op, shapes, SeededRng(derive_seed(seed, "layout")))
    if draws_huge(seed):
        _make_one_huge(op, shapes, layouts, SeededRng(derive_seed(seed, "huge input")))
    plan = Plan(
        op_name=op.name,
        seed=seed,
        dims=dims,
        dtype=dtype,
        shapes=shapes,
        dtypes={x.name: input_dtype(x, dtype) for x in op.inputs},
        layouts=layouts,
        values=_draw_values(op, SeededRng(derive_seed(seed, "values"))),
        output_layouts=_draw_output_layouts(op, dims, seed),
        params=_draw_params(op, seed),
        config=SeededRng(derive_seed(seed, "config")).choice(op.configs) if op.configs else None,
    )
    return _edited(op, plan, edits) if edits else plan


def layout_fits(layout: str, shape: Sequence[int]) -> bool:
    """Whether an array of this shape can have this layout: enough axes, and two elements along one of them.

    In the huge layout each slice of the shortest such axis takes pages of its own, so it is limited.
    """
    if len(shape) < _MIN_RANK.get(layout, 0):
        return False
    if layout not in ("reversed", "broadcast", "huge"):
        return True
    longer = [size for size in shape if size > 1]
    return bool(longer) and 0 not in shape and (layout != "huge" or min(longer) <= _MAX_HUGE_SLICES)


def possible_layouts(op: Op, x: Input) -> tuple[str, ...]:
    """The layouts that this input can have with some shape, in the op's order; at least contiguous.

    A stride of 0 needs equal values along an axis, which offsets and permutations cannot have, and
    an input that is overwritten in place needs memory of its own for every element.
    Raises ConfigError where the op's library can represent none of those asked for.
    """
    wanted = x.layouts if x.layouts is not None else op.layouts
    here = tuple(layout for layout in wanted if layout not in UNREPRESENTABLE.get(op.library, ()))
    if not here:
        raise ConfigError(
            f"op {op.name!r}: input {x.name!r} can have no layout: {op.library} arrays are never "
            f"{' or '.join(wanted)}; add 'contiguous'"
        )
    unique = x.kind in ("offsets", "permutation") or x.name in op.inplace.values()
    return tuple(
        layout
        for layout in here
        if len(x.dims) >= _MIN_RANK.get(layout, 0) and not (unique and layout == "broadcast")
    ) or ("contiguous",)


def is_huge_rare(op: Op, x: Input) -> bool:
    """Whether this input has the huge layout in a few cases only: it may have any, and nobody chose."""
    wanted = x.layouts if x.layouts is not None else op.layouts
    return set(wanted) == set(LAYOUTS) and x.kind == "values" and "huge" in possible_layouts(op, x)


def ordinary_layouts(op: Op, x: Input) -> tuple[str, ...]:
    """The possible layouts that are drawn as often as each other: all, or all but huge."""
    possible = possible_layouts(op, x)
    wanted = x.layouts if x.layouts is not None else op.layouts
    return tuple(name for name in possible if name != "huge") if set(wanted) == set(LAYOUTS) else possible


def draws_huge(seed: int) -> bool:
    """Whether an input of this seed's case has the huge layout, if the op and the sizes allow it."""
    return derive_seed(seed, "huge") % HUGE_ONCE_IN == 0


def possible_values(op: Op, x: Input) -> tuple[str, ...]:
    """The value distributions that this input is drawn from; for another kind than values, that kind."""
    if x.kind != "values":
        return (x.kind,)
    return x.values if x.values is not None else op.values


def _draw_layouts(op: Op, shapes: Mapping[str, tuple[int, ...]], rng: SeededRng) -> dict[str, str]:
    """One input, most often the first, gets the drawn layout; about half of the others are contiguous."""
    focus = _focus(len(op.inputs), rng)
    fitting = [
        [layout for layout in ordinary_layouts(op, x) if layout_fits(layout, shapes[x.name])]
        or ["contiguous"]
        for x in op.inputs
    ]
    drawn = rng.choice(fitting[focus])
    layouts = {}
    for position, (x, layouts_here) in enumerate(zip(op.inputs, fitting, strict=True)):
        luck = rng.gen_range(0, 4)
        other = rng.choice(layouts_here)
        if position == focus or (luck == 2 and drawn in layouts_here):
            layouts[x.name] = drawn
        elif luck < 2 and "contiguous" in layouts_here:
            layouts[x.name] = "contiguous"
        else:
            layouts[x.name] = other
    return layouts


def _make_one_huge(
    op: Op, shapes: Mapping[str, tuple[int, ...]], layouts: dict[str, str], rng: SeededRng
) -> None:
    """Give one small input the huge layout, where there is one: of several dims rather than of one."""
    fitting = [x.name for x in op.inputs if is_huge_rare(op, x) and _is_small_huge(shapes[x.name])]
    several = [name for name in fitting if len(shapes[name]) > 1]
    if fitting:
        layouts[rng.choice(several or fitting)] = "huge"


def _is_small_huge(shape: tuple[int, ...]) -> bool:
    """Whether the huge layout of this shape touches few pages."""
    if not layout_fits("huge", shape):
        return False
    return shape[huge_axis(shape)] <= _FEW_SLICES and prod(shape) <= _FEW_ELEMENTS


def _draw_values(op: Op, rng: SeededRng) -> dict[str, str]:
    """One input gets the drawn distribution; the others the same, or else a benign one."""
    focus = _focus(len(op.inputs), rng)
    possible = [possible_values(op, x) for x in op.inputs]
    drawn = rng.choice(possible[focus])
    values = {}
    for position, (x, values_here) in enumerate(zip(op.inputs, possible, strict=True)):
        same = rng.gen_range(0, 20) < 4
        benign = rng.choice([name for name in values_here if name in _BENIGN] or values_here)
        values[x.name] = drawn if position == focus or (same and drawn in values_here) else benign
    return values


def _draw_output_layouts(op: Op, dims: Mapping[str, int], seed: int) -> dict[str, str]:
    """Where the reference decides the shape, whether the layout fits it is seen when the output is made."""
    if all(output.layouts == ("contiguous",) for output in op.outputs):
        return dict.fromkeys((output.name for output in op.outputs), "contiguous")
    rng = SeededRng(derive_seed(seed, "output_layout"))
    layouts = {}
    for output in op.outputs:
        layout = rng.choice(output.layouts)
        fits = output.dims is None or layout_fits(layout, tensor_shape(output.dims, dims))
        here = fits and layout not in UNREPRESENTABLE.get(op.library, ())
        layouts[output.name] = layout if here else "contiguous"
    return layouts


def _draw_params(op: Op, seed: int) -> dict[str, Any]:
    if not op.params:
        return {}
    rng = SeededRng(derive_seed(seed, "params"))
    return {param.name: rng.choice(param.choices) for param in op.params}


def _focus(count: int, rng: SeededRng) -> int:
    luck = rng.gen_range(0, 2)
    position = rng.gen_range(0, max(count, 1))
    return 0 if luck else position


def _edited(op: Op, plan: Plan, text: str) -> Plan:
    """The plan with these edits. A drawn layout that no longer fits its shape becomes contiguous."""
    edits = read_edits(op, text)
    dims = {**plan.dims, **edits.dims}
    dtype = edits.dtype or plan.dtype
    for condition in op.where:
        if not condition.holds(dims):
            raise SeedError(f"op {op.name!r}: edits {text!r} break the condition {condition}")
    if (nbytes := case_bytes(op, dtype, dims)) > op.max_bytes:
        raise SeedError(
            f"op {op.name!r}: edits {text!r} need {nbytes} bytes, more than max_bytes = {op.max_bytes}"
        )
    if (wrong := what_is_wrong(op, dtype, byte_counts(op, dtype), dims)) is not None:
        raise SeedError(f"op {op.name!r}: edits {text!r}: {wrong}")
    shapes = {x.name: tensor_shape(x.dims, dims) for x in op.inputs}
    return replace(
        plan,
        edits=text,
        dims=dims,
        dtype=dtype,
        shapes=shapes,
        dtypes={x.name: input_dtype(x, dtype) for x in op.inputs},
        layouts={x.name: _edited_layout(op, x, shapes[x.name], plan, edits) for x in op.inputs},
        values={x.name: _edited_values(op, x, plan, edits) for x in op.inputs},
        output_layouts={
            name: _edited_output_layout(op, name, dims, plan, edits) for name in plan.output_layouts
        },
        params={**plan.params, **edits.params},
        keep=edits.keep,
        draw=edits.draw,
        config=plan.config if edits.config is None else op.configs[edits.config],
    )


def _edited_output_layout(op: Op, name: str, dims: Mapping[str, int], plan: Plan, edits: Edits) -> str:
    """An output that is called like an input keeps its layout."""
    own = None if name in plan.layouts else edits.layouts.get(name)
    layout, outer = own or plan.output_layouts[name], op.output(name).dims
    if outer is None or layout_fits(layout, shape := tensor_shape(outer, dims)):
        return layout
    if own is not None:
        raise SeedError(f"op {op.name!r}: edit layout.{name}={layout} does not fit the shape {shape}")
    return "contiguous"


def _edited_layout(op: Op, x: Input, shape: tuple[int, ...], plan: Plan, edits: Edits) -> str:
    if (layout := edits.layouts.get(x.name)) is not None:
        if not layout_fits(layout, shape):
            raise SeedError(f"op {op.name!r}: edit layout.{x.name}={layout} does not fit the shape {shape}")
        return layout
    layout = edits.layouts.get(None, plan.layouts[x.name])
    return layout if layout_fits(layout, shape) else "contiguous"


def _edited_values(op: Op, x: Input, plan: Plan, edits: Edits) -> str:
    named, every = edits.values.get(x.name), edits.values.get(None)
    if x.kind == "values":
        return named or every or plan.values[x.name]
    if named is not None:
        raise SeedError(
            f"op {op.name!r}: edit values.{x.name}={named}: an input of kind {x.kind!r} has no distribution"
        )
    return plan.values[x.name]
