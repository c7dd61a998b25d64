"""Documents for tests of the reports: what a session with a wrong kernel of three axes had found."""

from __future__ import annotations

from typing import Any

import numpy as np

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.diagnose import Clue, Diagnosis, Suspicion
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.report.document import document
from pytest_gpuemu.report.failure import brief_fields, full_fields

OP = define_op(
    "mine",
    reference=lambda x: (2.0 * x, x.sum(axis=(1, 2))),
    schema="x[B,M,N] -> y[B,M,N], total[B]",
    dims={"B": [4], "M": [6], "N": [33]},
    dtypes=["float32"],
    values=["uniform"],
    layouts=["contiguous"],
)
NASTY = '</script><img src=x onerror="alert(1)">&%\n::error::'
DIAGNOSIS = Diagnosis(
    where=(Clue(kind="tail", text="at column 32 of 33", output="y", evidence={"from": 32, "ratio": np.inf}),),
    suspicion=Suspicion(kind="tail mask", text="the tail is not masked", because=("only the tail",)),
)


def failure(seed: int = 7, *, is_first: bool = True, wrong: Any = 0.0, **changes: Any) -> dict[str, Any]:
    """A failing case: in slice 2 of y the last column is wrong."""
    case = make_case(OP, seed)
    x = case.inputs["x"]
    output = 2 * x
    output[2, :, 32:] = wrong
    verdict = judge(case, (output, x.sum(axis=(1, 2))))
    text = f"mine fails for seed {seed}: 6 of 792 elements"
    return {
        "node_id": f"tests/t.py::test_mine[seed={seed}]",
        "file": "tests/t.py",
        "line": 12,
        **{
            key: value
            for key, value in brief_fields(
                test_id="tests/t.py::test_mine",
                plan=case.plan,
                kind="mismatch: ToleranceExceeded y",
                text=text,
                verdict=verdict,
                columns=0,
            ).items()
            if key != "map"
        },
        "is_first": is_first,
        "first": "tests/t.py::test_mine[seed=7]",
        **full_fields(
            plan=case.plan,
            text=text,
            verdict=verdict,
            diagnosis=DIAGNOSIS,
            commands=["pytest one", "pytest anywhere", "pytest shrink"],
            is_first=is_first,
            duration_s=0.25,
        ),
        "smallest": {
            "case_id": f"{seed}~N=33",
            "text": "x float32 [1, 1, 33]",
            "runs": 9,
            "is_complete": True,
            "command": "pytest smallest",
        },
        **changes,
    }


def op(**changes: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "tests": ["tests/t.py::test_mine"],
        "counts": {"passed": 2, "failed": 1},
        "left_out": 0,
        "cases_per_s": 100.0,
        "first_call_s": 0.5,
        "covered": {"dtypes": {"met": {"float32": 3}, "possible": ["float32"]}},
        "coverage": {
            "cases": 3,
            "pairs_met": 5,
            "pairs_possible": 9,
            "levels": {"size of N": {"1": 0, "odd": 3}},
        },
        "worth": {"killed": ["zeros"], "survived": ["halved"], "warnings": ["the reference ignores x"]},
        "reasons": {},
        "cases": [
            {"case_id": "1", "dtype": "float32", "elements": 10, "status": "passed", "max_ulp": 0.5},
            {"case_id": "2", "dtype": "float32", "elements": 1000, "status": "passed", "max_ulp": 0.0},
            {"case_id": "7", "dtype": "float32", "elements": 796, "status": "failed", "max_ulp": 1.6e7},
        ],
        **changes,
    }


def session(
    *, ops: list[dict[str, Any]] | None = None, failures: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "created": "2026-01-02T03:04:05Z",
        "master_seed": 7,
        "exit_status": 1,
        "is_interrupted": False,
        "duration_s": 1.5,
        "note": None,
        **changes,
    }
    return document(
        ops=[op()] if ops is None else ops, failures=[failure()] if failures is None else failures, **fields
    )
