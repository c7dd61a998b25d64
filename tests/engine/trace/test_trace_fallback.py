"""What is done where a reference cannot be traced: coarse, but neither silent nor wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from traced_case import bound_of, draw, exceeding, f32

from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.trace.traced import Traced

X = draw("normal", 0, (5, 33))


def softmax_by_floats(x):
    rows = []
    for row in x:
        e = [math.exp(float(v) - float(max(row))) for v in row]
        rows.append([v / math.fsum(e) for v in e])
    return np.array(rows)


def test_a_correct_kernel_passes_and_a_gross_error_fails():
    bound = bound_of(softmax_by_floats, x=X)
    assert bound.method == "fallback"
    e = np.exp(X - X.max(axis=-1, keepdims=True))
    output = e / e.sum(axis=-1, keepdims=True, dtype=f32)
    assert not exceeding(output, bound).any()
    assert exceeding(output * f32(1.01), bound).any()
    assert exceeding(np.exp(X) / f32(33), bound).any()


def test_each_row_has_a_bound_of_its_own():
    def scaled(x):
        return np.array([[float(v) * 3 for v in row] for row in x])

    x = np.ones((2, 4), f32)
    x[1] = 1e6
    errors = bound_of(scaled, x=x).errors["y"]
    assert (errors[1] > 1e5 * errors[0]).all()


def test_integers_that_no_run_changes_are_exact_and_others_undetermined():
    def codes(x):
        return np.array([int(float(v) >= 3.0) for v in x])

    errors = bound_of(codes, x=np.array([1.0, 3.0, 9.0], f32)).errors["y"]
    assert errors.tolist() == [0.0, np.inf, 0.0]


def test_a_masked_element_keeps_its_infinity():
    def shifted(x):
        return np.array([float(v) + 1.0 for v in x])

    errors = bound_of(shifted, x=np.array([-np.inf, 1.0], f32)).errors["y"]
    assert errors[0] == 0.0
    assert 0 < errors[1] < 1e-3


def test_a_decision_flipped_beyond_the_budget_is_no_silent_pass():
    def reference(x):
        if (x / 3)[0] > 1.0:  # undecided at 3.0: the flipped run is the slow one
            return x
        for _ in range(50_000):
            x = x + 0.0
        return x

    bound = bound_of(reference, time_budget_s=0.1, x=np.array([3.0], f32))
    assert bound.method == "fallback"
    assert "time budget" in bound.note


def test_a_reference_that_does_not_run_at_all_says_so():
    def broken(x):
        raise ValueError("broken")

    with pytest.raises(ReferenceFailed, match="broken"):
        bound_of(broken, x=X)


def untraceable(reference):
    """The reference behind a conversion that the trace cannot follow."""

    def hidden(**inputs):
        return reference(*(np.array(x.tolist()).reshape(x.shape) for x in inputs.values()))

    return hidden


def test_tf32_operands_pass_where_they_are_declared_and_the_reference_cannot_be_traced():
    """Guards: the fallback knew float32's rounding alone, whatever compute= said."""

    def truncated(x):
        return (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(f32)

    a, b = draw("normal", 1, (20, 64)), draw("one-signed", 2, (64, 30))
    output = truncated(a) @ truncated(b)
    reference = untraceable(np.matmul)
    declared = bound_of(reference, compute="tf32", a=a, b=b)
    assert declared.method == "fallback"
    assert not exceeding(output, declared).any()
    assert exceeding(output, bound_of(reference, compute="float32", a=a, b=b)).any()
    assert exceeding(truncated(a[:, 1:]) @ truncated(b[1:]), declared).any()


def test_a_kernel_that_rounds_each_step_passes_under_storage_and_the_reference_cannot_be_traced():
    def softmax(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    x = draw("normal", 3, (40, 64), np.float16)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    output = e / e.sum(axis=-1, keepdims=True, dtype=f32).astype(np.float16)
    declared = bound_of(untraceable(softmax), compute="storage", x=x)
    assert declared.method == "fallback"
    assert not exceeding(output, declared).any()
    assert exceeding(output, bound_of(untraceable(softmax), x=x)).any()
    assert exceeding(output * np.float16(1.25), declared).any()


@pytest.mark.parametrize(("numbers", "traces"), [(np.array([0.0, 1.0]), 1), (None, 2)])
def test_what_cannot_be_followed_is_tried_again_only_where_a_range_may_be_why(numbers, traces):
    ran = []

    def reference(x):
        ran.append(isinstance(x, Traced))
        steps = np.arange(2.0) if numbers is None else numbers
        return np.array([float(x[0, 0]), *(x[0, 1:3] * steps)])

    assert bound_of(reference, x=X).method == "fallback"
    assert sum(ran) == traces
