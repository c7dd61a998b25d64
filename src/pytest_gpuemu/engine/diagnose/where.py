"""Where the wrong elements lie: the simplest place that holds all of them.

Here: the mask of wrong elements, read as places. Elsewhere: how they are wrong (relations/).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.op import Array, Float64Array

_MOST_CLUES = 3
_LARGEST_PERIOD = 64
_LEAST_REPEATS = 3


def find_places(
    name: str, exceeding: Array, output: Float64Array | None = None, reference: Float64Array | None = None
) -> list[Clue]:
    """Up to three clues on where the True elements of a mask lie, the most telling first.

    All arrays are of one shape. Each place holds every wrong element; "filled" in its evidence is the share
    of the place that is wrong. No clue where nothing simple holds.
    """
    count = int(np.count_nonzero(exceeding))
    if count == 0:
        return []
    found: list[Clue] = []
    if count == exceeding.size:
        if count > 1:
            found.append(_clue("all", name, f"every element is wrong ({count})", count=count))
    else:
        found += _along_axes(name, exceeding)
        if all(clue.evidence["filled"] < 1.0 for clue in found):
            found = [*_flat(name, exceeding), *found]
        if not found:
            found += _corners(name, exceeding)
        if not found:
            found += _periodic(name, exceeding)
    if output is not None and reference is not None:
        found = [*_by_value(name, exceeding, output, reference), *found]
    return found[:_MOST_CLUES]


def axis_name(axis: int, ndim: int) -> str:
    """How an index along an axis is called: row and column of a matrix, else by the axis' number."""
    if ndim == 1:
        return "index"
    return ("row", "column")[axis] if ndim == 2 else f"axis {axis} index"


def _several(called: str) -> str:
    return called.removesuffix("index") + "indices" if called.endswith("index") else f"{called}s"


def hit_along(mask: Array, axis: int) -> Array:
    """For each index of an axis whether any element of the mask there is True."""
    return np.asarray(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))


def block_of(start: int) -> int:
    """The largest power of two that divides start."""
    return start & -start


def _along_axes(name: str, mask: Array) -> Iterator[Clue]:
    """One index, the tail or the head of an axis, for each axis that has such a thing."""
    for axis, size in enumerate(mask.shape):
        if size < 2:
            continue
        hit = np.flatnonzero(hit_along(mask, axis))
        if hit.size == size:
            continue
        called = axis_name(axis, mask.ndim)
        first, last = int(hit[0]), int(hit[-1])
        inside = np.take(mask, hit, axis=axis)
        filled = float(inside.mean())
        evidence = {"axis": axis, "first": first, "last": last, "size": size, "filled": filled}
        share = "" if filled == 1.0 else f", {filled:.0%} of it"
        if hit.size == 1:
            which = " (the last)" if last == size - 1 else " (the first)" if first == 0 else ""
            kind = "last" if last == size - 1 else "first" if first == 0 else "line"
            yield _clue(
                kind, name, f"every wrong element is in {called} {first}{which} of {size}{share}", **evidence
            )
        elif first > 0 and last == size - 1 and hit.size == size - first:
            block = block_of(first)
            of = f", a multiple of {block}" if block >= 4 else ""
            yield _clue(
                "tail",
                name,
                f"every wrong element is in the tail from {called} {first}{of}, of {size}{share}",
                block=block,
                **evidence,
            )
        elif first == 0 and hit.size == last + 1:
            block = block_of(last + 1)
            of = f", a multiple of {block}" if block >= 4 else ""
            yield _clue(
                "head",
                name,
                f"every wrong element is before {called} {last + 1}{of}, of {size}{share}",
                block=block,
                **evidence,
            )
        elif hit.size == last - first + 1:
            yield _clue(
                "range",
                name,
                f"every wrong element is in {_several(called)} {first} to {last}, of {size}{share}",
                **evidence,
            )
        elif (step := _step(hit)) is not None:
            yield _clue(
                "periodic",
                name,
                f"every wrong element is in {_several(called)} {first}, {first + step}, ...: "
                f"every {step}th{share}",
                step=step,
                **evidence,
            )


def _flat(name: str, mask: Array) -> Iterator[Clue]:
    """The tail of the elements in memory order."""
    flat = np.flatnonzero(mask.reshape(-1))
    first, size = int(flat[0]), mask.size
    if mask.ndim > 1 and first > 0 and flat.size >= 2 and flat.size == size - first:
        block = block_of(first)
        of = f", a multiple of {block}" if block >= 4 else ""
        yield _clue(
            "flat tail",
            name,
            f"the wrong elements are the last {size - first} of {size} in memory order, from {first}{of}",
            first=first,
            size=size,
            block=block,
        )


def _corners(name: str, mask: Array) -> Iterator[Clue]:
    """The diagonal or a triangle of the last two axes."""
    if mask.ndim < 2 or min(mask.shape[-2:]) < 3:
        return
    rows, columns = mask.shape[-2:]
    hit = mask.reshape(-1, rows, columns).any(axis=0)
    row, column = np.nonzero(hit)
    offset = column - row
    if np.all(offset == offset[0]):
        if row.size > 1:
            where = (
                "the diagonal"
                if offset[0] == 0
                else f"the diagonal {abs(int(offset[0]))} {'above' if offset[0] > 0 else 'below'}"
            )
            yield _clue("diagonal", name, f"every wrong element is on {where}", offset=int(offset[0]))
    elif offset.min() >= 0:
        yield _clue(
            "upper triangle",
            name,
            "every wrong element is on or above the diagonal",
            offset=int(offset.min()),
        )
    elif offset.max() <= 0:
        yield _clue(
            "lower triangle",
            name,
            "every wrong element is on or below the diagonal",
            offset=int(offset.max()),
        )


def _periodic(name: str, mask: Array) -> Iterator[Clue]:
    """An axis whose wrong indices repeat with a period."""
    for axis in reversed(range(mask.ndim)):
        size = mask.shape[axis]
        hit = hit_along(mask, axis)
        if hit.all() or size < 4:
            continue
        for period in range(2, min(_LARGEST_PERIOD, size // _LEAST_REPEATS) + 1):
            if np.array_equal(hit[period:], hit[:-period]):
                called = axis_name(axis, mask.ndim)
                yield _clue(
                    "periodic",
                    name,
                    f"the wrong elements repeat every {period} {called}s",
                    axis=axis,
                    step=period,
                    size=size,
                )
                return


def _by_value(name: str, mask: Array, output: Float64Array, reference: Float64Array) -> Iterator[Clue]:
    """Only where the reference, or only where the output, is not finite."""
    wrong, given = reference[mask], output[mask]
    count = wrong.size
    if np.isnan(wrong).all():
        yield _clue("reference nan", name, f"every wrong element should be NaN ({count})", count=count)
    elif not np.isfinite(wrong).any():
        yield _clue(
            "reference not finite",
            name,
            f"every wrong element should be NaN or infinite ({count})",
            count=count,
        )
    elif np.isnan(given).all() and np.isfinite(reference).any():
        yield _clue("output nan", name, f"every wrong element is NaN ({count})", count=count)
    elif not np.isfinite(given).any():
        yield _clue(
            "output not finite", name, f"every wrong element is NaN or infinite ({count})", count=count
        )


def _step(hit: Array) -> int | None:
    steps = np.diff(hit)
    return int(steps[0]) if hit.size >= _LEAST_REPEATS and np.all(steps == steps[0]) else None


def _clue(kind: str, output: str, text: str, **evidence: object) -> Clue:
    return Clue(kind=kind, output=output, text=text, evidence=evidence)
