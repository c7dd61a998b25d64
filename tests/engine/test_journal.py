"""The journal names the case that a dead process was running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from pytest_gpuemu.engine.journal import Journal, leftovers

DIES = """
import os, signal, sys
from pathlib import Path
from pytest_gpuemu.engine.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.begin("t.py::test_a[float16]", "1")
journal.end()
journal.begin("t.py::test_ä[long]", "18446744073709551615~rows=1")
exec(sys.argv[2])
"""


@pytest.mark.parametrize(
    "death",
    ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "os.abort()"],
    ids=["exit", "kill", "abort"],
)
def test_the_case_of_a_process_that_died_is_left(tmp_path, death):
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path), death], stderr=subprocess.DEVNULL)

    (left,) = leftovers(tmp_path)

    assert (left.test_id, left.case_id) == ("t.py::test_ä[long]", "18446744073709551615~rows=1")
    left.path.unlink()
    assert leftovers(tmp_path) == []


def test_a_process_that_died_between_cases_leaves_nothing(tmp_path):
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path), "journal.end(); os._exit(3)"])

    assert leftovers(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_running_process_is_left_alone(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path), "print('ready', flush=True); signal.pause()"],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert leftovers(tmp_path) == []

    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert [left.case_id for left in leftovers(tmp_path)] == ["18446744073709551615~rows=1"]


def test_an_orderly_end_leaves_no_file(tmp_path):
    with Journal(tmp_path) as journal:
        journal.begin("t", "1")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"R", b"R" + b"\xff" * 20, b"R" + b"\4\0\0\0" * 2, b"\x93" * 100])
def test_a_file_that_is_no_journal_tells_nothing(tmp_path, content):
    (tmp_path / "1-x.journal").write_bytes(content)

    assert leftovers(tmp_path) == []


def test_a_case_costs_microseconds(tmp_path):
    with Journal(tmp_path) as journal:
        started = time.perf_counter()
        for _ in range(1000):
            journal.begin("tests/test_kernels.py::TestSoftmax::test_rows[float16]", "123456789012345")
            journal.end()
        each_s = (time.perf_counter() - started) / 1000

    assert each_s < 200e-6  # measured 3 us on an idle core
