"""A seed gives the same bytes in every process, on every Python and NumPy, whatever the CPU offers.

The digests in vectors/case_digests.json are those of an earlier run, made by another process, Python or
machine than the one that compares. They may change only together with GENERATOR_VERSION (plan.py), since
every change gives stored seeds another case: `python tests/engine/case_digests.py --write` writes them.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_gpuemu.engine.plan import GENERATOR_VERSION

SCRIPT = Path(__file__).with_name("case_digests.py")
SOURCE = Path(__file__).parents[2] / "src"
COMMITTED = json.loads((Path(__file__).parent / "vectors" / "case_digests.json").read_text())


def other_pythons():
    """Every other Python from 3.10 on: on PATH, under pyenv, and those that GPUEMU_TEST_PYTHONS lists."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = [shutil.which(f"python3.{minor}") for minor in range(10, 16)]
    found = {Path(name) for name in on_path if name and pyenv / "shims" not in Path(name).parents}
    found |= set(pyenv.glob("versions/3.1[0-9]*/bin/python"))
    found |= {Path(name) for name in os.environ.get("GPUEMU_TEST_PYTHONS", "").split(os.pathsep) if name}
    return sorted(str(path) for path in found if path != Path(sys.executable))


def dispatched_features():
    """The CPU features that this NumPy uses where they are there, and that are there."""
    try:
        from numpy._core import _multiarray_umath as core
    except ImportError:  # NumPy 1
        from numpy.core import _multiarray_umath as core
    return [feature for feature in core.__cpu_dispatch__ if core.__cpu_features__.get(feature)]


def digests_of(python=sys.executable, **environ):
    """What the script prints there; the failing process's own words where it prints nothing."""
    result = subprocess.run(
        [python, str(SCRIPT)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_committed_digests_are_of_this_generator_version():
    assert COMMITTED["generator_version"] == GENERATOR_VERSION


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONHASHSEED": "1", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "4242", "LC_ALL": "C.UTF-8", "TZ": "Asia/Kathmandu"},
    ],
    ids=["hash-1", "hash-4242"],
)
def test_cases_are_the_committed_ones_whatever_the_environment(environ):
    assert digests_of(**environ) == COMMITTED


def test_cases_are_the_committed_ones_without_the_cpus_extensions():
    """Guards: a value drawn by a function that NumPy computes otherwise with AVX2 or AVX512."""
    features = dispatched_features()
    if not features:
        pytest.skip(f"NumPy {np.__version__} uses no CPU extension here that could be switched off")

    assert digests_of(NPY_DISABLE_CPU_FEATURES=" ".join(features)) == COMMITTED


@pytest.mark.parametrize("python", other_pythons())
def test_cases_are_the_committed_ones_on_other_pythons(python):
    probe = subprocess.run(
        [python, "-c", "import numpy, ml_dtypes, scipy"], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"{python} lacks what the engine imports: {probe.stderr.strip().splitlines()[-1]}")

    assert digests_of(python) == COMMITTED
