"""A failure of softmax, as a campaign of pytest hands it to the daemon."""

from __future__ import annotations

from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.verdict import Failure, Finding


def failure(seed: int) -> Failure:
    return Failure(
        test_id="t.py::test",
        op="softmax",
        seed=seed,
        edits="",
        generator=GENERATOR_VERSION,
        shape=(4, 5),
        strides=(20, 4),
        dtype="float32",
        layout="contiguous",
        values="uniform",
        fuzz_config={"dims": {"rows": (1, 300)}},
        findings=(Finding(kind="NaNDetected", message="1 of 20", index=(1, 2), actual=float("nan")),),
        stats=None,
        text="the whole report",
        timestamp=1.5,
        duration_ms=2.5,
    )
