"""The pool of the daemon's workers: answers, questions, and what happens to a worker that is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_gpuemu.engine.errors import ProtocolError, WorkerLost
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.workers import Pool

WORKER = """
import os, sys, time
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.worker_loop import run_worker

def answer(message, config, ask):
    do = message["do"]
    if do == "ask":
        return {"sum": sum(ask({"n": n})["n"] for n in (1, 2)), "pid": os.getpid()}
    if do == "hang":
        time.sleep(1000)
    if do == "die":
        print("last words", file=sys.stderr)
        os._exit(3)
    if do == "refuse":
        raise ConfigError("not this one")
    print("this is no reply")
    return {"pid": os.getpid()}

run_worker(sys.argv[1:], answer)
"""


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    (tmp_path / "a_worker_of_tests.py").write_text(WORKER, encoding="utf-8")
    made = Pool("a_worker_of_tests", None, tmp_path, size=1, memory_mb=4096)
    yield made
    made.close()


def run(pool: Pool, do: str, limit_s: float = 30.0, **keys: Any) -> dict[str, Any]:
    return framing.decode(pool.run(framing.encode({"do": do}, 2), limit_s=limit_s, **keys))


def test_a_worker_answers_again_and_again_and_what_it_prints_is_no_answer(pool):
    assert run(pool, "reply") == run(pool, "reply")


def test_what_is_wrong_with_a_job_is_its_answer(pool):
    assert run(pool, "refuse") == {"type": "Error", "code": "ConfigError", "message": "not this one"}


def test_a_worker_may_ask_before_it_answers(pool):
    def tenfold(question: bytes) -> bytes:
        return framing.encode({"n": 10 * framing.decode(question)["n"]}, 2)

    assert run(pool, "ask", answer=tenfold)["sum"] == 30


def test_a_question_that_is_not_answered_ends_its_worker(pool):
    """Guards: the worker still waited for the answer, and took the next job for it."""

    def refuse(question: bytes) -> bytes:
        raise ProtocolError("no op to run")

    first = run(pool, "reply")["pid"]
    with pytest.raises(ProtocolError, match="no op to run"):
        run(pool, "ask", answer=refuse)

    assert run(pool, "reply")["pid"] != first


@pytest.mark.parametrize(
    ("do", "limit_s", "is_late", "text"),
    [
        ("hang", 0.3, True, "took longer than 0.3 s, and its process was replaced"),
        ("die", 30.0, False, "took its process with it, which ended with exit status 3, and was replaced"),
    ],
)
def test_a_lost_worker_is_told_of_and_replaced(pool, do, limit_s, is_late, text):
    with pytest.raises(WorkerLost) as caught:
        run(pool, do, limit_s)

    assert str(caught.value).splitlines()[0] == text
    assert caught.value.is_late is is_late
    assert is_late or str(caught.value).splitlines()[-1] == "last words"
    assert run(pool, "reply")["pid"]
