"""Campaigns of an op that runs where the client is: what it gets, what it raises, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pytest_gpuemu.client import ClientError
from pytest_gpuemu.client.transport import NngTransport, ask
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.wire_arrays import to_tensor


class Evil:
    def __array__(self, *_, **__):
        raise LookupError("no array")


def test_fuzzing_gives_the_inputs_as_a_dict_or_by_name(client):
    by_dict = client.fuzz_op_client_side("twice", lambda inputs: inputs["x"] * 2, 3, 7, dtypes=["float32"])
    by_name = client.fuzz_op_client_side(
        "twice", op_fn=lambda x: x * 2, iterations=3, seed=7, dtypes=["float32"]
    )

    assert (by_dict.total, by_dict.passed, by_dict.failed) == (3, 3, 0)
    assert by_name == by_dict
    with pytest.raises(ClientError, match="give either op_fn or run_op"):
        client.fuzz_op_client_side("twice")


def test_fail_fast_stops_at_the_first_failure(client):
    results = client.fuzz_op_client_side("twice", lambda inputs: inputs["x"] * 3 + 1, 5, 7, True)

    assert (results.total, results.failed) == (1, 1)


def test_what_the_op_raises_is_a_failure_that_is_kept(client):
    def broken(x):
        raise ZeroDivisionError("in the kernel")

    (failure,) = client.fuzz_op_client_side("twice", op_fn=broken, iterations=1, seed=3).failures

    assert failure.failures[0].kind == "ExecutionError"
    assert str(failure.failures[0]) == "ZeroDivisionError: in the kernel"
    assert "in broken" in failure.text
    assert failure.max_diff == float("inf")
    assert client.reproduce(failure.seed).inputs["x"].shape == failure.repro_info.shape


@pytest.mark.parametrize(
    ("output", "kind", "message"),
    [
        (lambda x: None, "ExecutionError", "None"),
        (lambda x: "text", "ExecutionError", "str"),
        (lambda x: (x, x), "ExecutionError", "tuple of 2"),
        (lambda x: x.astype(complex), "ExecutionError", "complex128"),
        (lambda x: Evil(), "ExecutionError", "LookupError: no array"),
        (lambda x: x.astype("i4"), "DTypeMismatch", "int32"),
        (lambda x: np.append(x, x), "ShapeMismatch", "shape"),
    ],
)
def test_an_output_that_cannot_be_judged_is_a_failure_of_its_case(client, output, kind, message):
    """Guards: what cannot be sent, or is none of the op's outputs, ended the campaign without a trace."""
    results = client.fuzz_op_client_side("twice", op_fn=output, iterations=3, seed=3, dtypes=["float32"])

    assert (results.total, results.failed) == (3, 3)
    for failure in results.failures:
        assert failure.failures[0].kind == kind
        assert message in str(failure.failures[0])
        assert client.get_result(failure.seed, "twice") == failure


def test_an_input_that_the_op_spoils_is_a_failure(client):
    """Guards: the daemon judges by inputs of its own, and never saw what became of the op's."""

    def doubles_in_place(x):
        x *= 2
        return x.copy()

    given = {"values": ["integers"], "dims": {"N": [9]}, "dtypes": ["float32"], "layouts": ["contiguous"]}
    (failure,) = client.fuzz_op_client_side("twice", None, 1, 5, op_fn=doubles_in_place, **given).failures

    assert [found.kind for found in failure.failures] == ["InputModified"]
    assert "of 9 elements" in failure.failures[0]
    again = client.reproduce(failure.seed, op_fn=doubles_in_place)
    assert [found.kind for found in again.result.failures] == ["InputModified"]
    assert np.array_equal(again.inputs["x"], client.reproduce(failure.seed).inputs["x"])


def test_an_op_that_overwrites_its_input_need_not_return_it(client):
    def doubles_in_place(x):
        x *= 2

    assert (
        client.fuzz_op_client_side("twice_in_place", op_fn=doubles_in_place, iterations=3, seed=1).passed == 3
    )


def test_a_fuzz_config_of_unknown_keys_is_refused(client):
    message = {"type": "SubmitOutput", "op_name": "twice", "seed": 1, "fuzz_config": {"colour": 3}}

    with pytest.raises(ClientError, match="fuzz_config: unknown key 'colour'"):
        ask(
            NngTransport(Path(client.socket_path), timeout_ms=30_000),
            {**message, "output": to_tensor(np.ones(1))},
        )


def test_a_reference_that_fails_is_a_failure_of_its_case(client):
    """Guards: an Error for one case lost the others, and nothing was stored of it."""
    results = client.fuzz_op_client_side("raises", lambda inputs: inputs["input"], 2, 3)

    assert (results.total, [found.failures[0].kind for found in results.failures]) == (
        2,
        ["ReferenceError"] * 2,
    )
    assert "ValueError: no answer" in results.failures[0].text
    case = client.get_test_case("crashes", 3)
    (failure,) = client.submit_output("crashes", case["seed"], case["inputs"]["input"]).failures
    assert failure.kind == "ReferenceError"
    assert client.reproduce(case["seed"]).inputs["input"].shape == case["shape"]


def test_a_case_that_cannot_run_here_is_counted_and_none_at_all_is_an_error(client):
    def on_a_gpu(x):
        if len(x) > 50:
            raise CannotRunHere("no GPU")
        return 2 * x

    sizes = {"N": [4, 60]}
    some = client.fuzz_op_client_side("twice", op_fn=on_a_gpu, iterations=8, seed=1, dims=sizes)
    assert 0 < some.could_not_run < 8
    assert some.total == some.could_not_run + some.passed == 8
    assert some.notes == ("no GPU",)
    with pytest.raises(ClientError, match="none of the 2 cases of 'twice' could run here: no GPU"):
        client.fuzz_op_client_side("twice", op_fn=on_a_gpu, iterations=2, dims={"N": [60]})


def test_what_was_ignored_is_said(client):
    options = {"batch_sizes": [2], "seq_lengths": [3], "hidden_dims": [5]}

    results = client.fuzz_op_client_side("twice", op_fn=lambda x: 2 * x, iterations=1, shape_options=options)

    assert results.notes == ("shape_options ignored: the op has a schema, whose dims decide its shapes",)


def test_a_failure_of_the_client_is_run_again_in_the_layouts_that_it_had(client):
    def wrong_if_strided(x):
        return 2 * x if x.flags.c_contiguous else 3 * x

    given = {"dims": {"N": [40]}, "layouts": ["strided"], "values": ["normal"], "dtypes": ["float32"]}
    (failure,) = client.fuzz_op_client_side(
        "twice", op_fn=wrong_if_strided, iterations=1, seed=2, **given
    ).failures

    assert not client.reproduce(failure.seed).was_run
    assert client.reproduce(failure.seed).inputs["x"].strides == failure.repro_info.strides
    assert not client.reproduce(failure.seed, op_fn=wrong_if_strided).result.passed
    assert client.reproduce(failure.seed, op_fn=lambda x: 2 * x).result.passed
    assert not client.get_result(failure.seed, "twice").passed
