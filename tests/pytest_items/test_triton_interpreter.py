"""Kernels under Triton's interpreter, which computes bfloat16 otherwise than a GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="needs torch")
pytest.importorskip("triton", reason="needs Triton")

QUICKLY = ("-o", "gpuemu_auto_minimize=off")
SUITE = """
import pytest, torch, triton, triton.language as tl

@triton.jit
def double(x, y, n, stride, FACTOR: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + at * stride, mask=at < n).to(tl.float32)
    tl.store(y + at, (value * FACTOR).to(y.dtype.element_ty), mask=at < n)

def scaled(x, factor):
    y = torch.empty(x.shape, dtype=x.dtype)
    double[(triton.cdiv(x.numel(), 64),)](x, y, x.numel(), x.stride(0), factor, 64)
    return y

KEYS = {"reference": lambda x: 1.3 * x, "schema": "x[N] -> [N]", "dims": {"N": (1, 200)}, "library": "torch"}

@pytest.mark.gpuemu_op("scaled", **KEYS)
def test_right(fuzz_case):
    fuzz_case.run(lambda x: scaled(x, 1.3))

@pytest.mark.gpuemu_op("scaled", **KEYS)
def test_wrong(fuzz_case):
    fuzz_case.run(lambda x: scaled(x, 1.31))

@pytest.mark.gpuemu_op("scaled", **{**KEYS, "schema": "x[M,N] -> [M,N]", "dims": {"M": [3000], "N": [1, 2]}})
def test_many_rows(fuzz_case):
    raise AssertionError("3000 programs were to be left out")

@pytest.mark.gpuemu_op("plain", **{**KEYS, "dtypes": ["bfloat16"]})
def test_no_triton(fuzz_case):
    fuzz_case.run(lambda x: (1.31 * x.float()).to(x.dtype))

@pytest.mark.gpuemu_op("plain", **{**KEYS, "dtypes": ["bfloat16"], "library": "numpy"})
def test_no_torch(fuzz_case):
    fuzz_case.run(lambda x: (1.31 * x.astype("float32")).astype(x.dtype))

rows = set()

@pytest.mark.gpuemu_op("plain", **{**KEYS, "schema": "x[M,N] -> [M,N]", "dims": {"M": [1, 3000], "N": [1]}})
def test_many_rows_without_triton(fuzz_case):
    rows.add(fuzz_case.shape[0])
    fuzz_case.run(lambda x: 1.3 * x)

def test_rows():
    assert rows == {1, 3000}
"""


def test_bfloat16_is_not_held_against_the_kernel_and_other_dtypes_are(tmp_path):
    """Guards: the interpreter truncates to bfloat16, so every correct kernel failed there; and wrong kernels
    of torch or NumPy passed there, as if the interpreter had run them.
    """
    (tmp_path / "test_scaled.py").write_text(SUITE)
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTEST_ADDOPTS": "-p no:randomly"}

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-vv",
            "--gpuemu-fuzz=20",
            "--gpuemu-seed=1",
            *QUICKLY,
            "test_scaled.py",
        ],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert "FAILED test_scaled.py::test_wrong[seed=" in done.stdout
    assert "FAILED test_scaled.py::test_no_triton[seed=" in done.stdout
    assert "FAILED test_scaled.py::test_no_torch[seed=" in done.stdout
    assert "FAILED test_scaled.py::test_rows" not in done.stdout
    assert "FAILED test_scaled.py::test_right" not in done.stdout
    assert "interpreter miscomputes bfloat16 (TRITON_INTERPRET=1)" in done.stdout
    reported = re.findall(r"(\w+) fails for seed .*\n.*  input +(\w+)", done.stdout)
    assert {dtype for op, dtype in reported if op == "plain"} == {"bfloat16"}
    assert "bfloat16" not in {dtype for op, dtype in reported if op == "scaled"}
    assert "were to be left out" not in done.stdout
    assert "more than 2048 rows or 262144 elements are too many for Triton's interpreter" in done.stdout
