"""Which of the failures that are alike is told in full: the one that is the easiest to read.

Here: the order of a campaign's failing seeds. Elsewhere: which failures are alike (grouping.py), their items
(runner.py).

The first to fail may be an obscure one: subnormals, where half an ulp says little, infinities, or 65 537
rows. Where another fails alike on a few ordinary numbers, that one is diagnosed and shrunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.pytest_items.running import Outcome

# From the plainest to the oddest; a distribution that is named nowhere is a plain one.
_ODDNESS = {
    "near_equal": 1, "one_signed": 1, "sparse": 1, "zeros": 1,
    "root": 2, "large": 2, "wide": 2, "tiny": 2,
    "nonfinite": 3, "nonfinite_rows": 3,
}  # fmt: skip
# So many elements fit a map, and are looked into at once.
_FEW_ELEMENTS = 2**12


def clearest_first(failures: Sequence[Outcome]) -> list[Outcome]:
    """The same failures in their order, but the clearest of each kind comes where the first of it was."""
    clearest: dict[str, Outcome] = {}
    for outcome in failures:
        best = clearest.get(outcome.alike)
        if best is None or oddness(outcome.plan) < oddness(best.plan):
            clearest[outcome.alike] = outcome
    ordered, begun = [], set()
    for outcome in failures:
        if outcome.alike not in begun:
            begun.add(outcome.alike)
            ordered.append(clearest[outcome.alike])
        if outcome is not clearest[outcome.alike]:
            ordered.append(outcome)
    return ordered


def oddness(plan: Plan) -> tuple[int, int]:
    """Smaller is clearer: the oddest values of an input, then how much larger than a few elements it is."""
    odd = max((_ODDNESS.get(values, 0) for values in plan.values.values()), default=0)
    elements = sum(prod(shape) for shape in plan.shapes.values())
    return odd, max(elements, _FEW_ELEMENTS).bit_length()
