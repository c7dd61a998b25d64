"""The spread of moved inputs: what it sees, and that it is the same on every run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "trace"))
from traced_case import case_of, f32

from pytest_gpuemu.engine.spread import spread

X = np.array([[1.0, 1000.0, -3.5], [0.0, 2.0, -np.inf]], f32)


def test_an_output_moves_with_its_input_by_up_to_two_units():
    moved = spread(lambda x: x, case_of(lambda x: x, x=X), compute="float32")["y"]
    finite = np.isfinite(X) & (X != 0)
    assert (moved[finite] <= 2.0 * 2.0**-24 * np.abs(X[finite])).all()
    assert (
        moved[finite] >= 0.5 * 2.0**-24 * np.abs(X[finite])
    ).all()  # eight draws: 0.25 of the range at least
    assert (moved[~finite] == 0).all()


def test_the_input_unit_is_that_of_the_arithmetic():
    x = X[:1].astype(np.float64)
    moved = spread(lambda x: x, case_of(lambda x: x, x=x), compute="float64")["y"]
    assert (moved <= 3.0 * 2.0**-53 * np.abs(x)).all()
    assert moved.any()


def test_it_is_deterministic_and_leaves_the_case_alone():
    case = case_of(np.exp, x=X[:1] / 100)
    before = case.originals["x"].copy()
    first = spread(np.exp, case, compute="float32")["y"]
    assert (spread(np.exp, case, compute="float32")["y"] == first).all()
    assert (case.originals["x"] == before).all()


def test_a_shared_shift_cancels_as_in_any_kernel():
    def log_softmax(x):
        shifted = x - x.max(axis=-1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))

    x = np.array([[1000.0, 1000.0, 900.0]], f32)
    moved = spread(log_softmax, case_of(log_softmax, x=x), compute="float32")["y"]
    assert 1e-6 < moved.max() < 1000 * 2.0**-20


def test_a_result_that_becomes_nan_or_finite_is_infinitely_far():
    def reference(x):
        return np.where(x == 3.0, np.nan, x)

    moved = spread(reference, case_of(reference, x=np.array([3.0, 4.0], f32)), compute="float32")["y"]
    assert moved[0] == np.inf
    assert moved[1] < 1e-5


def test_a_reference_that_raises_on_moved_inputs_is_undetermined():
    def reference(x):
        if x[0] != 3.0:
            raise ValueError("only three")
        return x

    moved = spread(reference, case_of(reference, x=np.array([3.0, 4.0], f32)), compute="float32")["y"]
    assert moved == pytest.approx([np.inf, np.inf])
