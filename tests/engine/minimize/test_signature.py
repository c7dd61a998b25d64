"""Signatures: which smaller failure is the same one."""

from __future__ import annotations

import numpy as np
import pytest
from broken_kernels import double_op

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.minimize import signature_of, signature_of_error

OP = double_op(dtypes=["float32"], values=["uniform"], layouts=["contiguous"])


def signature(change, cols=40):
    case = make_case(OP, 3, f"rows=3,cols={cols}")
    output = case.originals["x"] * np.float32(2)
    change(output)
    return signature_of(judge(case, output))


def tail(y):
    y[:, 32:] = 0


def everything(y):
    y[...] += 1


def one_row(y):
    y[1] += 1


def slightly(y):
    y *= np.float32(1.0001)


def with_nan(y):
    y[...] = np.nan


def with_inf(y):
    y[0, 0] = np.inf


@pytest.mark.parametrize(
    ("failure", "smaller", "kept"),
    [
        (everything, everything, True),
        (everything, one_row, True),
        (one_row, everything, True),
        (everything, tail, False),
        (one_row, tail, False),
        (tail, tail, True),
        (tail, everything, True),
        (tail, one_row, False),
        (everything, slightly, False),
        (slightly, slightly, True),
        (everything, with_nan, False),
        (with_nan, everything, False),
        (with_nan, with_inf, False),
    ],
)
def test_a_smaller_failure_is_the_same_or_not(failure, smaller, kept):
    assert signature(failure).is_kept_by(signature(smaller)) is kept


def test_a_lost_infinity_is_no_error_of_size():
    op = double_op(dtypes=["float32"], values=["nonfinite"])
    case = make_case(op, 3, "rows=3,cols=9")
    output = np.where(np.isfinite(case.originals["x"]), case.originals["x"] * np.float32(2), np.float32(0))

    assert signature_of(judge(case, output)).how == {"lost"}


def test_exceptions_are_alike_by_type_and_place():
    error = signature_of_error("builtins.ValueError at k.py:3")

    assert error.is_kept_by(signature_of_error("builtins.ValueError at k.py:3"))
    assert not error.is_kept_by(signature_of_error("builtins.ValueError at k.py:4"))
    assert not error.is_kept_by(signature(everything))


def test_a_wrong_shape_stays_a_wrong_shape():
    case = make_case(OP, 3, "rows=3,cols=9")

    wrong_shape = signature_of(judge(case, np.zeros((3, 8), np.float32)))

    assert wrong_shape.kinds == {"ShapeMismatch output"}
    assert not wrong_shape.is_kept_by(signature(everything))
