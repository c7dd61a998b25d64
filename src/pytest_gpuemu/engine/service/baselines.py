"""Answers about baselines: keeping the results of now under a tag, and comparing later ones with them."""

from __future__ import annotations

import dataclasses
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError
from pytest_gpuemu.engine.protocol import BASELINE_NOT_FOUND
from pytest_gpuemu.engine.protocol.requests.baselines import CompareBaseline, StoreBaseline
from pytest_gpuemu.engine.regressions import compare_baseline
from pytest_gpuemu.engine.service.state import OK, Answer, State


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
        if not store.baseline(request.tag):
            raise ProtocolError(f"no baseline {request.tag!r} in {store.path}", code=BASELINE_NOT_FOUND)
        threshold = self._state.config.policies.warn_threshold
        rows = [dataclasses.asdict(row) for row in compare_baseline(store, request.tag, threshold)]
        return {
            "type": "BaselineComparison",
            "tag": request.tag,
            "comparisons": rows,
            "regressions": sum(row["regression"] for row in rows),
        }
