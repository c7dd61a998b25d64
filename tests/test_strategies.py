"""Hypothesis strategies: which cases they draw, what a failing one shrinks to, how it is named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis.errors import Unsatisfiable

from pytest_gpuemu import CannotRunHere, KernelMismatch, SeedError, UnknownOpError
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.edits import read_edits
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.strategies import case, cases

SEARCH = settings(database=None, deadline=None, phases=[Phase.generate, Phase.shrink])


def softmax(input, dim=-1):
    with np.errstate(all="ignore"):
        x = input.astype(np.float32)
        e = np.exp(x - x.max(dim, keepdims=True))
        return (e / e.sum(dim, keepdims=True)).astype(input.dtype)


def softmax_of_whole_blocks(input, dim=-1):
    """It sums whole blocks of 32 columns, and forgets the tail."""
    with np.errstate(all="ignore"):
        x = input.astype(np.float32)
        e = np.exp(x - x.max(-1, keepdims=True))
        whole = x.shape[-1] // 32 * 32 or x.shape[-1]
        return (e / e[..., :whole].sum(-1, keepdims=True)).astype(input.dtype)


def shrunk(kernel, *args, **keys):
    """What a failing case of a kernel shrinks to, as Hypothesis shows it."""

    @SEARCH
    @given(cases(*args, **keys))
    def test(given_case):
        given_case.run(kernel)

    with pytest.raises(KernelMismatch) as found:
        test()
    return found.value


def drawn(strategy, number=40):
    found = []

    @settings(SEARCH, max_examples=number, phases=[Phase.generate])
    @given(strategy)
    def collect(given_case):
        found.append(given_case)

    collect()
    return found


def test_the_cases_are_those_of_their_seeds():
    for found in drawn(cases("softmax"), 20):
        again = make_case(BUILTIN_OPS["softmax"], found.seed, found._plan.edits)

        assert found.inputs["input"].tobytes() == again.inputs["input"].tobytes()
        assert found.inputs["input"].strides == again.inputs["input"].strides
        assert found.layouts == again.plan.layouts


def test_most_cases_are_as_their_seed_draws_them():
    """Guards: numbers from integers(), which Hypothesis copies about: of 100 cases 11 were different, and
    every other one was small.
    """
    found = drawn(cases("matmul"), 100)
    as_drawn = [one for one in found if not one._plan.edits]

    assert len({one.seed for one in as_drawn}) > 50
    assert {one.dtype for one in as_drawn} == {"float16", "bfloat16", "float32"}


def test_a_correct_kernel_passes():
    @SEARCH
    @given(cases("softmax", dims={"rows": (1, 40), "cols": (1, 200)}))
    def test(given_case):
        given_case.run(softmax)

    test()


def test_a_tail_shrinks_to_one_row_and_one_column_behind_the_block():
    verdict = shrunk(softmax_of_whole_blocks, "softmax").verdict
    edits = read_edits(BUILTIN_OPS["softmax"], verdict.edits)
    plan = make_case(BUILTIN_OPS["softmax"], verdict.seed, verdict.edits).plan

    assert plan.dims == {"rows": 1, "cols": 33}
    assert (plan.dtype, plan.layouts["input"]) == ("float32", "contiguous")
    assert set(edits.values.values()) <= {"zeros", "ones"}


def test_a_layout_that_is_the_cause_stays():
    def reads_as_contiguous(input):
        flat = np.lib.stride_tricks.as_strided(input, (input.size,), (input.itemsize,))
        with np.errstate(all="ignore"):
            return np.exp(flat.astype(np.float64)).astype(input.dtype).reshape(input.shape)

    verdict = shrunk(
        reads_as_contiguous, "exp", layouts=["contiguous", "strided", "transposed"], dtypes=["float32"]
    ).verdict
    op = BUILTIN_OPS["exp"]
    plan = make_case(op, verdict.seed, verdict.edits).plan

    assert plan.layouts["input"] != "contiguous"
    assert max(plan.shapes["input"]) <= 3


def test_the_smallest_case_is_shown_as_the_call_that_makes_it():
    error = shrunk(softmax_of_whole_blocks, "softmax", dims={"cols": [7, 31, 40]})
    shown = next(line for line in str(error).splitlines() if "re-run" in line)
    code = shown.partition("@example(")[2].removesuffix(")")

    assert code in "\n".join(error.__notes__)  # the falsifying example
    again = eval(code, {"case": case})
    assert (again.seed, again.shape) == (error.verdict.seed, (1, 40))
    with pytest.raises(KernelMismatch):
        again.run(softmax_of_whole_blocks)


def test_a_function_among_the_keys_is_shown_by_its_name():
    def double(x):
        return 2 * x

    assert repr(case("twice", 7, reference=double, schema="x[N] -> [N]")) == (
        "case('twice', '7', reference=double, schema='x[N] -> [N]')"
    )


def test_a_named_case_is_an_explicit_example():
    seen = []

    @settings(SEARCH, phases=[Phase.explicit])
    @given(cases("softmax"))
    @example(case("softmax", "7~rows=1,cols=3"))
    def test(given_case):
        given_case.run(softmax)
        seen.append((given_case.seed, given_case.shape))

    test()
    assert seen == [(7, (1, 3))]


def test_cases_that_cannot_run_here_are_rejected_and_never_passed():
    """Guards: a test none of whose cases could run, and that passed."""

    @settings(SEARCH, max_examples=2, suppress_health_check=list(HealthCheck))
    @given(cases("softmax", layouts=["reversed"], dims={"rows": (2, 5), "cols": (2, 5)}, values=["uniform"]))
    def test(given_case):
        given_case.to("torch").run(softmax)

    with pytest.raises(Unsatisfiable):
        test()
    with pytest.raises(CannotRunHere, match=r"negative strides|not installed"):  # outside it is said
        case("softmax", 1, layouts=["reversed"], dims={"rows": [2], "cols": [3]}).to("torch").inputs  # noqa: B018


def test_undetermined_cases_are_rejected_and_never_passed():
    """In float32 nothing of x is left in x + 1e9, so no output near 1/x can be called wrong."""

    @settings(SEARCH, max_examples=2, suppress_health_check=list(HealthCheck))
    @given(
        cases(
            "lost",
            reference=lambda x: 1.0 / ((x + 1e9) - 1e9),
            schema="x[N] -> [N]",
            dims={"N": (1, 40)},
            inputs={"x": {"low": 1.0, "high": 2.0}},
            dtypes=["float32"],
            values=["uniform"],
        )
    )
    def test(given_case):
        given_case.run(lambda x: np.float32(1.001) / x)

    with pytest.raises(Unsatisfiable):
        test()


def test_a_wrong_name_is_an_error_of_the_test():
    @SEARCH
    @given(cases("sofmax"))
    def test(given_case):
        raise AssertionError("there is no such case")

    with pytest.raises(UnknownOpError, match="did you mean 'softmax'"):
        test()
    with pytest.raises(SeedError, match="edit 'row'"):
        case("softmax", "7~row=1")
