"""gpuemu export and import: a failure found on one machine is run again on another."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_rows import failed

from pytest_gpuemu.client import Client
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.engine.jobs.cases import wire_case
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.protocol import framing
from pytest_gpuemu.engine.resolve import resolve_op
from pytest_gpuemu.engine.store import Store, known_failures, reading
from pytest_gpuemu.engine.wire_arrays import to_tensor

TEST = """
import pytest
from kernels.fast import kernel


@pytest.mark.gpuemu_op("twice", reference=lambda x: 2 * x, schema="x[N] -> y[N]", dims={"N": [7]})
def test_twice(fuzz_case):
    fuzz_case.run(kernel)
"""
FILES = {
    "tests/test_k.py": TEST,
    "kernels/__init__.py": "",
    "kernels/fast.py": "from . import factors\n\ndef kernel(x):\n    return factors.THREE * x\n",
    "kernels/factors.py": "import numpy\nTHREE = 3\n",
    "kernels/unrelated.py": "",
    "conftest.py": "",
    "pytest.ini": "[pytest]\npythonpath = .\n",
}


def write_project(folder: Path) -> None:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def pytest_run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout


def test_a_failing_test_goes_to_another_machine_with_all_that_it_needs(gpuemu, project, tmp_path):
    write_project(project)
    pytest_run(project, "--gpuemu-fuzz=3", "--gpuemu-seed=1")
    known = known_failures(project / ".gpuemu")
    seed = known[0].seed

    status, out, _ = gpuemu("export", tmp_path / "f.zip", seed)

    assert status == 0
    carried = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    assert carried == sorted({*FILES, "gpuemu.toml"} - {"kernels/unrelated.py"})
    other = tmp_path / "other"
    status, out, _ = gpuemu("import", tmp_path / "f.zip", "--files", other)
    assert status == 0
    assert f"  {seed}  twice  tests/test_k.py::test_twice  pytest --gpuemu-reproduce={seed}" in out
    assert [row.seed for row in known_failures(other / ".gpuemu")] == [seed]
    ran = pytest_run(other, f"--gpuemu-reproduce={seed}")
    assert f"FAILED tests/test_k.py::test_twice[seed={seed}]" in ran
    collected = pytest_run(other, "--collect-only")
    assert f"tests/test_k.py::test_twice[seed={seed}]" in collected


@pytest.mark.parametrize(
    ("case", "own", "kept"),
    [
        ({"generator": GENERATOR_VERSION}, True, True),
        ({"generator": GENERATOR_VERSION}, False, False),
        ({"generator": GENERATOR_VERSION, "op": "op_of_no_config"}, True, True),
    ],
    ids=["a caller's arrays", "arrays that the seed rebuilds", "an op that is unknown there"],
)
def test_a_clients_failure_is_reproduced_on_the_other_machine(
    gpuemu, project, store, tmp_path, case, own, kept
):
    drawn = drawn_case(5)
    arrays = {"input": np.float32([[1, 2, 3], [4, 5, 6]])} if own else drawn
    first = next(iter(arrays.values()))
    failure, result = failed(5, test="client", shape=list(first.shape), dtype=str(first.dtype), **case)
    if own:
        sent = framing.encode({"inputs": {name: to_tensor(x) for name, x in arrays.items()}}, 2)
        failure = dataclasses.replace(failure, inputs=sent)
    store.add_failure(failure, result)
    gpuemu("export", tmp_path / "f.zip")

    status, out, _ = gpuemu("import", tmp_path / "f.zip", "--store", tmp_path / "there")

    assert status == 0
    assert 'Client().reproduce("5")' in out
    with reading(tmp_path / "there") as there:
        assert (there.failure(5).inputs is not None) == kept
    daemon = start_daemon(project, tmp_path / "there")
    try:
        with Client(str(daemon.socket_path)) as client:
            found = client.reproduce(5)
    finally:
        daemon.stop()
    assert found.result.failures[0].kind == "ToleranceExceeded"
    assert {name: array.tobytes() for name, array in found.inputs.items()} == {
        name: array.tobytes() for name, array in arrays.items()
    }


def drawn_case(seed: int) -> dict[str, np.ndarray]:
    return dict(wire_case(resolve_op("softmax", {}, None), seed).originals)


def test_the_sources_can_be_left_out(gpuemu, project, store, tmp_path):
    store.add_failure(*failed(5))
    write_project(project)

    out = gpuemu("export", tmp_path / "f.zip", "--no-files")[1]

    assert out.splitlines()[-2] == f"1 failure and 0 files of source: {tmp_path / 'f.zip'}"


def test_an_import_runs_nothing_of_what_it_brings(gpuemu, project, tmp_path):
    write_project(project)
    ran = tmp_path / "ran"
    evil = f"open({str(ran)!r}, 'w')\n"
    (project / "kernels" / "refs.py").write_text(evil + "def f(x): return x\n", encoding="utf-8")
    (project / "gpuemu.toml").write_text(
        '[[ops]]\nname = "mine"\nreference = "kernels.refs:f"\nschema = "x[N] -> y[N]"\n', encoding="utf-8"
    )
    store = Store(project / ".gpuemu")
    store.add_failure(*failed(5, op="mine", test="tests/test_k.py::test_twice"))
    store.close()
    gpuemu("export", tmp_path / "f.zip")
    ran.unlink(missing_ok=True)

    status, _, _ = gpuemu("import", tmp_path / "f.zip", "--files", tmp_path / "other")

    assert status == 0
    assert (tmp_path / "other" / "kernels" / "refs.py").exists()
    assert not ran.exists()


def test_a_folder_with_something_in_it_is_left_as_it_is(gpuemu, project, store, tmp_path):
    store.add_failure(*failed(5))
    gpuemu("export", tmp_path / "f.zip")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine", encoding="utf-8")

    status, _, err = gpuemu("import", tmp_path / "f.zip", "--files", other)

    assert status == 1
    assert err == f"gpuemu: {other} is not empty, and is left as it is; give a new folder\n"
    assert [path.name for path in other.iterdir()] == ["mine"]


def test_without_failures_nothing_is_written(gpuemu, store, tmp_path):
    status, _, err = gpuemu("export", tmp_path / "f.zip")
    assert (status, err) == (1, f"gpuemu: there is no failure to export in {store.path}\n")

    status, _, err = gpuemu("export", tmp_path / "f.zip", 7)
    assert (status, err.split(";")[0]) == (1, f"gpuemu: no failure of seed 7 in {store.path}")
    assert not (tmp_path / "f.zip").exists()


def test_what_is_no_bundle_is_said(gpuemu, project):
    status, _, err = gpuemu("import", "gpuemu.toml")

    assert status == 1
    assert err.startswith("gpuemu: gpuemu.toml: is no failure bundle: ")
