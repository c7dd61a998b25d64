"""Changes of the steps that sum or compare along an axis: an accumulator overwritten, a block left out.

Here: sums, matrix products, running sums, maxima and where they are. Elsewhere: the other steps
(arithmetic.py), lanes beyond the end of an axis (padding.py).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.diagnose.program import Step
from pytest_gpuemu.engine.diagnose.steps import (
    BLOCKS,
    REDUCTIONS,
    Changes,
    described,
    rank,
    reduced_axis,
    reduced_length,
    restricted,
)
from pytest_gpuemu.engine.op import Array

# A loop over whole blocks that has none: the blocks are hardly larger than this.
_LARGE_BLOCK = 64
# So many blocks may be the last whose carry counts.
_COUNTS = (1, 2, 4, 8, 16, 32)
_SENTINELS = (-1e4, -1e9, -1e30)


def blocks(step: Step) -> Changes:
    """A loop over blocks that keeps the last one only, stops early, or does not start anew."""
    if step.name == "add.accumulate":
        yield from _running(step)
        return
    if step.name in ("matmul", "einsum") and rank(step.result) >= 3:
        yield (
            "accumulator",
            f"the accumulator of {described(step)} is not reset between batches",
            lambda s: np.cumsum(s.compute(), axis=0),
            False,
        )
    n = reduced_length(step)
    if n is None:
        return
    name = described(step)
    seen: set[tuple[int, int]] = set()
    for block in reversed(BLOCKS):  # of blocks that leave out the same, the largest names itself
        if block >= n:
            continue
        last, whole = (n - 1) // block * block, n // block * block
        for kind, text, low, high in (
            ("accumulator", f"{name} holds its last block of {block} alone (= for +=)", last, n),
            ("loop bound", f"the last partial block of {block} is missing in {name}", 0, whole),
            ("loop bound", f"{name} ends after its first block of {block}", 0, block),
            ("loop bound", f"the last block of {block} is missing in {name}", 0, last),
        ):
            if 0 <= low < high and (low, high) not in seen and (low, high) != (0, n):
                seen.add((low, high))
                yield kind, text, partial(restricted, chosen=slice(low, high)), False
    if step.name != "maximum.reduce" and step.name != "minimum.reduce" and n < _LARGE_BLOCK:
        yield (
            "loop bound",
            f"{name} holds nothing: its {n} elements are less than a block",
            lambda s: np.zeros_like(s.compute()),
            False,
        )
    if n > 1:
        for text, low, high in (("last", 0, n - 1), ("first", 1, n)):
            if (low, high) not in seen:
                yield (
                    "loop bound",
                    f"the {text} element is missing in {name}",
                    partial(restricted, chosen=slice(low, high)),
                    False,
                )
        for splits in (2, 3, 4, 8, 16):
            each = -(-n // splits)
            low, high = min((splits - 1) * each, n), n // splits * splits
            if low < n and (low, n) not in seen:
                yield (
                    "accumulator",
                    f"{name} holds the last of {splits} splits alone",
                    partial(restricted, chosen=slice(low, n)),
                    False,
                )
            if 0 < high < n and (0, high) not in seen:
                yield (
                    "loop bound",
                    f"the size of each of {splits} splits is rounded down in {name}",
                    partial(restricted, chosen=slice(0, high)),
                    False,
                )
        for parity, text in ((0, "even"), (1, "odd")):
            yield (
                "loop bound",
                f"only every second element ({text}) counts in {name}",
                partial(restricted, chosen=slice(parity, None, 2)),
                False,
            )


def _running(step: Step) -> Changes:
    x = step.args[0]
    axis = int(step.kwargs.get("axis", 0) or 0) % max(x.ndim, 1)
    n = x.shape[axis] if x.ndim else 0
    yield "formula", "the running sum leaves out its own element", lambda s: s.compute() - s.args[0], False
    for block in BLOCKS:
        if block >= n:
            break

        def restarted(s: Step, block: int = block, carry: bool = False) -> Array:
            parts = np.split(np.asarray(s.args[0]), np.arange(block, n, block), axis=axis)
            made = [np.cumsum(part, axis=axis) for part in parts]
            if carry:
                before = [np.take(part, [-1], axis=axis) for part in made[:-1]]
                made = [made[0], *(part + b for part, b in zip(made[1:], before, strict=True))]
            return np.concatenate(made, axis=axis)

        text = f"the running sum begins anew in each block of {block}"
        yield "carry", text, restarted, False
        text = f"the running sum carries over the block before alone (blocks of {block})"
        yield "carry", text, partial(restarted, carry=True), False
        for count in _COUNTS:
            if count * block < n - block:
                text = f"the carry of the running sum stays that of the first {count} blocks of {block}"
                yield "carry", text, partial(_carry_kept, block=block, count=count, axis=axis), False


def _carry_kept(step: Step, block: int, count: int, axis: int) -> Array:
    """The running sum whose carry no longer grows after so many blocks."""
    x = np.moveaxis(np.asarray(step.args[0]), axis, -1)
    n, kept = x.shape[-1], count * block
    found = np.cumsum(x, axis=-1)
    carry = found[..., kept - 1 : kept]
    for start in range(kept, n, block):
        found[..., start : start + block] = carry + np.cumsum(x[..., start : start + block], axis=-1)
    return np.moveaxis(found, -1, axis)


def rescaled(step: Step) -> Changes:
    """Online softmax whose older blocks are not rescaled when the maximum grows."""
    if step.name not in ("add.reduce", "matmul") or not step.args:
        return
    found = _shifted_exponential(step.sources[0])
    axis = reduced_axis(step)
    if found is None or axis is None:
        return
    scores, largest = found
    x = step.args[0]
    if scores.shape != x.shape or axis != x.ndim - 1:
        return
    n = x.shape[-1]
    what = "the sum of exponentials" if step.name == "add.reduce" else "the accumulator"
    for block in BLOCKS:
        if block >= n:
            break

        def unscaled(s: Step, block: int = block) -> Any:
            running = np.maximum.accumulate(
                np.maximum.reduceat(scores, np.arange(0, n, block), axis=-1), axis=-1
            )
            repeated = np.repeat(running, block, axis=-1)[..., :n]
            return s.again(
                s.args[0] * np.exp(np.broadcast_to(largest, repeated.shape) - repeated), *s.args[1:]
            )

        text = f"{what} is not rescaled when the running maximum grows (blocks of {block})"
        yield "rescale", text, unscaled, False


def _shifted_exponential(step: Step | None) -> tuple[Array, Array] | None:
    """The scores and their maximum, where the step is exp(scores - maximum), or that over its sum."""
    for _ in range(3):
        if step is None:
            return None
        if step.name == "exp":
            shifted = step.sources[0]
            if shifted is None or shifted.name != "subtract":
                return None
            scores, largest = shifted.args
            if np.shape(largest) and rank(scores) == rank(largest) and largest.shape[-1] == 1:
                return np.asarray(scores), np.asarray(largest)
            return None
        if step.name not in ("true_divide", "divide", "multiply"):
            return None
        step = step.sources[0]
    return None


def maxima(step: Step) -> Changes:
    if step.name in ("argmax", "argmin"):
        yield from _places(step)
    if step.name not in ("maximum.reduce", "minimum.reduce"):
        return
    name = described(step)
    is_max = step.name.startswith("max")
    bound = np.maximum if is_max else np.minimum
    sign = 1.0 if is_max else -1.0
    yield "init", f"{name} starts at 0", lambda s: bound(s.compute(), 0.0), True
    yield "missing maximum", f"{name} is not used (taken as 0)", lambda s: np.zeros_like(s.compute()), True
    for value in _SENTINELS:
        text = f"{name} starts at {sign * value:g} in place of {'-' if is_max else ''}infinity"
        yield "init", text, partial(_bounded, bound, sign * value), True
    ignoring = np.fmax if is_max else np.fmin

    def without_nan(s: Step) -> Any:
        return ignoring.reduce(*s.args, **{k: v for k, v in s.kwargs.items() if k != "initial"})

    yield "nan", f"{name} loses NaN (a comparison with NaN is false)", without_nan, False
    other = np.minimum if is_max else np.maximum
    text = f"{name} is taken as the {'minimum' if is_max else 'maximum'}"
    yield "formula", text, lambda s: other.reduce(*s.args, **s.kwargs), True


def _places(step: Step) -> Changes:
    """The place of the largest element: the smallest taken, a finite start, NaN lost."""
    is_max = step.name == "argmax"
    other = np.argmin if is_max else np.argmax
    name = "the place of the " + ("maximum" if is_max else "minimum")
    text = f"{name} is that of the {'minimum' if is_max else 'maximum'}"
    yield "formula", text, lambda s: other(*s.args, **s.kwargs), False
    sign = 1.0 if is_max else -1.0
    for value in (0.0, *_SENTINELS):
        bound = np.maximum if is_max else np.minimum
        text = f"{name} starts at the value {sign * value:g}"
        yield "init", text, partial(_of_bounded, bound, sign * value), False
    lowest = -np.inf if is_max else np.inf

    def without_nan(s: Step) -> Any:
        x = np.asarray(s.args[0])
        return s.again(np.where(np.isnan(x), lowest, x), *s.args[1:])

    yield "nan", f"{name} passes over NaN (a comparison with NaN is false)", without_nan, False


def axes(step: Step) -> Changes:
    """A reduction over another axis, or over all of them."""
    if step.name not in REDUCTIONS:
        return
    axis, x = reduced_axis(step), step.args[0]
    if axis is None or x.ndim < 2:
        return
    shape = np.shape(step.result)
    reduce = step.function

    def over(s: Step, axes: Any) -> Any:
        found = reduce(s.args[0], axis=axes, keepdims=True)
        if s.kwargs.get("keepdims"):
            return np.broadcast_to(found, shape)
        return np.broadcast_to(found.reshape(-1) if found.size == shape[-1] else found.squeeze(), shape)

    for other in range(x.ndim):
        if other != axis:
            text = f"{described(step)} runs over axis {other}"
            if x.shape[other] == x.shape[axis] or step.kwargs.get("keepdims"):
                yield "axis", text, partial(over, axes=other), True
    for other in range(x.ndim):
        if other != axis:
            text = f"{described(step)} runs over axis {other} too"
            yield "axis", text, partial(over, axes=(axis, other)), True


def lost_updates(step: Step) -> Changes:
    """Several updates of one element, of which the last wins."""
    if step.name != "add.at":
        return

    def last_wins(s: Step) -> None:
        target, index, values = s.args
        target[index] += values

    yield "lost update", "of several additions to one element only the last one stays", last_wins, False


def _bounded(bound: np.ufunc, value: float, step: Step) -> Any:
    return bound(step.compute(), value)


def _of_bounded(bound: np.ufunc, value: float, step: Step) -> Any:
    return step.again(bound(step.args[0], value), *step.args[1:])
