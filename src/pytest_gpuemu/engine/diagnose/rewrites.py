"""Suspicions that are one changed step of the reference: an accumulator overwritten, a term forgotten.

Here: which changes each kind of step allows, and what they stand for. Elsewhere: the steps and how they are
run (program.py), a constant that has to be fitted (fitting.py), lanes beyond the end of an axis (padding.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.hypothesis import Hypothesis
from pytest_gpuemu.engine.diagnose.program import Step, at_step, run_with
from pytest_gpuemu.engine.op import Array

BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)
_REDUCTIONS = ("add.reduce", "maximum.reduce", "minimum.reduce")
# A loop over whole blocks that has none: the blocks are hardly larger than this.
_LARGE_BLOCK = 64
_SENTINELS = (-1e4, -1e9, -1e30)

Change = Callable[[Step], Any]


def step_hypotheses(case: Case, steps: list[Step]) -> Iterator[Hypothesis]:
    """One changed step each, the likeliest kinds of change first."""
    counts = partial(_counts, dims=case.plan.dims)
    makers = (_blocks, _rescaled, _lost_updates, _maxima, counts, _axes, _scalars, _terms, _masks, _functions)
    for make in makers:
        for step in steps:
            for kind, text, change, clamps in make(step):
                run = partial(run_with, case, at_step(step.number, change), clamps=clamps)
                yield Hypothesis(kind=kind, text=text, outputs=run)


Made = Iterator[tuple[str, str, Change, bool]]


def reduced_axis(step: Step) -> int | None:
    """The axis of a reduction's operand, or that of a matrix product's first one, along which it sums."""
    if step.name == "matmul" and _ndim(step.args[0]) and _ndim(step.args[1]):
        return _ndim(step.args[0]) - 1
    if step.name not in _REDUCTIONS:
        return None
    axis = step.kwargs.get("axis", 0)
    ndim = _ndim(step.args[0])
    if axis is None:
        return 0 if ndim == 1 else None
    if isinstance(axis, tuple):
        if len(axis) != 1:
            return None
        axis = axis[0]
    return int(axis) % ndim if ndim else None


def restricted(step: Step, chosen: slice | Array) -> Any:
    """The step with only these places of the axis that it sums or compares along."""
    axis = reduced_axis(step)
    assert axis is not None
    index = (slice(None),) * axis + (chosen,)
    if step.name == "matmul":
        second = step.args[1]
        places = (slice(None),) * (second.ndim - 2 if second.ndim > 1 else 0) + (chosen,)
        return step.again(step.args[0][index], second[places])
    return step.again(step.args[0][index], *step.args[1:])


def described(step: Step) -> str:
    """The step as a reader of the reference knows it."""
    what = {
        "add.reduce": "the sum",
        "maximum.reduce": "the maximum",
        "minimum.reduce": "the minimum",
        "matmul": "the matrix product",
        "add.accumulate": "the running sum",
    }.get(step.name, step.name)
    axis = reduced_axis(step)
    if axis is None or step.name == "matmul":
        return what
    return f"{what} over axis {axis} of {list(step.args[0].shape)}"


def _blocks(step: Step) -> Made:
    """A loop over blocks that keeps the last one only, stops early, or does not start anew."""
    if step.name == "add.accumulate":
        yield from _running(step)
        return
    axis = reduced_axis(step)
    if axis is None:
        return
    n = step.args[0].shape[axis]
    name = described(step)
    seen: set[tuple[int, int]] = set()
    for block in BLOCKS:
        if block >= n:
            break
        last, whole = (n - 1) // block * block, n // block * block
        for kind, text, low, high in (
            ("accumulator", f"{name} holds its last block of {block} alone (= for +=)", last, n),
            ("loop bound", f"the last partial block of {block} is missing in {name}", 0, whole),
            ("accumulator", f"{name} holds its first block of {block} alone", 0, block),
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
    if step.name == "matmul" and _ndim(step.result) >= 3:
        yield (
            "accumulator",
            f"the accumulator of {name} is not reset between batches",
            lambda s: np.cumsum(s.compute(), axis=0),
            False,
        )


def _running(step: Step) -> Made:
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


def _rescaled(step: Step) -> Made:
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
            if np.shape(largest) and np.ndim(scores) == np.ndim(largest) and largest.shape[-1] == 1:
                return np.asarray(scores), np.asarray(largest)
            return None
        if step.name not in ("true_divide", "divide", "multiply"):
            return None
        step = step.sources[0]
    return None


def _maxima(step: Step) -> Made:
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


def _places(step: Step) -> Made:
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


def _axes(step: Step) -> Made:
    """A reduction over another axis, or over all of them."""
    if step.name not in _REDUCTIONS:
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


def _lost_updates(step: Step) -> Made:
    """Several updates of one element, of which the last wins."""
    if step.name != "add.at":
        return

    def last_wins(s: Step) -> None:
        target, index, values = s.args
        target[index] += values

    yield "lost update", "of several additions to one element only the last one stays", last_wins, False


def _counts(step: Step, dims: Mapping[str, int]) -> Made:
    """A division by the size of a dim in place of another number."""
    if step.name not in ("true_divide", "divide") or len(step.args) != 2:
        return
    divisor = step.args[1]
    for name, size in dims.items():
        if np.ndim(divisor) == 0 and float(divisor) == size:
            continue
        text = f"it is divided by {name} = {size}" + (
            f" in place of {float(divisor):g}" if np.ndim(divisor) == 0 else " in place of a sum"
        )
        yield "count", text, partial(_divided_by, float(size)), False


def _scalars(step: Step) -> Made:
    """A number that is left out, squared, negated or off by one."""
    place = scalar_place(step)
    if place is None:
        return
    number = float(step.args[place])
    other = 1 - place

    def with_number(s: Step, value: float) -> Any:
        args = list(s.args)
        args[place] = value
        return s.again(*args)

    name = f"{number:.6g}"
    if step.name in ("multiply", "true_divide", "divide"):
        divides = step.name != "multiply" and place == 1
        what = f"the division by {name}" if divides else f"the factor {name}"
        if number not in (0.0, 1.0):
            yield "factor", f"{what} is missing", partial(with_number, value=1.0), False
            yield (
                "factor",
                f"{name} is squared, or its root is forgotten",
                partial(with_number, value=number * number),
                False,
            )
            if number > 0:
                yield "factor", f"the root of {name} is taken", partial(with_number, value=number**0.5), False
        if divides and number == int(number) and number >= 1:
            n = int(number)
            near = {"one less": n - 1, "one more": n + 1}
            near |= {f"a multiple of {block}": -(-n // block) * block for block in BLOCKS}
            for text, value in near.items():
                if value not in (0, n):
                    yield (
                        "count",
                        f"{n} is the count to divide by, and {value} is used ({text})",
                        partial(with_number, value=float(value)),
                        False,
                    )
    if step.name in ("add", "subtract"):
        kind = "eps" if abs(number) < 0.01 else "term"
        yield (
            kind,
            f"{'eps ' if kind == 'eps' else 'the term '}{name} is missing",
            (lambda s: np.asarray(s.args[other], dtype=np.float64)),
            False,
        )
        if kind == "eps" and step.name == "add":
            yield (
                "eps",
                f"eps {name} is added outside of the root",
                (lambda s: np.square(np.sqrt(np.asarray(s.args[other])) + number)),
                False,
            )
            for factor in (10.0, 0.1, 100.0, 0.01, 1000.0):
                yield (
                    "eps",
                    f"eps is {number * factor:g} in place of {name}",
                    partial(with_number, value=number * factor),
                    False,
                )
            yield (
                "eps",
                f"eps {name} is a lower bound in place of a term",
                (lambda s: np.maximum(np.asarray(s.args[other]), number)),
                False,
            )
    if step.name in ("maximum", "minimum"):
        yield (
            "eps" if abs(number) < 0.01 else "term",
            f"the bound {name} is missing",
            (lambda s: np.asarray(s.args[other], dtype=np.float64)),
            True,
        )
        if number > 0:
            yield (
                "eps",
                f"{name} is added in place of a bound",
                (lambda s: np.asarray(s.args[other]) + number),
                False,
            )
            yield (
                "eps",
                f"the bound {name} is used as its square",
                partial(with_number, value=number * number),
                False,
            )
            yield (
                "eps",
                f"the bound {name} is used as its root",
                partial(with_number, value=number**0.5),
                False,
            )


def scalar_place(step: Step) -> int | None:
    """Which operand of an arithmetic step is a number, and not 0; None where neither or both are."""
    if len(step.args) != 2 or "." in step.name:
        return None
    places = [at for at, value in enumerate(step.args) if np.ndim(value) == 0]
    if len(places) != 1:
        return None
    value = step.args[places[0]]
    if isinstance(value, (bool, np.bool_)) or not isinstance(
        value, (int, float, np.integer, np.floating, np.ndarray)
    ):
        return None
    return places[0] if np.isfinite(value) and value != 0 else None


def _terms(step: Step) -> Made:
    """An operand of an arithmetic step that is left out, or two that are exchanged."""
    if len(step.args) != 2 or any(np.ndim(value) == 0 for value in step.args):
        return
    shape = np.shape(step.result)

    def only(s: Step, at: int) -> Any:
        return np.broadcast_to(np.asarray(s.args[at], dtype=np.float64), shape).copy()

    what = {
        "add": "term of a sum",
        "subtract": "term of a difference",
        "multiply": "factor of a product",
        "true_divide": "divisor",
        "divide": "divisor",
    }.get(step.name)
    if what is None:
        return
    yield "term", f"the second {what} is missing", partial(only, at=0), False
    if step.name in ("add", "multiply"):
        yield "term", f"the first {what} is missing", partial(only, at=1), False
    else:
        yield (
            "sign",
            "the operands of a difference or quotient are exchanged",
            (lambda s: s.again(s.args[1], s.args[0])),
            False,
        )
    for at in (0, 1):
        yield from _other_broadcast(step, at)
    if step.name == "add":
        yield "sign", "a sum is taken as a difference", lambda s: np.subtract(*s.args), False
    if step.name == "subtract":
        yield "sign", "a difference is taken as a sum", lambda s: np.add(*s.args), False
    if step.name == "multiply":
        yield "formula", "a factor is squared", lambda s: s.compute() * s.args[0], False


def _other_broadcast(step: Step, at: int) -> Made:
    """A vector that is added to each row is taken by row in place of by column."""
    vector, matrix = np.asarray(step.args[at]), np.asarray(step.args[1 - at])
    if vector.ndim != 1 or matrix.ndim < 2 or vector.size < 2 or matrix.shape[-1] != vector.size:
        return
    rows = vector[np.minimum(np.arange(matrix.shape[-2]), vector.size - 1)][:, None]

    def by_row(s: Step) -> Any:
        args = list(s.args)
        args[at] = rows
        return s.again(*args)

    yield "axis", "a vector is taken by row in place of by column", by_row, False


def _masks(step: Step) -> Made:
    """A choice that is made always, never, or one place off."""
    if step.name != "where" or len(step.args) != 3:
        return
    condition = step.args[0]
    shape = np.shape(step.result)
    yield "mask", "a mask is not applied", lambda s: np.broadcast_to(s.args[1], shape) * 1.0, False
    yield (
        "mask",
        "the other side of a mask is used throughout",
        lambda s: np.broadcast_to(s.args[2], shape) * 1.0,
        False,
    )
    yield "mask", "a mask is inverted", lambda s: np.where(~np.asarray(s.args[0], bool), *s.args[1:]), False
    mask = np.asarray(condition)
    if mask.dtype == bool and mask.ndim >= 2:
        rows, columns = mask.shape[-2:]
        shifted = {k: np.tril(np.ones((rows, columns), bool), k) for k in (-1, 0, 1, columns - rows)}
        if any(np.array_equal(mask, np.broadcast_to(m, mask.shape)) for m in shifted.values()):
            for k, m in shifted.items():
                if not np.array_equal(mask, np.broadcast_to(m, mask.shape)):
                    text = (
                        "the causal mask is aligned at the other end"
                        if abs(k) > 1
                        else ("the causal mask is one place off")
                    )
                    yield "causal", text, partial(_masked_by, m), False


def _functions(step: Step) -> Made:
    """A function that is left out, or whose argument has the wrong sign or is limited; another power."""
    if len(step.args) == 1 and "." not in step.name and np.ndim(step.args[0]):
        if step.name == "negative":
            yield "sign", "a minus sign is missing", lambda s: np.asarray(s.args[0]), False
        elif step.name in ("sqrt", "exp", "log", "square", "absolute", "tanh", "log1p", "expm1"):
            yield (
                "formula",
                f"{step.name} is missing",
                lambda s: np.asarray(s.args[0], dtype=np.float64),
                True,
            )
        if step.name in ("exp", "tanh", "sin", "erf"):
            yield (
                "sign",
                f"the argument of {step.name} has the wrong sign",
                (lambda s: s.again(-np.asarray(s.args[0]))),
                False,
            )
        if step.name == "exp":
            for bound in (20.0, 50.0, 80.0, 88.0):
                yield (
                    "clamp",
                    f"the argument of exp is limited to {bound:g}",
                    partial(_limited, bound),
                    False,
                )
    if step.name == "power" and np.ndim(step.args[1]) == 0:
        for change in (-1, 1):
            yield (
                "formula",
                f"the power {step.args[1]} is {step.args[1] + change}",
                partial(_of_power, change),
                False,
            )


def _bounded(bound: np.ufunc, value: float, step: Step) -> Any:
    return bound(step.compute(), value)


def _of_bounded(bound: np.ufunc, value: float, step: Step) -> Any:
    return step.again(bound(step.args[0], value), *step.args[1:])


def _divided_by(divisor: float, step: Step) -> Any:
    return step.again(step.args[0], divisor)


def _masked_by(mask: Array, step: Step) -> Any:
    return np.where(mask, *step.args[1:])


def _limited(bound: float, step: Step) -> Any:
    return step.again(np.clip(step.args[0], -bound, bound))


def _of_power(change: int, step: Step) -> Any:
    return step.again(step.args[0], step.args[1] + change)


def _ndim(value: Any) -> int:
    return int(np.ndim(value))
