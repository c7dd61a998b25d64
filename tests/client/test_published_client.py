"""The gpuemu package of PyPI speaks to our daemon unchanged.

It is installed into a folder of its own, since its import name is ours too; without a package index these
tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DRIVER = """
import json, sys
import numpy as np
from gpuemu.client import Client, ClientError

PTX = ".version 7.0\\n.target sm_80\\n.address_size 64\\n.visible .entry nothing() { ret; }\\n"

def softmax(x):
    with np.errstate(all="ignore"):
        e = np.exp(x.astype("f8") - x.astype("f8").max(-1, keepdims=True))
        return (e / e.sum(-1, keepdims=True)).astype(x.dtype)

def error_of(call):
    try:
        call()
    except ClientError as error:
        return str(error)

client = Client(sys.argv[1])
x = np.linspace(-3, 4, 20, dtype=np.float32).reshape(4, 5)
found = {"ping": client.ping()["protocol_version"]}
found["right"] = client.validate_op("softmax", {"input": x}, softmax(x), dim=-1).passed
wrong = client.validate_op("softmax", {"input": x}, x)
found["wrong"] = [wrong.passed, wrong.failures[0]["kind"], sorted(wrong.error_stats)]
found["stored"] = client.get_result(wrong.seed).seed == wrong.seed
found["absent"] = client.get_result(4242)
found["results"] = len(client.list_results())
found["failures"] = [failure.seed == wrong.seed for failure in client.list_failures()]
found["inputs"] = client.reproduce(wrong.seed).inputs["input"].tolist() == x.tolist()
found["baseline"] = client.store_baseline("v1")
case = client.get_test_case("shapeless", 3)
found["case"] = [len(case["shape"]) in (1, 2, 3), case["dtype"] in ("float32", "float16")]
batch = client.get_test_batch("shapeless", count=6, seed=3)
found["batch"] = len(batch)
first = batch[0]
output = -first["inputs"]["input"]
found["submit"] = client.submit_output("shapeless", first["inputs"], output, first["seed"]).passed
good = client.fuzz_op_client_side("shapeless", lambda inputs: -inputs["input"], iterations=5, seed=4)
bad = client.fuzz_op_client_side("shapeless", lambda inputs: inputs["input"] * 3, iterations=5, seed=4)
found["fuzz"] = [good.passed, good.total, bad.failed]
fuzzed = client.fuzz_op("twice_of_nine", seed=5, iterations=8)
found["fuzz_op"] = [fuzzed.seed, fuzzed.total, fuzzed.passed + fuzzed.failed, len(fuzzed.failures)]
worst = fuzzed.failures[0]
found["run again"] = [client.reproduce(worst.seed).result.failures == worst.failures, worst.passed]
smallest = client.minimize(worst.seed)
found["smallest"] = [smallest.original_seed == worst.seed, smallest.minimized_shape, smallest.result.passed]
found["client side"] = error_of(lambda: client.fuzz_op("twice"))
found["unknown"] = error_of(lambda: client.validate_op("sofmax", {"x": x}, x))
found["raises"] = error_of(lambda: client.validate_op("raises", {"input": x}, x))
batch = client.get_test_batch("softmax", 20, dtypes=["bfloat16", "float32"])
found["no bfloat16"] = {case["dtype"] for case in batch} == {"float32"}
found["only bfloat16"] = error_of(lambda: client.get_test_batch("softmax", 2, dtypes=["bfloat16"]))
found["hundred"] = len(client.get_test_batch("softmax", count=100, seed=1, dtypes=["float32"]))
linted, *_ = client.lint_kernel(PTX, "nothing")  # one for each architecture
found["lint"] = [linted["kernel_name"], linted["passed"], sorted(linted), sorted(linted["metrics"])]
found["lint of no kernel"] = error_of(lambda: client.lint_kernel("no PTX"))
near = {"op_name": "relu", "inputs": {"input": x}, "output": np.maximum(x, 0) + np.float32(1e-3)}
found["tolerance"] = [client.validate_op(**near, atol=atol).passed for atol in (1e-2, 1e-4)]
found["vector"] = client.validate_op("relu", {"input": x[0]}, np.maximum(x[0], 0)).passed
client.close()
with Client(sys.argv[1]) as another:
    found["again"] = another.ping()["protocol_version"]
found["methods"] = [name for name in vars(Client) if not name.startswith("_")]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def published_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with gpuemu 0.1.0 of PyPI; on PYTHONPATH it comes before ours. numpy and pynng are ours."""
    target = tmp_path_factory.mktemp("published")
    installed = subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", target, "gpuemu==0.1.0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    if installed.returncode != 0:
        pytest.skip(f"gpuemu 0.1.0 cannot be installed here: {installed.stderr.strip()[-200:]}")
    return target


@pytest.fixture(scope="module")
def found(published_package: Path, daemon: Any) -> dict[str, Any]:
    """What that client says of every method."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(daemon.socket_path)],
        env={**os.environ, "PYTHONPATH": str(published_package)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_its_verdicts_are_ours(found):
    assert found["ping"] == 1
    assert found["right"] is True
    assert found["wrong"][:2] == [False, "ToleranceExceeded"]
    assert {
        "count", "num_exceeding", "max_abs", "mean_abs", "p50_abs", "p90_abs", "p99_abs", "max_rel",
        "mean_rel", "max_ulp", "mean_ulp",
    } <= set(found["wrong"][2])  # fmt: skip


def test_its_adapters_send_any_rank_and_a_tolerance(found):
    assert (found["vector"], found["tolerance"]) == (True, [True, False])


def test_it_reads_what_is_stored(found):
    assert (found["stored"], found["absent"], found["results"]) == (True, None, 2)
    assert (found["failures"], found["inputs"], found["baseline"]) == ([True], True, None)


def test_it_gets_cases_and_submits_outputs(found):
    assert (found["case"], found["batch"], found["submit"]) == ([True, True], 6, True)
    assert found["fuzz"] == [5, 5, 5]
    assert found["hundred"] == 100


def test_it_lets_the_daemon_run_an_op(found):
    assert found["fuzz_op"][:3] == [5, 8, 8]
    assert 0 < found["fuzz_op"][3] < 8
    assert found["run again"] == [True, False]
    assert found["smallest"] == [True, [10], False]
    assert "use fuzz_op_client_side('twice', op_fn=...)" in found["client side"]


def test_it_gets_no_dtype_that_it_would_read_as_another(found):
    assert found["no bfloat16"] is True
    assert "decodes these as another type" in found["only bfloat16"]


def test_it_reads_errors(found):
    assert "did you mean 'softmax'" in found["unknown"]
    assert "ValueError: no answer" in found["raises"]


def test_it_lints(found):
    name, passed, keys, metrics = found["lint"]

    assert (name, passed) == ("nothing", True)
    assert {"kernel_name", "passed", "metrics", "violations", "timestamp"} <= set(keys)
    assert {"register_count", "spill_count"} <= set(metrics)
    assert "PTX" in found["lint of no kernel"]


def test_none_of_its_methods_is_left_out(found):
    assert found["again"] == 1
    assert len(found["methods"]) > 12
    assert [name for name in found["methods"] if f"client.{name}(" not in DRIVER] == []
