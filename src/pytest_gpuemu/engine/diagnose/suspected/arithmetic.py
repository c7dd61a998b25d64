"""Changes of the steps of arithmetic: a factor missing, a term forgotten, a mask not applied.

Here: numbers, operands, choices and functions. Elsewhere: sums and maxima (reductions.py), a number
that has to be fitted (fitting.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.program import Step
from pytest_gpuemu.engine.diagnose.steps import BLOCKS, Changes, operand_name, reduced_axis, scalar_place
from pytest_gpuemu.engine.op import Array

# Lengths that a count may be limited to by mistake, such as a block that is not looped over.
_LIMITS = (128, 256, 512, 1024, 2048, 4096)
_MOST_DIMS = 6
# Finite numbers that are written for -infinity.
SENTINELS = (-1e4, -65504.0, -1e9, -1e30, -3.4028234663852886e38)


def counts(step: Step, dims: Mapping[str, int]) -> Changes:
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


def scalars(step: Step, dims: Mapping[str, int]) -> Changes:
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
            is_a_count = is_count(n, step, dims)
            near = {"one less": n - 1, "one more": n + 1}
            if is_a_count:
                near |= {f"a multiple of {block}": -(-n // block) * block for block in BLOCKS}
                near |= {f"at most {most}": most for most in _LIMITS if most < n}
            what = "the count to divide by" if is_a_count else "the number to divide by"
            for text, value in near.items():
                if value not in (0, n) and (is_a_count or value != 1):
                    yield (
                        "count" if is_a_count else "constant",
                        f"{n} is {what}, and {value} is used ({text})",
                        partial(with_number, value=float(value)),
                        False,
                    )
    if step.name in ("add", "subtract"):
        kind = "eps" if abs(number) < 0.01 else "term"
        yield (
            kind,
            f"{'eps ' if kind == 'eps' else 'the term '}{name} is missing",
            (lambda s: np.asarray(s.args[other], dtype=np.float64)),
            kind == "eps",  # what is left may be 0 in float32
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


def is_count(number: float, step: Step, dims: Mapping[str, int]) -> bool:
    """Whether a divisor counts elements: a dim, a product of some, one less, or the length of a sum."""
    sizes = {1}
    for size in list(dims.values())[:_MOST_DIMS]:
        sizes |= {size * other for other in sizes}
    source = step.sources[0] if step.sources else None
    axis = None if source is None else reduced_axis(source)
    if source is not None and axis is not None:
        sizes.add(source.args[0].shape[axis])
    return number > 1 and (number in sizes or number + 1 in sizes)


def terms(step: Step, case: Case) -> Changes:
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
    first, second = operand_name(case, step, 0), operand_name(case, step, 1)
    lost = f"{second}, a {what}," if second else f"the second {what}"
    yield "term", f"{lost} is missing", partial(only, at=0), False
    if step.name in ("add", "multiply"):
        lost = f"{first}, a {what}," if first else f"the first {what}"
        yield "term", f"{lost} is missing", partial(only, at=1), False
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
        for at, which in ((1, first or "the first factor"), (0, second or "the second factor")):
            text = f"1 is added to {which} in a product"
            yield "formula", text, partial(_plus_operand, at), False


def _other_broadcast(step: Step, at: int) -> Changes:
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


def masks(step: Step) -> Changes:
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
    for at in (1, 2):
        if np.ndim(step.args[at]) == 0 and np.isneginf(step.args[at]):
            for sentinel in SENTINELS:
                text = f"a mask writes {sentinel:g} in place of -infinity"
                yield "init", text, partial(_with_argument, at, sentinel), True
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


def functions(step: Step) -> Changes:
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
        if step.name in _UNSTABLE:
            yield "unstable", _UNSTABLE[step.name][0], _UNSTABLE[step.name][1], True
        if step.name in ("exp", "tanh", "sin", "erf"):
            yield (
                "sign",
                f"the argument of {step.name} has the wrong sign",
                (lambda s: s.again(-np.asarray(s.args[0]))),
                False,
            )
        if step.name in ("exp", "expit"):
            for bound in (20.0, 50.0, 80.0, 88.0):
                yield (
                    "clamp",
                    f"the argument of {step.name} is limited to {bound:g}",
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


def _plus_operand(at: int, step: Step) -> Any:
    return step.compute() + step.args[at]


def _log_of_sum(step: Step) -> Any:
    return np.log((1.0 + np.asarray(step.args[0])).astype(np.float32).astype(np.float64))


def _exp_less_one(step: Step) -> Any:
    return np.exp(np.asarray(step.args[0], dtype=np.float64)).astype(np.float32) - 1.0


# Functions that keep the digits of small values, as they are where these are lost in float32.
_UNSTABLE = {
    "log1p": ("log(1 + x) is computed in place of log1p(x), which loses small x", _log_of_sum),
    "expm1": ("exp(x) - 1 is computed in place of expm1(x), which loses small x", _exp_less_one),
}


def _divided_by(divisor: float, step: Step) -> Any:
    return step.again(step.args[0], divisor)


def _with_argument(at: int, value: Any, step: Step) -> Any:
    args = list(step.args)
    args[at] = value
    return step.again(*args)


def _masked_by(mask: Array, step: Step) -> Any:
    return np.where(mask, *step.args[1:])


def _limited(bound: float, step: Step) -> Any:
    return step.again(np.clip(step.args[0], -bound, bound))


def _of_power(change: int, step: Step) -> Any:
    return step.again(step.args[0], step.args[1] + change)
