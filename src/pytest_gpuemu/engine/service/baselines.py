"""Answers about baselines: keeping the results of now under a tag, and comparing later ones with them."""

from __future__ import annotations

import math
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError
from pytest_gpuemu.engine.protocol import BASELINE_NOT_FOUND
from pytest_gpuemu.engine.protocol.requests.baselines import CompareBaseline, StoreBaseline
from pytest_gpuemu.engine.service.state import OK, Answer, State
from pytest_gpuemu.engine.store import StoredResult


class Baselines:
    def __init__(self, state: State) -> None:
        self._state = state
        self.answers: dict[type[Any], Answer] = {
            StoreBaseline: self._store_baseline,
            CompareBaseline: self._compare_baseline,
        }

    def _store_baseline(self, request: StoreBaseline, _: int) -> dict[str, Any]:
        self._state.store.store_baseline(request.tag)
        return OK

    def _compare_baseline(self, request: CompareBaseline, _: int) -> dict[str, Any]:
        store = self._state.store
        kept = store.baseline(request.tag)
        if not kept:
            raise ProtocolError(f"no baseline {request.tag!r} in {store.path}", code=BASELINE_NOT_FOUND)
        rows = []
        for before in kept:
            now = store.result_of(before.test_id, before.op, before.seed, before.edits)
            if now is not None:
                rows.append(_compared(before, now, self._state.config.policies.warn_threshold))
        return {
            "type": "BaselineComparison",
            "tag": request.tag,
            "comparisons": rows,
            "regressions": sum(row["regression"] for row in rows),
        }


def _compared(before: StoredResult, now: StoredResult, threshold: float) -> dict[str, Any]:
    """A regression: what passed fails, or the largest difference grew by more than the threshold's share."""
    old, new = float(before.body["max_diff"]), float(now.body["max_diff"])
    grew = new > old * (1.0 + threshold) and not math.isnan(new)
    return {
        "test_id": now.test_id,
        "op_name": now.op,
        "seed": now.seed,
        "edits": now.edits,
        "passed_before": before.passed,
        "passed": now.passed,
        "max_diff_before": old,
        "max_diff": new,
        "regression": (before.passed and not now.passed) or grew,
    }
