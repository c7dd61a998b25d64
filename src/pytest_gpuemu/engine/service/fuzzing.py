"""Answers that run an op under test: campaigns, and the smallest case that fails.

Here: the loop over a campaign's cases, what is stored of each, and when a reply ends. Elsewhere: running the
op (engine/op_host.py) and judging what it gave (engine/jobs/), each in a worker; who may be run
(engine/execution.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.errors import ProtocolError, StoreError
from pytest_gpuemu.engine.execution import runnable_entry
from pytest_gpuemu.engine.protocol import CANNOT_RUN_HERE, CLIENT, NOT_FOUND, NOT_STORED, OP_NOT_FOUND
from pytest_gpuemu.engine.protocol.requests import to_message
from pytest_gpuemu.engine.protocol.requests.fuzzing import FuzzOp, Minimize
from pytest_gpuemu.engine.service.state import Answer, State
from pytest_gpuemu.engine.store import StoredCampaign, StoredFailure

# A reply comes after so many seconds and the case at hand; our client asks for the rest, and may be stopped
# in between. The client of protocol 1 asks once, and by default waits 30 s.
_REPLY_S = {1: 20.0, 2: 4.0}
_SEARCH_S = 20.0
_STRATEGIES = {
    "BinarySearchDims": "binary-search-dims",
    "BinarySearchValues": "binary-search-values",
}


class Fuzzing:
    def __init__(self, state: State) -> None:
        self._state = state
        self.answers: dict[type[Any], Answer] = {FuzzOp: self._fuzz, Minimize: self._minimize}

    def _fuzz(self, request: FuzzOp, version: int) -> dict[str, Any]:
        if self._state.config.op_entry(request.op_name) is not None:
            runnable_entry(self._state.config, request.op_name)
        campaign = self._state.in_worker({"job": "campaign", "request": to_message(request)})
        began = time.monotonic()
        ends = began + _REPLY_S[version]
        seeds, counts = list(campaign["seeds"]), Counter[str]()
        failures: list[dict[str, Any]] = []
        reasons: list[str] = []
        while seeds:
            case = {"op_name": request.op_name, "seed": seeds.pop(0), "edits": ""}
            ran = self._state.run_op({**case, "overrides": campaign["overrides"]})
            if ran["could_not_run"] is not None:
                counts["could not run"] += 1
                reasons.append(str(ran["could_not_run"]))
            else:
                body = self._state.keep(self._state.judge_run(case, campaign["overrides"], ran))
                counts[body["status"]] += 1
                if body["status"] == "failed":
                    failures.append(body)
            if failures and request.fail_fast:
                seeds.clear()
            if time.monotonic() > ends:
                break
        if reasons and not seeds and counts["could not run"] == counts.total():
            raise ProtocolError(
                f"none of the {counts.total()} cases of {request.op_name!r} could run here: {reasons[0]}",
                code=CANNOT_RUN_HERE,
            )
        notes = [*campaign["notes"], *dict.fromkeys(reasons)]
        if version == 1:  # ours counts the cases of all its requests
            try:
                self._record(request.op_name, campaign, counts, time.monotonic() - began)
            except StoreError as error:
                notes.append(f"{NOT_STORED}: {error}")
        return {
            "type": "FuzzResults",
            "seed": campaign["seed"],
            "total": counts.total(),
            "passed": counts["passed"],
            "failed": counts["failed"],
            "undetermined": counts["undetermined"],
            "could_not_run": counts["could not run"],
            "failures": failures,
            "notes": notes,
            "seeds_left": seeds,
        }

    def _record(
        self, op_name: str, campaign: Mapping[str, Any], counts: Mapping[str, int], wall_s: float
    ) -> None:
        self._state.store.add_campaign(
            StoredCampaign(
                test_id=CLIENT,
                op=op_name,
                master_seed=campaign["seed"],
                generator=campaign["generator"],
                cases=sum(counts.values()),
                passed=counts["passed"],
                failed=counts["failed"],
                undetermined=counts["undetermined"],
                could_not_run=counts["could not run"],
                wall_s=wall_s,
                timestamp=time.time(),
            )
        )

    def _minimize(self, request: Minimize, _: int) -> dict[str, Any]:
        strategy = request.strategy
        found = self._minimizable(request)
        done = self._state.in_worker(
            {
                "job": "minimize",
                "op_name": found.op,
                "seed": found.seed,
                "edits": found.edits,
                "overrides": found.body["fuzz_config"],
                "strategy": None if strategy is None else _STRATEGIES.get(strategy, strategy),
                "max_iters": request.max_iters,
                "time_s": _SEARCH_S if request.time_s is None else request.time_s,
            },
            answer=self._state.run_op,
        )
        body = found.body["result"] if done["smallest"] is None else self._state.keep(done["smallest"])
        return {
            "type": "MinimizeResult",
            "original_seed": found.seed,
            "minimized_seed": done["seed"],
            "minimized_shape": body["repro_info"]["shape"],
            "edits": done["edits"],
            "iterations": done["runs"],
            "is_complete": done["is_complete"],
            "result": body,
        }

    def _minimizable(self, request: Minimize) -> StoredFailure:
        """The failure of an op that the daemon runs. Raises ProtocolError, saying what else to do."""
        store = self._state.store
        found = store.failure(request.seed, request.op_name, request.edits)
        if found is None:
            raise ProtocolError(
                f"no failure of seed {request.seed} is stored in {store.path}", code=NOT_FOUND
            )
        if found.test_id != CLIENT:
            raise ProtocolError(
                f"the failure of seed {found.seed} is one of the test {found.test_id}; minimize it with: "
                f"pytest --gpuemu-minimize={found.case_id}",
                code=OP_NOT_FOUND,
            )
        runnable_entry(self._state.config, found.op)
        if found.inputs is not None:
            raise ProtocolError(
                f"the inputs of seed {found.seed} of {found.op!r} were given by the caller; only a case that "
                "its seed rebuilds can be made smaller, such as one of fuzz_op, get_test_case or pytest"
            )
        return found
