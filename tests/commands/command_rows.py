"""A project folder to run commands in, and a store with rows of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_gpuemu.cli import main
from pytest_gpuemu.engine.protocol.results import repro_info, result_body
from pytest_gpuemu.engine.store import Store, StoredFailure, StoredResult

CASE = {
    "generator": 1,
    "shape": [2, 3],
    "strides": [12, 4],
    "dtype": "float32",
    "layout": "contiguous",
    "values": "uniform",
    "fuzz_config": {},
}
FINDING = {"kind": "ToleranceExceeded", "message": "1 of 6 elements exceed", "index": [0, 1]}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty folder to work in, whose user has no store at home."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "160")
    for name in ("GPUEMU_CONFIG", "GPUEMU_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    (folder / "gpuemu.toml").write_text("", encoding="utf-8")
    return folder


@pytest.fixture
def store(project):
    opened = Store(project / ".gpuemu")
    yield opened
    opened.close()


@pytest.fixture
def gpuemu(project, capsys) -> Callable[..., tuple[int, str, str]]:
    """Run a command here; gives its exit status, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def failed(
    seed: int, *, op: str = "softmax", test: str = "test_k.py::test_k", edits: str = "", **case
) -> tuple:
    """A failure and its result, as the daemon stores them."""
    fields = {**CASE, **case}
    body = result_body(
        passed=False,
        status="failed",
        test_id=test,
        op_name=op,
        seed=seed,
        edits=edits,
        findings=[FINDING],
        stats=None,
        timestamp=1.5,
        duration_ms=2.0,
        repro_info=repro_info(seed=seed, edits=edits, **fields),
        text=f"{op} fails for seed {seed}",
    )
    stored = {**fields, "findings": [FINDING], "stats": None, "text": body["text"], "duration_ms": 2.0}
    keys = {"test_id": test, "op": op, "seed": seed, "edits": edits, "timestamp": 1.5}
    return (
        StoredFailure(**keys, body={**stored, "result": body}),
        StoredResult(**keys, passed=False, body=body),
    )


def passed(seed: int, *, max_diff: float = 0.25, op: str = "softmax") -> StoredResult:
    body = {"op_name": op, "seed": seed, "status": "passed", "max_diff": max_diff}
    return StoredResult(test_id="test_k.py::test_k", op=op, seed=seed, passed=True, timestamp=1.5, body=body)
