"""The cells of an output in a report."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.verdict import Comparison, ErrorStats
from pytest_gpuemu.report.grid import error_grid


def comparison_of(output, reference, exceeding, dtype="float32"):
    return Comparison(
        name="y",
        shape=np.shape(output),
        dtype=dtype,
        stats=ErrorStats(count=np.size(output), num_exceeding=int(np.sum(exceeding))),
        worst=None,
        tolerance="derived",
        method="trace",
        output=np.asarray(output, dtype),
        reference=np.asarray(reference, np.float64),
        exceeding=np.asarray(exceeding),
    )


@pytest.mark.parametrize("shape", [(), (5,), (300, 70), (3, 1, 129, 65), (20001,)])
def test_a_cell_counts_its_wrong_elements_and_knows_its_largest_error(shape):
    rng = np.random.default_rng(1)
    exceeding = rng.random(shape) < 0.3
    output = np.where(exceeding, 1.0 + rng.integers(1, 50, shape) * 2.0**-23, 1.0)

    grid = error_grid(comparison_of(output, np.ones(shape), exceeding), 4096)

    assert np.prod(grid["cells"], dtype=int) <= 4096
    assert sum(grid["wrong"]) == np.sum(exceeding)
    wrong, largest = (np.reshape(grid[name], grid["cells"]) for name in ("wrong", "largest"))
    error = np.where(exceeding, (output - 1) * 2.0**23, 0.0)
    for at in np.ndindex(*grid["cells"]):
        part = tuple(slice(i * cell, (i + 1) * cell) for i, cell in zip(at, grid["cell"], strict=True))
        assert wrong[at] == np.sum(exceeding[part])
        assert largest[at] == np.max(error[part])


def test_small_outputs_are_not_gathered():
    grid = error_grid(comparison_of(np.ones((3, 4)), np.ones((3, 4)), np.zeros((3, 4), bool)))

    assert (grid["cell"], grid["cells"], grid["unit"]) == ([1, 1], [3, 4], "ulp")


def test_integers_are_off_by_units():
    grid = error_grid(comparison_of([1, 5], [1, 2], [False, True], "int32"))

    assert (grid["unit"], grid["largest"]) == ("1", [0, 3])


def test_an_error_that_is_not_finite_is_named_and_agreement_is_none():
    inf, nan = np.inf, np.nan

    grid = error_grid(comparison_of([nan, inf, nan, inf], [nan, inf, 1.0, -inf], [False, False, True, True]))

    assert grid["largest"] == [0, 0, "inf", "inf"]


def test_an_empty_output_has_none():
    assert error_grid(comparison_of(np.ones((0, 3)), np.ones((0, 3)), np.zeros((0, 3), bool))) is None
