"""validate_op as a context manager, with and without a daemon."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu import Client, ConfigError, OutputError, UnknownOpError
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.validation import validate_op

X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)
E = np.exp(X.astype(np.float64))
SOFTMAX = (E / E.sum(-1, keepdims=True)).astype(np.float32)


def test_a_right_output_passes_and_a_wrong_one_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with validate_op("softmax", inputs={"logits": X}) as ctx:
        ctx.set_output(SOFTMAX)
    assert ctx.result.passed

    with validate_op("softmax", inputs={"logits": X}, dim=0) as ctx:
        ctx["output"] = SOFTMAX
    assert not ctx.result.passed
    assert ctx.result.failures[0].kind == "ToleranceExceeded"


def test_a_client_judges_and_stores(tmp_path):
    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    with Client(daemon.socket_path) as client:
        with validate_op("softmax", inputs={"input": X}, client=client, seed=9) as ctx:
            ctx.set_output(SOFTMAX)
        assert client.get_result(9) == ctx.result
    daemon.stop()


def test_a_block_that_sets_no_output_is_an_error():
    with (
        pytest.raises(OutputError, match="set no output, so nothing was checked"),
        validate_op("softmax", inputs={"input": X}),
    ):
        pass


def test_the_result_is_there_after_the_block():
    with validate_op("softmax", inputs={"input": X}) as ctx:
        with pytest.raises(OutputError, match="once the with block has ended"):
            ctx.result  # noqa: B018
        ctx.set_output(SOFTMAX)


def test_an_exception_of_the_block_is_its_own():
    with pytest.raises(ZeroDivisionError), validate_op("softmax", inputs={"input": X}):
        1 / 0  # noqa: B018


def test_an_unknown_op_is_said():
    with (
        pytest.raises(UnknownOpError, match="did you mean 'softmax'"),
        validate_op("sofmax", inputs={"input": X}) as ctx,
    ):
        ctx.set_output(X)


def test_inputs_that_have_no_names_are_said():
    with pytest.raises(ConfigError, match="inputs is a list; expected a dict of arrays"):
        validate_op("relu", [np.ones(3)])


def test_a_tolerance_of_the_call_holds():
    x = np.linspace(-1, 1, 6, dtype=np.float32)
    for atol, passes in ((1e-2, True), (1e-4, False)):
        with validate_op("relu", {"input": x}, atol=atol) as ctx:
            ctx.set_output(np.maximum(x, 0) + np.float32(1e-3))
        assert ctx.result.passed is passes
