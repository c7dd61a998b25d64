"""A mutant as the minimizer sees it: a seed at which it fails, and how it fails on other cases.

Here: running mutants through the engine, and mutants with two bugs. Elsewhere: the corpus
(benchmarks/detection), minimizing (measure.py), the best that there is (best.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

from benchmarks.detection.campaign import op_of
from benchmarks.detection.corpus import Mutant, kernel_with

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.minimize import Signature, signature_of, signature_of_error
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import parse_case_id
from pytest_gpuemu.engine.references import call_by_name, optional_params

SMALL_BYTES = 2**19
CASES = 100
Kernel = Callable[..., Any]


def small_op(mutant: Mutant) -> Op:
    """The mutant's op with cases of at most half a megabyte, which keeps the benchmark short."""
    return op_of(mutant, max_bytes=SMALL_BYTES)


def failure_of(op: Op, kernel: Kernel, case_id: str) -> Signature | None:
    """How the kernel fails on the case; None where it passes, or cannot run."""
    try:
        case = make_case(op, *parse_case_id(case_id))
    except CannotRunHere:
        return None
    try:
        output = call_by_name(kernel, case.inputs, case.params, optional=optional_params(op))
    except Exception as error:  # noqa: BLE001 - a wrong kernel may raise anything
        return signature_of_error(type(error).__name__)
    verdict = judge(case, output, hints=False)
    return signature_of(verdict, case) if verdict.failed else None


def failing_seeds(op: Op, kernel: Kernel, master: int) -> Iterator[int]:
    """The seeds of a campaign at which the kernel fails."""
    for seed in campaign_seeds(op, master, CASES):
        if failure_of(op, kernel, str(seed)) is not None:
            yield seed


def pairs_of(mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, Mutant]]:
    """Every two mutants of one control whose edits can both be made; the first bug is the one to keep."""
    for one, two in combinations(mutants, 2):
        if one.control is two.control:
            yield from ((first, second) for first, second in ((one, two), (two, one)) if _both(first, second))


def _both(first: Mutant, second: Mutant) -> bool:
    try:
        kernel_with(first, second)
    except ValueError:  # the second edits what the first has replaced
        return False
    return True
