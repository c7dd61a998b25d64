"""Pass: dims that are coupled, so that none can become smaller alone: M*N > 1000, or N == 2*M.

The moves make one dim smaller and another larger, so that the case has fewer elements than before and as many
as it then may have; or divide dims by what they have in common. Sizes and values are coupled, too, where just
two elements have to be equal: so two and three of the plainest values are tried. No dim gets larger than in
the original. It ends since each accepted move leaves fewer elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from math import gcd, prod
from typing import Any

from pytest_gpuemu.engine.minimize.attempts import Attempts, elements
from pytest_gpuemu.engine.minimize.dims import may_have, sizes_below
from pytest_gpuemu.engine.minimize.values import CONSTANT, plain_values
from pytest_gpuemu.engine.op import Op, tensor_shape

_MOST_PAIRS = 6
_FEW = (2, 3)
_STEPS = (1, 2, 3, 4)
_MOST_TRIES = 16


def shrink_coupled(attempts: Attempts) -> bool:
    """Whether two or more dims that are above their least sizes got fewer elements together."""
    shrunk = False
    names = above_least(attempts)
    for group in _groups(names):
        shrunk |= _in_proportion(attempts, group)
    limit = attempts.cases + _MOST_TRIES
    for grown, lessened in list(permutations(names, 2))[:_MOST_PAIRS]:
        while attempts.cases < limit and _trade(attempts, grown, lessened):
            shrunk = True
    return shrunk


def shrink_to_few(attempts: Attempts) -> bool:
    """Whether two or three plain elements along each dim are enough, where the values are not plain yet."""
    names = above_least(attempts)
    plain = [x for x in attempts.op.inputs if x.kind == "values" and "ones" in plain_values(attempts.op, x)]
    drawn = [x for x in plain if attempts.plan.values[x.name] not in CONSTANT]
    for size in _FEW if drawn else ():
        sizes = {name: size for name in names if size < attempts.plan.dims[name]}
        for values in ("ones", "zeros", "integers"):
            kinds = {x.name: values for x in drawn if values in plain_values(attempts.op, x)}
            if sizes and _takes(attempts, sizes, values=kinds):
                return True
    return False


def above_least(attempts: Attempts) -> list[str]:
    """The dims that could be smaller, the largest first."""
    dims = attempts.plan.dims
    names = [name for name in dims if sizes_below(attempts.op, name, dims[name])]
    return sorted(names, key=lambda name: -dims[name])


def count(op: Op, dims: Mapping[str, int]) -> int:
    """How many elements the inputs have under these sizes."""
    return sum(prod(tensor_shape(x.dims, dims)) for x in op.inputs)


def _groups(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    if len(names) > 2:
        yield tuple(names)
    yield from list(combinations(names, 2))[:_MOST_PAIRS]


def _in_proportion(attempts: Attempts, group: Sequence[str]) -> bool:
    """Divide the sizes by a common divisor, as large a one as still fails, or by its primes one by one."""
    here = attempts.plan.dims
    common = gcd(*(here[name] for name in group))
    least = {name: here[name] // common for name in group}
    if common < 2:
        return False
    if _takes(attempts, least):
        return True
    passing, failing = 1, common
    while failing - passing > 1:
        middle = (passing + failing) // 2
        if _takes(attempts, {name: size * middle for name, size in least.items()}):
            failing = middle
        else:
            passing = middle
    if failing < common:
        return True
    divided = False
    for prime in _primes(common):
        divided |= _takes(attempts, {name: attempts.plan.dims[name] // prime for name in group})
    return divided


def _primes(number: int) -> Iterator[int]:
    """The prime factors, each as often as it divides the number."""
    factor = 2
    while factor * factor <= number:
        while number % factor == 0:
            yield factor
            number //= factor
        factor += 1
    if number > 1:
        yield number


def _trade(attempts: Attempts, grown: str, lessened: str) -> bool:
    """A little more of one dim, or twice as much, for less of another."""
    here, most = attempts.plan.dims, elements(attempts.plan)
    for size in dict.fromkeys([*(here[grown] + step for step in _STEPS), 2 * here[grown]]):
        if size > attempts.original.dims[grown]:
            continue
        below = sizes_below(attempts.op, lessened, here[lessened])
        fewer = [less for less in below if count(attempts.op, {**here, grown: size, lessened: less}) < most]
        if fewer and _takes(attempts, {grown: size, lessened: fewer[-1]}):
            return True
    return False


def _takes(attempts: Attempts, sizes: Mapping[str, int], **others: Any) -> bool:
    return may_have(attempts.op, sizes) and attempts.accepts(dims=sizes, **others)
