"""Failures that need several sizes in a relation: no single size can be made smaller alone."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from broken_kernels import double, double_op, failing_seed, failure_of, minimized

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.minimize import minimize, signature_of_error
from pytest_gpuemu.engine.minimize.attempts import elements
from pytest_gpuemu.engine.plan import parse_case_id, plan_case

RECTANGLE = double_op(
    dims={"rows": (1, 100), "cols": (1, 100)}, values=["uniform"], dtypes=["float32"], layouts=["contiguous"]
)


def wrong_where(is_wrong):
    return lambda x: double(x) + (1 if is_wrong(*x.shape) else 0)


@pytest.mark.parametrize(
    ("is_wrong", "least", "at_least"),
    [
        pytest.param(lambda m, n: n == 2 * m and m > 4, 50, 500, id="N == 2*M"),
        pytest.param(lambda m, n: 3 * m == 2 * n and m > 4, 54, 300, id="3*M == 2*N"),
        pytest.param(lambda m, n: m == n and m > 4, 25, 400, id="M == N"),
        pytest.param(lambda m, n: m * n > 1000, 1003, 5000, id="M*N > 1000"),
        pytest.param(lambda m, n: m % 7 == 0 and n % 7 == 0, 49, 1200, id="both multiples of 7"),
        pytest.param(lambda m, n: m % n == 0 and n > 3 and m > n, 32, 1200, id="M a multiple of N"),
    ],
)
def test_coupled_sizes_shrink_together(is_wrong, least, at_least):
    """Guards: one size after the other, the search stuck at 72, 96, 25, 1008, 3969 and 243 elements."""
    kernel = wrong_where(is_wrong)
    seed = failing_seed(RECTANGLE, kernel, lambda plan: elements(plan) > at_least)

    found = minimized(RECTANGLE, kernel, seed, max_cases=200)

    assert elements(found.plan) <= least
    assert all(found.plan.dims[name] <= size for name, size in found.original.dims.items())


def test_three_sizes_are_traded_for_each_other():
    op = define_op(
        "cube", reference=lambda x: x, schema="x[A,B,C] -> [A,B,C]", dims=dict.fromkeys("ABC", (1, 30))
    )

    def fails(case_id):
        dims = plan_case(op, *parse_case_id(case_id)).dims
        return signature_of_error("it fails") if dims["A"] * dims["B"] * dims["C"] >= 1024 else None

    volumes = {s: np.prod(list(plan_case(op, s).dims.values())) for s in (2, 6, 7, 18, 19)}

    found = [minimize(op, s, "", fails, max_cases=200) for s in volumes]

    assert min(volumes.values()) > 4000
    assert max(elements(x.plan) for x in found) <= 1050  # one by one, up to 1080


def test_no_run_is_made_beyond_the_budget_by_hypothesis_either():
    kernel = wrong_where(lambda m, n: m % 7 == 0 and n % 7 == 0)
    seed = failing_seed(RECTANGLE, kernel, lambda plan: elements(plan) > 1200)
    runs = []

    def fails(case_id):
        runs.append(case_id)
        return failure_of(RECTANGLE, kernel, case_id)

    found = minimize(RECTANGLE, seed, "", fails, max_cases=60)

    assert len(runs) == found.cases == 60
    assert not found.is_complete
    assert len(set(runs)) == 60
    assert failure_of(RECTANGLE, kernel, found.case_id)


def test_a_slow_kernel_ends_the_search_by_hypothesis_too():
    """A run takes a second of a clock that is not the wall's: none is begun when the time is over."""
    kernel = wrong_where(lambda m, n: m % 7 == 0 and n % 7 == 0)
    seed = failing_seed(RECTANGLE, kernel, lambda plan: elements(plan) > 1200)
    now = [0.0]

    def fails(case_id):
        now[0] += 1.0
        return failure_of(RECTANGLE, kernel, case_id)

    found = minimize(RECTANGLE, seed, "", fails, max_cases=200, time_s=59.5, clock=lambda: now[0])

    assert (found.cases, found.is_complete) == (60, False)


def test_what_other_passes_settle_needs_no_hypothesis(monkeypatch):
    """Guards: a third of a second for its import in every failing test."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    kernel = wrong_where(lambda m, n: n > 64)

    found = minimized(RECTANGLE, kernel, failing_seed(RECTANGLE, kernel))

    assert found.plan.dims == {"rows": 1, "cols": 65}


def test_an_interrupt_ends_the_search_at_once():
    def fails(case_id):
        plan = plan_case(RECTANGLE, *parse_case_id(case_id))
        if elements(plan) < 30:
            raise KeyboardInterrupt
        return signature_of_error("it fails") if plan.dims["rows"] == plan.dims["cols"] else None

    seed = next(
        s
        for s in range(4000)
        if len(set(plan_case(RECTANGLE, s).dims.values())) == 1 and elements(plan_case(RECTANGLE, s)) > 900
    )

    with pytest.raises(KeyboardInterrupt):
        minimize(RECTANGLE, seed, "", fails)
