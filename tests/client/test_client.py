"""Every method of Client, in both call forms of the API reference, against a running daemon."""

from __future__ import annotations

import datetime
import threading

import numpy as np
import pytest

from pytest_gpuemu.client import Client, ClientError
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.errors import OutputError
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.plan import plan_case


def softmax(x):
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        e = np.exp(wide - wide.max(-1, keepdims=True))
        return (e / e.sum(-1, keepdims=True)).astype(x.dtype)


@pytest.fixture
def x():
    return np.linspace(-3, 4, 20, dtype=np.float32).reshape(4, 5)


def test_ping_is_pong_and_tells_the_version(client):
    pong = client.ping()

    assert pong == "pong"
    assert str(pong) == "pong"
    assert (pong["version"], pong["protocol_version"]) == ("0.1.0", 1)
    assert pong != "ping"


def test_a_right_output_passes_and_a_wrong_one_fails(client, x):
    right = client.validate_op("softmax", {"logits": x}, softmax(x))
    assert (right.passed, right.failures, right.repro_info) == (True, [], None)
    assert right.max_diff < 1e-7

    wrong = client.validate_op("softmax", {"input": x}, softmax(x) + np.float32(1e-3), dim=-1)
    assert (wrong.passed, wrong.status, wrong.op_name) == (False, "failed", "softmax")
    assert wrong.max_diff == pytest.approx(1e-3, rel=1e-3)
    assert wrong.error_stats["num_exceeding"] == 20
    assert wrong.repro_info.shape == (4, 5)
    assert wrong.text.startswith(f"softmax fails for seed {wrong.seed}: 20 of 20 elements")
    assert f'Client().reproduce("{wrong.seed}")' in wrong.text


def test_a_failure_reads_as_text_and_as_a_record(client, x):
    (failure,) = client.validate_op("softmax", {"input": x}, x).failures

    assert failure == failure.message == failure["message"] == str(failure)
    assert failure.kind == failure["kind"] == failure.get("kind") == "ToleranceExceeded"
    assert failure["actual"] == x[failure["index"]]
    assert "elements" in failure
    with pytest.raises(KeyError):
        failure["colour"]


def test_a_timestamp_reads_as_iso_8601_and_as_seconds(client, x):
    moment = client.validate_op("softmax", {"input": x}, x).timestamp

    assert datetime.datetime.fromisoformat(moment).timestamp() == int(moment)
    assert abs(int(moment) - datetime.datetime.now().timestamp()) < 60


def test_the_dtype_argument_must_be_the_outputs(client, x):
    assert client.validate_op("softmax", {"input": x}, softmax(x), "float32", 77).seed == 77
    with pytest.raises(ClientError, match="dtype = 'float16', but the output has dtype 'float32'"):
        client.validate_op("softmax", {"input": x}, softmax(x), dtype="float16")


def test_results_are_found_by_seed_and_listed(client, x):
    made = client.validate_op("softmax", {"input": x}, softmax(x), seed=2**64 - 1)

    assert client.get_result(2**64 - 1) == made
    assert client.get_result(2**64 - 1, "matmul") is None
    assert client.get_result(4242) is None
    assert made in client.list_results()
    assert len(client.list_results(limit=1)) == 1


def test_a_failure_of_given_inputs_is_reproduced_from_their_snapshot(client, x):
    made = client.validate_op("softmax", {"input": x}, -x, seed=501)

    found = client.reproduce(501)

    assert np.array_equal(found.inputs["input"], x)
    assert found.result.failures == made.failures
    assert made.case_id in {failure.case_id for failure in client.list_failures()}


def test_an_output_is_judged_by_the_seed_alone_or_with_its_inputs(client):
    case = client.get_test_case("softmax", 5, dtypes=["float32"])
    output = softmax(case["inputs"]["input"])

    by_seed = client.submit_output("softmax", case["seed"], output)
    by_keyword = client.submit_output("softmax", seed=case["seed"], output=output)
    with_inputs = client.submit_output("softmax", case["inputs"], output, case["seed"])

    assert by_seed.passed
    assert by_seed.error_stats == by_keyword.error_stats == with_inputs.error_stats
    assert not client.submit_output("softmax", case["seed"], -output).passed


def test_a_seed_with_edits_names_the_smaller_case(client):
    case = client.get_test_case("softmax", 5, dtypes=["float32"])
    case_id = f"{case['seed']}~rows=1,cols=2,values=ones"

    result = client.submit_output("softmax", case_id, np.full((1, 2), 0.25, np.float32))

    assert result.case_id == case_id
    assert np.array_equal(client.reproduce(case_id).inputs["input"], np.ones((1, 2)))


def test_a_batch_comes_by_count_or_by_seeds(client):
    by_count = client.get_test_batch("softmax", 4, 9)
    seeds = [case["seed"] for case in by_count]

    assert len(set(seeds)) == 4
    for same in (client.get_test_batch("softmax", seeds=seeds), client.get_test_batch("softmax", seeds)):
        assert [case["seed"] for case in same] == seeds
        for one, other in zip(by_count, same, strict=True):
            assert one["inputs"]["input"].tobytes() == other["inputs"]["input"].tobytes()


def test_the_layouts_of_a_case_reach_the_kernel(client):
    dims = {"rows": [3, 4], "cols": [5, 6]}
    for layout in ("strided", "transposed", "reversed", "broadcast"):
        (case,) = client.get_test_batch("softmax", 1, 3, layouts=[layout], dims=dims)
        assert case["layout"] == layout
        assert not case["inputs"]["input"].flags.c_contiguous


def test_a_case_with_huge_strides_comes_without_them(client):
    """Guards: a worker may not have so many addresses, and the whole batch failed for one case."""
    op = BUILTIN_OPS["softmax"]
    seeds = list(campaign_seeds(op, 3, 25))
    huge = [seed for seed in seeds if "huge" in plan_case(op, seed).layouts.values()]

    (case,) = client.get_test_batch("softmax", seeds=huge[:1])

    assert case["layout"] == "contiguous"
    assert case["inputs"]["input"].shape == plan_case(op, huge[0]).shapes["input"]


def test_an_op_schema_of_the_call_decides_the_shapes(client):
    schema = {
        "name": "matmul",
        "dims": [{"name": "M", "candidates": [3]}, {"name": "K", "candidates": [4, 5]}],
        "inputs": [{"name": "a", "dims": ["M", "K"]}, {"name": "b", "dims": ["K", "M"]}],
        "output": {"name": "c", "dims": ["M", "M"]},
    }

    def product(inputs):
        with np.errstate(all="ignore"):
            wide = inputs["a"].astype(np.float64) @ inputs["b"].astype(np.float64)
            return wide.astype(inputs["a"].dtype)

    results = client.fuzz_op_client_side("matmul", product, 4, seed=1, op_schema=schema, dtypes=["float32"])
    assert (results.passed, results.total) == (4, 4)


def test_an_op_without_a_schema_takes_the_shapes_of_the_lists(client):
    options = {"batch_sizes": [2], "seq_lengths": [3], "hidden_dims": [5], "edge_cases": []}

    batch = client.get_test_batch("shapeless", 3, 1, shape_options=options)

    assert [case["shape"] for case in batch] == [(2, 3, 5)] * 3
    x = np.ones((2, 2, 2, 2), np.float32)
    assert client.validate_op("shapeless", {"input": x}, -x).passed


def test_a_baseline_shows_what_got_worse(client, x):
    client.validate_op("softmax", {"input": x}, softmax(x), seed=600)
    client.store_baseline("before")
    client.validate_op("softmax", {"input": x}, -x, seed=600)

    rows = {row.seed: row for row in client.compare_baseline("before")}

    assert (rows[600].regression, rows[600].passed_before, rows[600].passed) == (True, True, False)
    with pytest.raises(ClientError, match="no baseline 'after'"):
        client.compare_baseline("after")


@pytest.mark.parametrize(
    ("call", "code", "text"),
    [
        (lambda c, x: c.validate_op("sofmax", {"x": x}, x), "OpNotFound", "did you mean 'softmax'"),
        (lambda c, x: c.validate_op("softmax", {"x": x}, x, dm=1), "ConfigError", "unknown param 'dm'"),
        (lambda c, x: c.validate_op("matmul", {"x": x}, x), "ConfigError", "'x'"),
        (lambda c, x: c.validate_op("raises", {"x": x}, x), "ReferenceScriptFailed", "ValueError: no answer"),
        (lambda c, x: c.validate_op("crashes", {"x": x}, x), "ReferenceScriptFailed", "killed by signal 6"),
        (lambda c, x: c.validate_op("eats", {"x": x}, x), "ReferenceScriptFailed", "Unable to allocate"),
        (lambda c, x: c.reproduce(99), "NotFound", "no failure of seed 99 is stored"),
        (lambda c, x: c.get_result(2**64), "InvalidRequest", "expected a whole number from 0 to 2**64 - 1"),
        (lambda c, x: c.get_test_case("softmax", 1, dtypes=["fp16"]), "ConfigError", "'fp16' is not a dtype"),
        (lambda c, x: c.get_test_case("softmax", 1, colour=3), "InvalidRequest", "unknown key 'colour'"),
    ],
)
def test_an_error_has_its_code_and_the_next_request_is_answered(client, x, call, code, text):
    with pytest.raises(ClientError) as caught:
        call(client, x)

    assert caught.value.code == code
    assert text in str(caught.value)
    assert client.validate_op("softmax", {"input": x}, softmax(x)).passed


def test_a_reference_that_hangs_is_stopped_and_others_are_served_meanwhile(client, x):
    client.validate_op("softmax", {"input": x}, softmax(x))
    caught: list[ClientError] = []

    def ask() -> None:
        try:
            client.validate_op("hangs", {"input": x}, x)
        except ClientError as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert client.validate_op("softmax", {"input": x}, softmax(x)).passed
    thread.join(30)

    assert caught[0].code == "ReferenceScriptFailed"
    assert "took longer than 2 s" in str(caught[0])


def test_without_a_daemon_the_error_says_how_to_start_one(tmp_path):
    with pytest.raises(ClientError) as caught:
        Client(tmp_path / "no.sock").ping()

    assert str(caught.value) == (
        f"Cannot connect to daemon at {tmp_path / 'no.sock'}: is it running? "
        "Start it with: gpuemu daemon start"
    )


def test_the_socket_is_found_by_its_variable(daemon, monkeypatch):
    monkeypatch.setenv("GPUEMU_SOCKET", str(daemon.socket_path))

    with Client() as client:
        assert client.ping() == "pong"


@pytest.mark.parametrize("atol", [1e-2, "1e-2"])
def test_a_tolerance_of_the_call_holds_in_place_of_the_derived_one(client, x, atol):
    """Guards: validate_pytorch(..., atol=...) of the package on PyPI sends it among the params, as a text."""
    near = softmax(x) + np.float32(1e-3)

    assert client.validate_op("softmax", {"input": x}, near, atol=atol).passed
    assert client.validate_op("softmax", {"input": x}, near, atol=atol, rtol=0, dim=-1).passed
    failed = client.validate_op("softmax", {"input": x}, near, rtol=1e-6)
    assert not failed.passed
    assert "(call)" in failed.text


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda c, x: c.validate_op("relu", {"input": x}, x, atol=-1), "atol = -1: expected a finite number"),
        (
            lambda c, x: c.validate_op("relu", {"input": x}, x, rtol="a"),
            "rtol = 'a': expected a finite number",
        ),
        (lambda c, x: c.validate_op("relu", [x], x), "inputs is a list; expected a dict of arrays by name"),
        (lambda c, x: c.validate_op("relu", x, x), "inputs is a ndarray; expected a dict"),
        (
            lambda c, x: c.validate_op("relu", {"input": [1.0]}, x),
            "the caller (input 'input') returned a list",
        ),
        (lambda c, x: c.validate_op("relu", {"input": x}, None), "the op returned None: return the output"),
        (lambda c, x: c.validate_op("relu", {"input": x.astype("c8")}, x), "dtype complex64 cannot be sent"),
        (lambda c, x: c.validate_op("relu", {"input": x}, x, seed=-1), "expected a whole number from 0"),
        (lambda c, x: c.validate_op("relu", {"input": x}, x, seed={1}), "set is not JSON"),
        (lambda c, x: c.submit_output("relu", 5), "submit_output('relu'): output is missing; write"),
        (lambda c, x: c.submit_output("relu", {"input": x}, x), "submit_output('relu'): seed is missing"),
        (lambda c, x: c.fuzz_op_client_side("relu", op_fn=abs, iterations=0), "iterations = 0: expected"),
        (lambda c, x: c.fuzz_op("twice_of_nine", iterations=-1), "or nothing is tested"),
        (lambda c, x: c.store_baseline(" "), "tag = ' ': expected a name, such as 'v1'"),
        (lambda c, x: Client(timeout_ms=0), "timeout_ms = 0: expected a number of milliseconds > 0"),
        (lambda c, x: Client(timeout_ms="1 s"), "timeout_ms = '1 s': expected"),
    ],
)
def test_a_wrong_argument_is_said(client, x, call, text):
    with pytest.raises((ClientError, OutputError)) as caught:
        call(client, x)

    assert text in str(caught.value)


def test_whole_numbers_of_numpy_are_numbers(client, x):
    """Guards: a seed out of an array was "not JSON"."""
    result = client.validate_op("relu", {"input": x}, np.maximum(x, 0), seed=np.int64(77))
    (case,) = client.get_test_batch("relu", np.int64(1), np.uint64(5), dtypes=["float32"])
    seeds = np.array([3, 4])
    output = np.maximum(case["inputs"]["input"], 0)

    assert client.get_result(np.int64(77)) == result
    assert [given["seed"] for given in client.get_test_batch("relu", seeds)] == [3, 4]
    assert client.submit_output("relu", np.uint64(case["seed"]), output).passed
    assert len(client.list_results(np.int32(1))) == 1
