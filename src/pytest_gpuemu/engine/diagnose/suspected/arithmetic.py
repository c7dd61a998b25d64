"""Changes of the arrays in the steps of arithmetic: a term forgotten, a mask not applied, no function.

Here: operands, choices and functions. Elsewhere: numbers (numbers.py), sums and maxima (reductions.py).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.program import Step
from pytest_gpuemu.engine.diagnose.steps import Changes, operand_name, rank
from pytest_gpuemu.engine.op import Array

# Finite numbers that are written for -infinity.
_SENTINELS = (-1e4, -65504.0, -1e9, -1e30, -3.4028234663852886e38)


def terms(step: Step, case: Case) -> Changes:
    """An operand of an arithmetic step that is left out, or two that are exchanged."""
    if len(step.args) != 2 or any(rank(value) == 0 for value in step.args):
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
    text = "a vector is taken by row in place of by column"
    yield "axis", text, partial(_with_argument, at, rows), False


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
        if rank(step.args[at]) == 0 and np.isneginf(step.args[at]):
            for sentinel in _SENTINELS:
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
    if len(step.args) == 1 and "." not in step.name and rank(step.args[0]):
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
    if step.name == "power" and rank(step.args[1]) == 0:
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


def _with_argument(at: int, value: Any, step: Step) -> Any:
    return step.with_argument(at, value)


def _masked_by(mask: Array, step: Step) -> Any:
    return np.where(mask, *step.args[1:])


def _limited(bound: float, step: Step) -> Any:
    return step.again(np.clip(step.args[0], -bound, bound))


def _of_power(change: int, step: Step) -> Any:
    return step.again(step.args[0], step.args[1] + change)
