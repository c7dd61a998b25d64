"""Drawing the sizes of a case: most cases small, a few large or very long, within limits and conditions.

Here: how large a case is to be, one size a dim, shrinking it to the byte limit, the `where` conditions.
Elsewhere: the candidates that a dim has (sizes.py), everything else that a seed decides (plan.py).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from math import prod

from pytest_gpuemu.engine.dtypes import is_floating
from pytest_gpuemu.engine.errors import SchemaError
from pytest_gpuemu.engine.op import Op, Range
from pytest_gpuemu.engine.rng import SeededRng
from pytest_gpuemu.engine.schema import Comparison, DimExpr
from pytest_gpuemu.engine.sizes import ByteCount, Sizes, byte_counts, candidates, is_allowed

_ATTEMPTS = 48
_COMBINATIONS = 20_000


@dataclass(frozen=True, slots=True)
class _Mood:
    """How large a case is to be. Most dims lie in `ordinary`; `chosen` of them, drawn at random (-1: all
    or all but one), lie in `special`. The case keeps to `elements` of inputs and outputs together, and
    to `work`, the product of all dims, as long as its free dims can shrink.
    """

    weight: int
    ordinary: tuple[int, int]
    chosen: int
    special: tuple[int, int]
    elements: int
    work: int


# Interpreters of GPU code take 10 ms a program and more, so most cases are small.
_MOODS = (
    _Mood(24, (1, 40), 0, (1, 1), 2**14, 2**19),
    _Mood(30, (1, 160), 0, (1, 1), 2**16, 2**21),
    _Mood(14, (1, 300), 0, (1, 1), 2**17, 2**23),
    _Mood(6, (1, 2), 1, (1, 300), 2**14, 2**19),
    _Mood(13, (1, 40), 1, (257, 4200), 2**17, 2**23),
    _Mood(8, (1, 40), -1, (129, 1100), 2**19, 2**25),
    _Mood(5, (1, 3), 1, (4300, 70001), 2**18, 2**23),
)
_TINY = (1, 5)
_MOOD_OF_WEIGHT = tuple(mood for mood in _MOODS for _ in range(mood.weight))


def draw_sizes(op: Op, dtype: str, rng: SeededRng) -> Sizes:
    """A size for every dim of the op, for a case of this floating dtype.

    Inputs and outputs together stay within op.max_bytes, and every `where` condition holds.
    Raises SchemaError where no sizes do both; the message names the condition.
    """
    names, counts = op.dim_names, byte_counts(op, dtype)
    if not names:
        return {}
    broken: str | None = None
    for _ in range(_ATTEMPTS):
        sizes = _draw(op, names, counts, rng)
        broken = what_is_wrong(op, dtype, counts, sizes)
        if broken is None:
            return sizes
    # Conditions that random sizes seldom meet: look at every combination of the likelier ones.
    found = list(
        islice(
            (sizes for sizes in _combinations(op, names) if what_is_wrong(op, dtype, counts, sizes) is None),
            64,
        )
    )
    if found:
        return rng.choice(found)
    raise SchemaError(f"op {op.name!r}: {broken}")


def _draw(op: Op, names: Sequence[str], counts: Sequence[ByteCount], rng: SeededRng) -> Sizes:
    """Sizes that fit the byte limit where any do, and often the conditions."""
    mood = rng.choice(_MOOD_OF_WEIGHT)
    free = [name for name in names if not isinstance(op.dims.get(name), tuple)]
    special: set[str] = set()
    if free and mood.chosen:
        special.add(rng.choice(free))
        if mood.chosen < 0:
            left_out = rng.choice((None, *free))
            special.update(name for name in free if name != left_out)
    # With many dims, all but three at a time are tiny: else the byte limit would leave none of any size.
    tiny = [name for name in free if name not in special]
    rng.shuffle(tiny)
    del tiny[: max(3 - len(special), 0)]
    sizes = {
        name: _draw_size(
            op.dims.get(name),
            *(mood.special if name in special else _TINY if name in tiny else mood.ordinary),
            rng,
        )
        for name in names
    }
    if len(free) > 1 and rng.gen_range(0, 6) == 0:
        one = rng.choice(free)
        other = rng.choice([name for name in free if name != one])
        if is_allowed(op.dims.get(other), sizes[one]):
            sizes[other] = sizes[one]
    for condition in op.where:
        if not condition.holds(sizes):
            _mend(op, condition, sizes)
    _shrink(op, counts, mood, sizes, special, rng)
    return sizes


def _draw_size(given: tuple[int, ...] | Range | None, low: int, high: int, rng: SeededRng) -> int:
    """One size, within low and high where a candidate is. A list is drawn from evenly, whatever these are."""
    if isinstance(given, tuple):
        return rng.choice(given)
    pool = candidates(given)
    luck = rng.gen_range(0, 24)
    if luck < 2 and low < 4:
        return pool[0]
    first, last = bisect_left(pool, low), bisect_right(pool, high)
    if first == last:  # none lies within: the nearest
        return pool[min(first, len(pool) - 1)] if first == 0 else pool[first - 1]
    if luck < 7:
        floor, ceiling = (given.low, given.high) if isinstance(given, Range) else (1, high)
        return rng.gen_range(max(low, floor), min(high, ceiling) + 1)
    return pool[first + rng.gen_u64() % (last - first)]


def _shrink(
    op: Op, counts: Sequence[ByteCount], mood: _Mood, sizes: Sizes, special: set[str], rng: SeededRng
) -> None:
    """Halve the largest dims until the case fits: ordinary ones first, listed ones only for the limit."""
    while True:
        nbytes = sum(count(sizes) for count in counts)
        too_many = nbytes > op.max_bytes
        if not too_many and nbytes <= mood.elements * 4 and prod(sizes.values()) <= mood.work:
            return
        can_shrink = [
            name
            for name, size in sizes.items()
            if size > candidates(op.dims.get(name))[0]
            and (too_many or not isinstance(op.dims.get(name), tuple))
        ]
        if not can_shrink:
            return
        name = max(can_shrink, key=lambda name: (name not in special and sizes[name] > 2, sizes[name]))
        pool = candidates(op.dims.get(name))
        below = bisect_right(pool, max(pool[0], sizes[name] // 2))
        at_least = bisect_left(pool, sizes[name] // 4)
        sizes[name] = pool[rng.gen_range(min(at_least, below - 1), below)]


def _mend(op: Op, condition: Comparison, sizes: Sizes) -> None:
    """Set or swap a dim so that the condition holds, where that is easily seen."""
    for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
        if condition.sign == "==" and len(one.names) == 1 and str(one) == one.names[0]:
            size = other.evaluate(sizes)
            if is_allowed(op.dims.get(one.names[0]), size):
                sizes[one.names[0]] = size
                return
    left, right = condition.left.names, condition.right.names
    if condition.sign in ("<=", "<", ">=", ">") and len(left) == 1 and len(right) == 1:
        swapped = {left[0]: sizes[right[0]], right[0]: sizes[left[0]]}
        if all(is_allowed(op.dims.get(name), size) for name, size in swapped.items()):
            sizes.update(swapped)


def what_is_wrong(op: Op, dtype: str, counts: Sequence[ByteCount], sizes: Sizes) -> str | None:
    """Why no case has these sizes, or None."""
    for condition in op.where:
        if not condition.holds(sizes):
            return f"where: no sizes found for which {condition} holds, tried last: {_listed(sizes)}"
    for x in op.inputs:
        count = prod(dim.evaluate(sizes) for dim in x.dims)
        of = x.of.evaluate(sizes) if x.of is not None else None
        if x.kind == "index" and count and not of and x.ignore is None:
            return f"input {x.name!r} has {count} indices below {x.of} = 0; let {x.of} begin at 1"
        if x.kind == "offsets" and of and count < 2:
            return f"input {x.name!r} has {count} offsets, too few to go from 0 to {x.of} = {of}; give it N+1"
        if x.kind == "offsets" and count == 0:
            return f"input {x.name!r} has no room for the first offset, 0; give it N+1"
        low, high = (end.evaluate(sizes) if isinstance(end, DimExpr) else end for end in (x.low, x.high))
        whole = x.dtype is not None and not is_floating(x.dtype)
        if count and low is not None and high is not None and (high <= low if whole else high < low):
            return f"input {x.name!r}: no value lies between low = {low} and high = {high}"
    nbytes = sum(count(sizes) for count in counts)
    if nbytes > op.max_bytes:
        return (
            f"the smallest sizes found, {_listed(sizes)}, need {nbytes} bytes in {dtype}, more than "
            f"max_bytes = {op.max_bytes}; give smaller dims or a larger max_bytes"
        )
    return None


def _combinations(op: Op, names: Sequence[str]) -> Iterator[Sizes]:
    """Every combination of candidates, as many of each dim as keep the number bounded."""
    each = max(2, int(_COMBINATIONS ** (1 / len(names))))
    pools = []
    for name in names:
        pool = candidates(op.dims.get(name))
        pools.append(pool if len(pool) <= each else pool[:each])
    for combination in islice(product(*pools), _COMBINATIONS):
        yield dict(zip(names, combination, strict=True))


def _listed(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())
