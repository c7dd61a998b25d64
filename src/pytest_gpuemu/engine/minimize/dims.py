"""Pass: smaller dims, one at a time and several together.

One dim: its smallest sizes first, which cost least to run and suffice for most bugs; then bisection between
a size that passes and one that fails; then the sizes of a kernel's blocks, powers of two, since what fails
for N % 32 == 0 fails for no range of sizes, and one more where that left much: of long rows not every length
fails visibly. Together: the same number is taken off
several dims, which keeps two equal and their difference, or all are halved, which keeps their ratio. A dim
that several inputs share is one dim. Only sizes that the op may have are tried, and `where` holds.

It ends since every accepted move makes a dim smaller and none makes one larger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from pytest_gpuemu.engine.minimize.attempts import Attempts
from pytest_gpuemu.engine.op import Op, Range
from pytest_gpuemu.engine.sizes import is_allowed

_SMALLEST = 3
_BLOCKS = (4, 8, 16, 32, 64, 128, 256, 512, 1024)
_LARGE = 128
_MOST_PAIRS = 6


def shrink_dims(attempts: Attempts, *, thorough: bool = True) -> bool:
    """Make every dim as small as the failure allows. Whether any became smaller.

    thorough=False is for dims that were shrunk before: only one less and the least are tried at first.
    """
    shrunk = _to_smallest(attempts)
    again = True
    while again:
        again = False
        for name in sorted(attempts.plan.dims, key=lambda name: -attempts.plan.dims[name]):
            again |= _shrink_one(attempts, name, thorough=thorough)
        again |= _shrink_together(attempts)
        thorough = False
        shrunk |= again
    return shrunk


def sizes_below(op: Op, name: str, size: int) -> Sequence[int]:
    """The sizes that a dim may have instead of a larger one, rising; 0 is no simpler than 1."""
    given = op.dims.get(name)
    if isinstance(given, tuple):
        return sorted({other for other in given if 0 < other < size})
    low = given.low if isinstance(given, Range) else 1
    return range(max(low, 1), size)


def _to_smallest(attempts: Attempts) -> bool:
    """All dims at their smallest sizes, else each that can be: this makes the later runs cheap."""
    smallest = {name: _floor(attempts, name) for name in attempts.plan.dims}
    if attempts.accepts(dims=smallest):
        return True
    largest_first = sorted(smallest, key=lambda name: -attempts.plan.dims[name])
    accepted = [attempts.accepts(dims={name: smallest[name]}) for name in largest_first]
    return any(accepted)


def _floor(attempts: Attempts, name: str) -> int:
    below = sizes_below(attempts.op, name, attempts.plan.dims[name])
    return below[0] if below else attempts.plan.dims[name]


def _shrink_one(attempts: Attempts, name: str, *, thorough: bool) -> bool:
    """Make one dim smaller; not thorough, a second time: only where the least or one less fails."""
    below = sizes_below(attempts.op, name, attempts.plan.dims[name])
    if not below:
        return False
    if any(attempts.accepts(dims={name: size}) for size in below[: _SMALLEST if thorough else 1]):
        return True
    if not thorough and not attempts.accepts(dims={name: below[-1]}):
        return False
    shrunk = _bisect(attempts, name, below, min(_SMALLEST, len(below)) - 1) or not thorough
    size = attempts.plan.dims[name]
    tails = [block + 1 for block in _BLOCKS] if size > _LARGE else []
    left = [other for other in sorted([*_BLOCKS, *tails]) if other < size and other in below]
    return any(attempts.accepts(dims={name: other}) for other in left) or shrunk


def _bisect(attempts: Attempts, name: str, below: Sequence[int], passing: int) -> bool:
    """Narrow down between below[passing] and the present size, as if one border parted them."""
    failing, shrunk = len(below), False
    while failing - passing > 1:
        middle = (failing + passing) // 2
        if attempts.accepts(dims={name: below[middle]}):
            failing, shrunk = middle, True
        else:
            passing = middle
    return shrunk


def _shrink_together(attempts: Attempts) -> bool:
    """Take the same number off several dims, or halve them all."""
    plan = attempts.plan
    large = [name for name in plan.dims if sizes_below(attempts.op, name, plan.dims[name])]
    if len(large) < 2:
        return False
    shrunk = False
    pairs = sorted(combinations(large, 2), key=lambda pair: plan.dims[pair[0]] != plan.dims[pair[1]])
    for group in dict.fromkeys([tuple(large), *pairs[:_MOST_PAIRS]]):
        shrunk |= _shift(attempts, group)
    while _halve(attempts, large):
        shrunk = True
    return shrunk


def _shift(attempts: Attempts, group: Sequence[str]) -> bool:
    most = min(attempts.plan.dims[name] - _floor(attempts, name) for name in group)
    if most < 1:
        return False
    start = dict(attempts.plan.dims)
    # By how much it passes and by how much it fails; off-by-one first tells whether there is any use.
    if _takes(attempts, start, group, most):
        return True
    if not _takes(attempts, start, group, 1):
        return _takes(attempts, start, group, most // 2)
    failing, passing = 1, most
    while passing - failing > 1:
        middle = (passing + failing) // 2
        if _takes(attempts, start, group, middle):
            failing = middle
        else:
            passing = middle
    return True


def _takes(attempts: Attempts, start: dict[str, int], group: Sequence[str], number: int) -> bool:
    sizes = {name: start[name] - number for name in group}
    return number > 0 and may_have(attempts.op, sizes) and attempts.accepts(dims=sizes)


def _halve(attempts: Attempts, names: Sequence[str]) -> bool:
    sizes = {name: max(attempts.plan.dims[name] // 2, 1) for name in names}
    return may_have(attempts.op, sizes) and attempts.accepts(dims=sizes)


def may_have(op: Op, sizes: Mapping[str, int]) -> bool:
    """Whether each dim may have its size, `where` aside."""
    return all(is_allowed(op.dims.get(name), size) for name, size in sizes.items())
