"""Client.minimize: an op that runs in the caller's process, on smaller and smaller cases."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.client import ClientError

LAYOUTS = ["contiguous", "strided"]


def twice(x):
    """Wrong from ten elements on."""
    y = x * x.dtype.type(2)
    return y if x.size < 10 else y + x.dtype.type(1)


@pytest.fixture
def failed(client):
    """A stored failure of `twice` with more than ten elements."""
    found = client.fuzz_op_client_side("twice", op_fn=twice, iterations=40, seed=3, layouts=LAYOUTS)
    return next(result for result in found.failures if result.repro_info.shape[0] > 20)


def test_an_op_of_the_caller_is_minimized_and_the_smallest_case_stored(client, failed):
    found = client.minimize(failed.seed, op_fn=twice)

    assert (found.original_seed, found.minimized_seed) == (failed.seed, failed.seed)
    assert found.minimized_shape == (10,)
    assert "N=10" in found.edits
    assert found.case_id == f"{failed.seed}~{found.edits}"
    assert found.result.failures
    assert found.result.case_id == found.case_id
    assert found.iterations <= 100
    assert client.reproduce(found.case_id).inputs["x"].shape == (10,)


def test_the_positional_form_of_the_reference_and_a_dict_of_inputs(client, failed):
    found = client.minimize(failed.seed, "binary-search-dims", 100, lambda inputs: twice(inputs["x"]))

    assert found.edits == "N=10"


def test_no_more_than_max_iters_runs_search_for_it(client, failed):
    runs = []

    def counted(x):
        runs.append(1)
        return twice(x)

    client.minimize(failed.case_id, max_iters=5, op_fn=counted)

    assert len(runs) <= 6  # and one for the result


def test_an_exception_is_a_failure_to_minimize(client):
    def raises(x):
        if x.size >= 10:
            raise ValueError("too long")
        return twice(x)

    found = client.fuzz_op_client_side("twice", op_fn=raises, iterations=40, seed=4, layouts=LAYOUTS)

    smallest = client.minimize(found.failures[0].seed, op_fn=raises)

    assert smallest.minimized_shape == (10,)
    assert [failure.message for failure in smallest.result.failures] == ["ValueError: too long"]


def test_without_the_op_it_says_what_to_do(client, failed):
    with pytest.raises(
        ClientError, match=r"the daemon has no way to run 'twice'.*minimize\(seed, op_fn=\.\.\.\)"
    ):
        client.minimize(failed.seed)


def test_an_op_that_passes_is_named(client, failed):
    with pytest.raises(ClientError, match="'twice' passes this case now"):
        client.minimize(failed.seed, op_fn=lambda x: x * x.dtype.type(2))


def test_given_inputs_cannot_be_made_smaller(client):
    x = np.ones(4, np.float32)
    client.validate_op("twice", {"x": x}, x, seed=771)

    with pytest.raises(ClientError, match="the inputs of 'twice' were given by the caller"):
        client.minimize(771, op_fn=twice)


def test_an_unknown_strategy_and_an_unknown_seed_are_named(client, failed):
    with pytest.raises(ClientError, match="strategy = 'dims'"):
        client.minimize(failed.seed, "dims", op_fn=twice)
    with pytest.raises(ClientError, match="no failure of seed 424299"):
        client.minimize(424299, op_fn=twice)
