"""Changes of the numbers in the steps of arithmetic: a factor that is missing, eps misplaced, a wrong count.

Here: numbers that the reference has. Elsewhere: arrays (arithmetic.py), a number that has to be fitted
(fitting.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from pytest_gpuemu.engine.diagnose.program import Step
from pytest_gpuemu.engine.diagnose.steps import BLOCKS, Changes, rank, reduced_length, scalar_place

# Lengths that a count may be limited to by mistake, such as a block that is not looped over.
_LIMITS = (128, 256, 512, 1024, 2048, 4096)
_MOST_DIMS = 6


def counts(step: Step, dims: Mapping[str, int]) -> Changes:
    """A division by the size of a dim in place of another number."""
    if step.name not in ("true_divide", "divide") or len(step.args) != 2:
        return
    divisor = step.args[1]
    for name, size in dims.items():
        if rank(divisor) == 0 and float(divisor) == size:
            continue
        text = f"it is divided by {name} = {size}" + (
            f" in place of {float(divisor):g}" if rank(divisor) == 0 else " in place of a sum"
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
        return s.with_argument(place, value)

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
    if source is not None and (length := reduced_length(source)) is not None:
        sizes.add(length)
    return number > 1 and (number in sizes or number + 1 in sizes)


def _divided_by(divisor: float, step: Step) -> Any:
    return step.with_argument(1, divisor)
