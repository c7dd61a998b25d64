"""A result beside the one that a baseline keeps: what changed, and whether it got worse.

Here: two results of one case. Elsewhere: keeping a baseline (store/), asking for a comparison (service/ and
the gpuemu command).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_gpuemu.engine.store import Reader, StoredResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A case of a baseline and of now. max_diff is the largest absolute error of any element."""

    test_id: str
    op_name: str
    seed: int
    edits: str
    passed_before: bool
    passed: bool
    max_diff_before: float
    max_diff: float
    regression: bool


def compare_results(before: StoredResult, now: StoredResult, threshold: float) -> Comparison:
    """A regression is what passed and fails now, or an error that grew by more than threshold, a share."""
    old, new = float(before.body["max_diff"]), float(now.body["max_diff"])
    grew = new > old * (1.0 + threshold) and not math.isnan(new)
    return Comparison(
        test_id=now.test_id,
        op_name=now.op,
        seed=now.seed,
        edits=now.edits,
        passed_before=before.passed,
        passed=now.passed,
        max_diff_before=old,
        max_diff=new,
        regression=(before.passed and not now.passed) or grew,
    )


def compare_baseline(store: Reader, tag: str, threshold: float) -> list[Comparison]:
    """Every case of the baseline that has a result now. Empty where nothing is kept under the tag."""
    compared = []
    for before in store.baseline(tag):
        now = store.result_of(before.test_id, before.op, before.seed, before.edits)
        if now is not None:
            compared.append(compare_results(before, now, threshold))
    return compared
