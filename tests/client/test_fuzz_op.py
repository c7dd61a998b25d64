"""Ops that the daemon runs itself: as functions, as scripts, and where they or their references fail."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pytest_gpuemu.client import Client, ClientError
from pytest_gpuemu.client.launch import Daemon, start_daemon

CONFIG = """
[validation]
op_timeout_s = 2
op_memory_mb = 2048
reference_timeout_s = 3
"""
FUNCTIONS = (
    "right",
    "tail",
    "raises",
    "hangs",
    "aborts",
    "exits",
    "eats",
    "scribbles",
    "half",
    "changes",
    "fills",
    "nothing",
)
# The references of these fail; the op is `right`.
REFERENCES = ("raises", "hangs", "aborts")
OPS = """
import os, sys, time
import numpy as np

def twice(x): return 2 * x
right = twice

def tail(x):
    y = 2 * x
    y[64:] = 0
    return y

def raises(x):
    if len(x) > 20:
        raise ZeroDivisionError("no more than 20")
    return 2 * x

def hangs(x): time.sleep(1000)
def aborts(x): os.abort()
def exits(x): sys.exit(3)
def eats(x): return np.ones(2**31)

def scribbles(x):
    y = 2 * x
    x[0] = 7
    return y

def half(x, y): y[: len(y) // 2] = 2 * x[: len(y) // 2]

calls = 0

def changes(x):
    global calls
    calls += 1
    return 2 * x if calls % 2 else np.nextafter(2 * x, np.float32(9))

def fills(x, y): y[...] = 2 * x
def nothing(x): return None
def off_by_one(input): return 2 * input + 1
def scaled(x, *, by): return (x.astype("f8") * by).astype(x.dtype)
by_its_name = twice
def dense(x): return 2 * np.ascontiguousarray(x)
def channels_last(x): return np.moveaxis(np.ascontiguousarray(np.moveaxis(2 * x, 1, -1)), -1, 1)
"""
SCRIPT = """
import base64, json, sys
import numpy as np

request = json.load(sys.stdin)
x = request["inputs"]["x"]
array = np.frombuffer(base64.b64decode(x["data"]), x["dtype"]).reshape(x["shape"])
if BROKEN and array.size > 10:
    raise ValueError("more than ten")
print(json.dumps({"shape": x["shape"], "dtype": x["dtype"],
    "data": base64.b64encode((array * 2).tobytes()).decode()}))
"""


def entry(name: str, **keys: str) -> str:
    given = {"reference": "fuzz_op_test_ops:twice", "schema": "x[N] -> y[N]", **keys}
    lines = [f"{key} = {value if value[0] in '[{' else repr(value)}" for key, value in given.items()]
    return "\n".join(["", "[[ops]]", f"name = {name!r}", *lines, ""])


FUNCTION = {"execution_mode": "daemon_orchestrated", "dtypes": '["float32"]', "dims": "{ N = [1, 16, 100] }"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("project")
    (folder / "fuzz_op_test_ops.py").write_text(OPS, encoding="utf-8")
    (folder / "right.py").write_text(f"BROKEN = False\n{SCRIPT}", encoding="utf-8")
    (folder / "broken.py").write_text(f"BROKEN = True\n{SCRIPT}", encoding="utf-8")
    text = CONFIG
    for name in FUNCTIONS:
        text += entry(name, module=f"fuzz_op_test_ops:{name}", **FUNCTION)
    for name in REFERENCES:
        wrong = {"module": "fuzz_op_test_ops:right", "reference": f"fuzz_op_test_ops:{name}"}
        text += entry(f"reference_{name}", **FUNCTION, **wrong)
    text += entry("by_its_name", module="fuzz_op_test_ops", **FUNCTION)
    text += entry("scaled", module="fuzz_op_test_ops", **FUNCTION, params="{ by = [2, 3] }").replace(
        "ops:twice", "ops:scaled"
    )
    text += entry("absent", module="fuzz_op_test_ops:absent", **FUNCTION)
    text += entry("script", execution_mode="script_based", op_script="right.py", dtypes='["float32"]')
    text += entry("broken_script", execution_mode="script_based", op_script="broken.py", dtypes='["float32"]')
    text += entry("no_script", execution_mode="script_based", op_script="none.py")
    text += entry("client_side")
    for name in ("dense", "channels_last"):
        keys = {"schema": "x[M,N,K] -> y[M,N,K]", "dtypes": '["float32"]', "checks": "{ layout = true }"}
        keys |= {
            "dims": "{ M = [2], N = [3], K = [5] }",
            "outputs": '{ y = { layouts = ["channels_last"] } }',
        }
        run_by = {"module": f"fuzz_op_test_ops:{name}", "execution_mode": "daemon_orchestrated"}
        text += entry(name, **keys, **run_by)
    text += """
[[ops]]
name = "shapeless"
reference = "fuzz_op_test_ops:twice"
module = "fuzz_op_test_ops:off_by_one"
execution_mode = "daemon_orchestrated"
"""
    (folder / "gpuemu.toml").write_text(text, encoding="utf-8")
    running = start_daemon(folder, folder / ".gpuemu", config=folder / "gpuemu.toml")
    yield running
    running.stop()


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(daemon.socket_path) as connected:
        yield connected


def test_the_layout_of_an_output_is_checked_where_the_op_runs_and_not_where_its_elements_arrive(client):
    """Guards: outputs reach the judge in C order, so a right one was refused for its layout."""
    assert client.fuzz_op("channels_last", 1, 3).passed == 3
    wrong = client.fuzz_op("dense", 1, 3)
    assert [failure.failures[0].kind for failure in wrong.failures] == ["LayoutMismatch"] * 3
    case = client.get_test_case("channels_last", 1)
    assert client.submit_output("channels_last", case["seed"], {"y": 2 * case["inputs"]["x"]}).passed


@pytest.mark.parametrize("name", ["right", "by_its_name", "fills", "scaled", "script"])
def test_an_op_that_is_right_passes(client, name):
    results = client.fuzz_op(name, 7, 6)

    assert (results.seed, results.total, results.passed, results.failures) == (7, 6, 6, [])
    assert client.fuzz_op(name, iterations=6, seed=7) == results


def test_a_wrong_op_fails_and_its_failures_are_kept(client):
    results = client.fuzz_op("tail", 3, 8)

    assert results.passed
    assert results.failed == len(results.failures)
    assert {failure.repro_info.shape for failure in results.failures} == {(100,)}
    for failure in results.failures:
        assert failure.failures[0].kind == "ToleranceExceeded"
        assert client.get_result(failure.seed) == failure
    assert client.fuzz_op("tail", 3, 8, fail_fast=True).failed == 1


@pytest.mark.parametrize(
    ("name", "kind", "message", "text"),
    [
        ("raises", "ExecutionError", "ZeroDivisionError: no more than 20", "in raises"),
        ("hangs", "ExecutionError", "the op took longer than 2 s", "op_timeout_s under [validation]"),
        ("aborts", "ExecutionError", "which was killed by signal 6", "N"),
        ("exits", "ExecutionError", "which ended with exit status 3", "N"),
        ("eats", "ExecutionError", "Unable to allocate 16.0 GiB", "in eats"),
        ("nothing", "ExecutionError", "None", "float32"),
        ("scribbles", "InputModified", "input x: 1 of", "modified"),
        ("half", "NaNDetected", "50 of 100 elements", "50 of 100 elements (50.0%) were never written"),
        ("changes", "Nondeterministic", "differ between two runs of the same case", "then"),
        ("broken_script", "ExecutionError", "ended with exit status 1", "ValueError: more than ten"),
        ("reference_raises", "ReferenceError", "ZeroDivisionError", "in raises"),
        ("reference_hangs", "ReferenceError", "the reference took longer than 3 s", "reference_timeout_s"),
        ("reference_aborts", "ReferenceError", "which was killed by signal 6", "float32"),
    ],
)
def test_what_goes_wrong_is_a_failure_of_its_case_and_the_next_one_runs(client, name, kind, message, text):
    results = client.fuzz_op(name, 1, 1, dims={"N": [100]})

    (failure,) = results.failures
    assert (results.total, failure.failures[0].kind) == (1, kind)
    assert message in str(failure.failures[0])
    assert text in failure.text
    assert failure.repro_info.shape == (100,)
    assert client.get_result(failure.seed, name) == failure
    assert client.fuzz_op("right", 1, 1).passed == 1


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("client_side", "NoOpToRun", "use fuzz_op_client_side"),
        ("softmax", "NoOpToRun", "use fuzz_op_client_side('softmax', op_fn=...)"),
        ("sofmax", "OpNotFound", "did you mean 'softmax'"),
        ("absent", "ConfigError", "fuzz_op_test_ops has no 'absent'"),
        ("no_script", "ConfigError", "there is no file"),
    ],
)
def test_where_there_is_no_op_to_run_it_says_so(client, name, code, text):
    """Guards: a daemon that compares the reference with itself, and passes everything."""
    with pytest.raises(ClientError) as caught:
        client.fuzz_op(name, 1, 3)

    assert caught.value.code == code
    assert text in str(caught.value)


def test_overrides_are_kept_shown_and_given_back(client):
    (failure,) = client.fuzz_op("tail", 5, 1, dims={"N": [90]}, values=["normal"]).failures

    again = client.reproduce(failure.seed)

    wanted = {"dims": {"N": [90]}, "values": ["normal"]}
    assert dict(failure.repro_info.fuzz_config) == dict(again.stored.repro_info.fuzz_config) == wanted
    assert "dims={'N': [90]}" in failure.text
    assert again.inputs["x"].shape == (90,)


def test_reproducing_runs_the_op_again_and_changes_no_store(client):
    (failure,) = client.fuzz_op("tail", 6, 1, dims={"N": [80]}, values=["normal"]).failures
    before = client.list_results()

    by_daemon = client.reproduce(failure.seed)
    by_name = client.reproduce(failure.seed, op_fn=lambda x: 2 * x)
    by_dict = client.reproduce(failure.seed, run_op=lambda inputs: inputs["x"] * 3)

    assert by_daemon.was_run
    assert by_daemon.result.failures == failure.failures
    assert (by_name.result.passed, by_name.stored.passed) == (True, False)
    assert by_name.inputs["x"].tobytes() == by_daemon.inputs["x"].tobytes()
    assert not by_dict.result.passed
    assert client.list_results() == before


def test_reproducing_what_raised_gives_its_traceback(client):
    (failure,) = client.fuzz_op("raises", 6, 1, dims={"N": [80]}, values=["normal"]).failures

    def also(x):
        raise KeyError("here")

    assert "ZeroDivisionError" in client.reproduce(failure.seed).result.text
    assert "in also" in client.reproduce(failure.seed, op_fn=also).result.text


@pytest.mark.parametrize(
    ("name", "strategy", "shape"),
    [("tail", None, (65,)), ("tail", "binary-search-dims", (65,)), ("raises", None, (21,))],
)
def test_minimizing_finds_the_smallest_case_of_an_op_of_the_daemon(client, name, strategy, shape):
    range_ = {"N": {"min": 1, "max": 200}}
    failure = client.fuzz_op(name, 8, 9, dims=range_, values=["normal"]).failures[0]

    smallest = client.minimize(failure.seed, strategy)

    assert (smallest.original_seed, smallest.minimized_shape) == (failure.seed, shape)
    assert smallest.result.failures[0].kind == failure.failures[0].kind
    assert client.reproduce(smallest.case_id).inputs["x"].shape == shape


def test_a_script_gets_no_layout_and_says_so(client):
    results = client.fuzz_op("script", 2, 2, layouts=["Strided"])

    assert results.passed == 2
    assert results.notes == ("layouts ignored: an op script gets the elements in C order, in no layout",)


def test_the_lists_of_sizes_shape_an_op_without_a_schema(client):
    (failure, *_) = client.fuzz_op(
        "shapeless", 4, 2, batch_sizes=[2], seq_lengths=[3], hidden_dims=[70]
    ).failures

    assert failure.repro_info.shape == (2, 3, 70)
