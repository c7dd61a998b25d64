"""A store that cannot be used: outputs are judged all the same, and it is said that nothing is stored.

Elsewhere: the file (engine/store/test_opening.py), a session of pytest (pytest_items/test_recording.py).
"""

from __future__ import annotations

import numpy as np
import pytest
from one_failure import failure

from pytest_gpuemu.client import Client, ClientError
from pytest_gpuemu.client.launch import start_daemon
from pytest_gpuemu.client.recorder import Recorder


def test_a_store_that_cannot_be_opened_leaves_the_rest_working(tmp_path):
    (tmp_path / ".gpuemu").mkdir()
    (tmp_path / ".gpuemu" / "gpuemu.db").write_bytes(b"no database" * 100)

    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    recorder = Recorder(daemon.socket_path)

    assert "cannot be read as a store" in str(recorder.store_error())
    with pytest.raises(ClientError, match="cannot be read as a store") as caught:
        recorder.failure(failure(1))
    assert caught.value.code == "StoreError"
    recorder.close()
    daemon.stop()


def test_a_verdict_comes_back_where_the_store_cannot_be_written(tmp_path):
    """Guards: with a store of a newer version every validate_op was an error, and every campaign."""
    (tmp_path / ".gpuemu").mkdir()
    file = tmp_path / ".gpuemu" / "gpuemu.db"
    file.write_bytes(b"no database" * 100)
    x = np.ones(3, np.float32)

    def wrong(input):
        if input.size > 20:
            raise ValueError("no more than 20")
        return input - 1

    daemon = start_daemon(tmp_path, tmp_path / ".gpuemu")
    with Client(daemon.socket_path) as client:
        with pytest.warns(UserWarning, match="not stored: .* cannot be read as a store"):
            judged = [client.validate_op("relu", {"input": x}, output) for output in (x, x + 1)]
        with pytest.warns(UserWarning, match="not stored"):
            found = client.fuzz_op_client_side("relu", op_fn=wrong, iterations=8, seed=1)
        (case,) = client.get_test_batch("relu", 1, dims={"rows": [1]})
        relu = np.maximum(case["inputs"]["input"], 0)
        with pytest.warns(UserWarning, match="not stored"):
            submitted = client.submit_output("relu", case["inputs"], relu, case["seed"])
        with pytest.raises(ClientError, match="cannot be read as a store") as refused:
            client.submit_output(
                "relu", case["seed"], relu
            )  # the seed alone does not say how it was narrowed
        with pytest.raises(ClientError, match="cannot be read as a store"):
            client.get_result(case["seed"])
    daemon.stop()

    assert submitted.passed
    assert [result.passed for result in judged] == [True, False]
    assert all("not stored: " in result.notes[-1] for result in judged)
    assert (found.total, found.failed) == (8, 8)
    assert {failure.failures[0].kind for failure in found.failures} == {"ExecutionError", "ToleranceExceeded"}
    assert all("not stored: " in failure.notes[-1] for failure in found.failures)
    assert "not stored: " in found.notes[-1]
    assert refused.value.code == "StoreError"
    assert file.read_bytes() == b"no database" * 100
