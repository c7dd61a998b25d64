"""The daemon's loop over a campaign's cases, with workers that answer what a test says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_gpuemu.client import Client, ClientError
from pytest_gpuemu.engine.config import Config, OpEntry
from pytest_gpuemu.engine.errors import WorkerLost
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.protocol.results import repro_info, result_body
from pytest_gpuemu.engine.service import Service, fuzzing
from pytest_gpuemu.engine.store import Store, reading

RAN = {"outputs": {}, "findings": [], "error": None, "could_not_run": None, "duration_ms": 1.0}


class Workers:
    """A pool whose workers are a function."""

    def __init__(self, do: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.do = do
        self.jobs: list[dict[str, Any]] = []

    def run(self, message: bytes, **_: Any) -> bytes:
        self.jobs.append(framing.decode(message))
        return framing.encode(self.do(self.jobs[-1]), 2)

    def names(self) -> list[str]:
        return [job["job"] for job in self.jobs]


class Direct:
    """A transport without a socket."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def request(self, message: dict[str, Any], *, more_ms: int = 0) -> dict[str, Any]:
        return framing.decode(self.service.answer(framing.encode(message, 2)))

    def close(self) -> None:
        pass


def judged(job: dict[str, Any], status: str = "passed", kind: str = "") -> dict[str, Any]:
    case = {
        "generator": 1, "shape": [2], "strides": [4], "dtype": "float32", "layout": "contiguous",
        "values": "normal", "fuzz_config": {},
    }  # fmt: skip
    body = result_body(
        passed=status == "passed",
        status=status,
        test_id="client",
        op_name=job["op_name"],
        seed=job["seed"],
        edits="",
        findings=[{"kind": kind, "message": kind}] if kind else [],
        stats=None,
        timestamp=1.0,
        duration_ms=1.0,
        repro_info=repro_info(seed=job["seed"], edits="", **case) if kind else None,
    )
    return {"result": body, "failure": {**case, "text": ""}, "timestamp": 1.0}


def judge(job: dict[str, Any]) -> dict[str, Any]:
    """Seeds from 1 on; those that 5 divides fail."""
    if job["job"] == "campaign":
        request = job["request"]
        seeds = request["seeds"] or list(range(1, request["iterations"] + 1))
        return {"seed": 7, "seeds": seeds, "overrides": {}, "notes": ["a note"], "generator": 1}
    failed = job["seed"] % 5 == 0
    return judged(job, "failed" if failed else "passed", "ToleranceExceeded" if failed else "")


@pytest.fixture
def connect(tmp_path):
    stores = []

    def connected(judges: Workers, ops: Workers) -> Client:
        stores.append(Store(tmp_path))
        entry = OpEntry(name="op", place="", module="m:f", execution_mode="daemon_orchestrated")
        service = Service(
            version="0",
            config=Config(path=None, root=tmp_path, ops=(entry,)),
            store=stores[-1],
            judges=judges,
            ops=ops,
            shut_down=lambda: None,
        )
        return Client(transport=Direct(service))

    yield connected
    for store in stores:
        store.close()


def test_a_long_campaign_comes_in_several_replies(connect, monkeypatch):
    monkeypatch.setitem(fuzzing._REPLY_S, 2, 0.0)
    judges, ops = Workers(judge), Workers(lambda _: RAN)

    results = connect(judges, ops).fuzz_op("op", 7, 12)

    assert judges.names().count("campaign") == 12
    assert [job["seed"] for job in ops.jobs] == list(range(1, 13))
    assert (results.seed, results.total, results.passed, results.failed) == (7, 12, 10, 2)
    assert [failure.seed for failure in results.failures] == [5, 10]
    assert results.notes == ("a note",)


def test_failing_fast_ends_the_campaign_in_any_reply(connect, monkeypatch):
    monkeypatch.setitem(fuzzing._REPLY_S, 2, 0.0)

    results = connect(Workers(judge), Workers(lambda _: RAN)).fuzz_op("op", 7, 12, fail_fast=True)

    assert (results.total, results.failed) == (5, 1)


def test_a_failure_that_passes_now_is_forgotten(connect):
    broken = [True]

    def judge_by_state(job):
        if job["job"] == "campaign":
            return judge(job)
        return judged(job, "failed", "ShapeMismatch") if broken[0] else judged(job)

    client = connect(Workers(judge_by_state), Workers(lambda _: RAN))
    assert client.fuzz_op("op", 7, 2).failed == 2
    assert [failure.seed for failure in client.list_failures()] == [2, 1]

    broken[0] = False
    assert client.fuzz_op("op", 7, 2).passed == 2
    assert client.list_failures() == []


def test_an_op_that_is_lost_is_judged_as_a_failure_of_its_case(connect):
    def lose(_):
        raise WorkerLost("took its process with it, which was killed by signal 11\nlast words", is_late=False)

    judges = Workers(judge)
    connect(judges, Workers(lose)).fuzz_op("op", 7, 1)

    error = judges.jobs[-1]["ran"]["error"]
    assert error["summary"] == "the op took its process with it, which was killed by signal 11"
    assert (error["kind"], error["text"]) == ("ExecutionError", "last words")


def test_a_reference_that_is_lost_is_a_failure_of_its_case_alone(connect):
    def lose_second(job):
        if job["job"] == "judge run" and job["seed"] == 2:
            raise WorkerLost("took longer than 3 s, and its process was replaced", is_late=True)
        return judged(job, "failed", "ReferenceError") if job["job"] == "reference lost" else judge(job)

    judges = Workers(lose_second)
    results = connect(judges, Workers(lambda _: RAN)).fuzz_op("op", 7, 4)

    assert (results.total, results.passed, [failure.seed for failure in results.failures]) == (4, 3, [2])
    lost = next(job for job in judges.jobs if job["job"] == "reference lost")
    assert lost["text"].startswith("the reference took longer than 3 s")
    assert "reference_timeout_s under [validation]" in lost["text"]


def test_cases_that_cannot_run_here_are_counted_and_none_else_is_an_error(connect):
    def odd_ones_run(job):
        return RAN if job["seed"] % 2 else {**RAN, "could_not_run": "no such device"}

    results = connect(Workers(judge), Workers(odd_ones_run)).fuzz_op("op", 7, 4)
    assert (results.total, results.passed, results.could_not_run) == (4, 2, 2)
    assert results.notes == ("a note", "no such device")

    with pytest.raises(ClientError, match=r"none of the 3 cases of 'op' could run here: .*no such device"):
        connect(Workers(judge), Workers(lambda _: {**RAN, "could_not_run": "no such device"})).fuzz_op(
            "op", 7, 3
        )


def test_a_campaign_is_stored_once_however_many_replies_it_took(connect, tmp_path, monkeypatch):
    monkeypatch.setitem(fuzzing._REPLY_S, 2, 0.0)
    client = connect(Workers(judge), Workers(lambda _: RAN))

    client.fuzz_op("op", 7, 12)

    with reading(tmp_path) as store:
        (campaign,) = store.campaigns(9)
    assert (campaign.test_id, campaign.op, campaign.master_seed) == ("client", "op", 7)
    assert (campaign.cases, campaign.passed, campaign.failed, campaign.could_not_run) == (12, 10, 2, 0)


def test_a_campaign_of_the_client_of_protocol_1_is_stored_too(connect, tmp_path):
    client = connect(Workers(judge), Workers(lambda _: RAN))
    message = {"type": "FuzzOp", "op_name": "op", "fuzz_config": {}, "iterations": 5, "fail_fast": False}

    reply = framing.decode(client._transport.service.answer(framing.encode(message, 1)))

    assert (reply["total"], reply["failed"]) == (5, 1)
    with reading(tmp_path) as store:
        (campaign,) = store.campaigns(9)
    assert (campaign.master_seed, campaign.cases, campaign.failed) == (7, 5, 1)
