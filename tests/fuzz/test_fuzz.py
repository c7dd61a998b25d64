"""The fuzz targets, for a fixed number of inputs; longer: `GPUEMU_FUZZ_RUNS=1000000 pytest tests/fuzz`."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = sorted(Path(__file__).parent.glob("*_target.py"))
RUNS = int(os.environ.get("GPUEMU_FUZZ_RUNS", "20000"))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.stem)
def test_no_input_breaks_a_target(target, tmp_path):
    options = [f"-runs={RUNS}", "-seed=1", "-max_len=4096", "-timeout=10", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run(
        [sys.executable, target, tmp_path / "corpus", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = ended.stdout.decode(errors="replace")

    assert ended.returncode == 0, said[-4000:]
    assert f"Done {RUNS} runs" in said


def test_there_is_a_target():
    assert [target.stem for target in TARGETS] == ["protocol_target"]
