"""Dropout by its statistics: the output of right kernels, and the nearest wrong ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays, make_case
from pytest_gpuemu.engine.define import narrow_op
from pytest_gpuemu.engine.dtypes import cast, to_float64
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.ops.random import _chance, _lags

DROPOUT = BUILTIN_OPS["dropout"]
SHAPE = (32, 64)


def mask(p=0.5, seed=1, shape=SHAPE):
    return np.random.default_rng(seed).random(shape) >= p


def case_of(p=0.5, dtype=np.float32, x=None, **params):
    if x is None:
        x = np.random.default_rng(0).standard_normal(SHAPE).astype(dtype)
    return case_from_arrays(DROPOUT, {"input": x}, {"p": p, **params})


def scaled(case, kept, p=0.5, scale=None):
    with np.errstate(all="ignore"):
        scale = 1 / (1 - p) if scale is None else scale
        return np.where(kept, case.inputs["input"] * np.float32(scale), 0).astype(np.float32)


def message_of(case, output):
    return " ".join(finding.message for finding in judge(case, output).findings)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_right_output_passes_at_every_p(p):
    case = case_of(p)
    for seed in range(50):
        assert judge(case, scaled(case, mask(p, seed), p) if p < 1 else np.zeros(SHAPE, np.float32)).passed


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_torch_s_own_kernel_passes_in_every_distribution(dtype):
    torch = pytest.importorskip("torch")
    op = narrow_op(DROPOUT, dtypes=[dtype], params={"p": [0.1, 0.5]}, library="torch", max_bytes=2**17)
    torch.manual_seed(0)
    for seed in range(40):
        case = make_case(op, seed)
        x = torch.from_numpy(to_float64(case.originals["input"]).copy()).to(getattr(torch, dtype))
        verdict = judge(case, torch.nn.functional.dropout(x, case.params["p"]))
        assert verdict.passed, (seed, verdict.findings)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_scale_that_is_rounded_in_the_output_s_type_passes_and_a_third_rounding_s_worth_more_does_not(
    dtype,
):
    """p = 0.1 scales by 1.11..., which float16 and bfloat16 do not hold."""
    x = cast(np.full(SHAPE, 1.0), dtype)
    case = case_of(0.1, x=x)
    kept = mask(0.1)
    scale = to_float64(cast(np.array(1 / 0.9), dtype))
    assert judge(case, cast(np.where(kept, scale, 0.0), dtype)).passed
    off = scale * (1 + 4 * (2.0**-10 if dtype == "float16" else 2.0**-7))
    assert "neither dropped nor scaled" in message_of(case, cast(np.where(kept, off, 0.0), dtype))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda case: scaled(case, mask(), scale=1), "neither dropped nor scaled"),
        (lambda case: scaled(case, mask(0.4)), "are kept, where p = 0.5 keeps 50.0%"),
        (lambda case: scaled(case, True), "2048 of 2048 elements (100.0%) are kept"),
        (lambda case: np.zeros(SHAPE, np.float32), "0 of 2048 elements (0.0%) are kept"),
        (lambda case: scaled(case, np.broadcast_to(mask()[0], SHAPE)), "elements 64 apart"),
        (lambda case: scaled(case, np.broadcast_to(mask()[:, :1], SHAPE)), "elements 1 apart"),
        (lambda case: scaled(case, np.tile(mask()[:1, :16], (32, 4))), "elements 16 apart"),
        (lambda case: scaled(case, np.indices(SHAPE).sum(0) % 2 == 0), "elements 2 apart"),
        (lambda case: np.full(SHAPE, np.nan, np.float32), "neither dropped nor scaled"),
    ],
    ids=["unscaled", "wrong p", "kept", "zeros", "one row", "one column", "one block", "checkerboard", "nan"],
)
def test_a_wrong_output_fails_and_says_why(wrong, message):
    case = case_of()
    verdict = judge(case, wrong(case))
    assert [finding.kind for finding in verdict.findings] == ["InvariantViolation"]
    assert message in verdict.findings[0].message


def test_one_element_that_is_neither_dropped_nor_scaled_is_named():
    case = case_of()
    output = scaled(case, mask())
    output[3, 5] = 77
    expected = 2 * float(case.inputs["input"][3, 5])
    assert message_of(case, output) == (
        "1 of 2048 elements are neither dropped nor scaled: output[3, 5] = 77.0 is not "
        f"input / (1 - p) = {expected!r} or 0 (p = 0.5)"
    )


def test_nothing_is_dropped_outside_of_training():
    case = case_of(training=False)
    x = case.inputs["input"]
    assert judge(case, x.copy()).passed
    assert "neither dropped nor scaled" in message_of(case, scaled(case, mask()))


def test_infinities_overflow_and_nan_are_kept_or_dropped():
    big, nan, inf = np.float32(3e38), np.nan, np.inf
    case = case_of(x=np.array([[big, inf, -inf, nan, 0.0]], np.float32))

    def passes(*output):
        return judge(case, np.array([output], np.float32)).passed

    assert passes(inf, inf, -inf, nan, 0)
    assert passes(0, nan, nan, nan, 0)
    assert passes(0, 0, 0, 0, 0)
    assert not passes(-inf, inf, -inf, nan, 0)
    assert not passes(big, inf, -inf, nan, 0)
    assert not passes(inf, -inf, -inf, nan, 0)
    assert not passes(inf, inf, -inf, 1, 0)
    assert not passes(inf, inf, -inf, nan, 1)


def test_few_elements_prove_nothing():
    case = case_of(x=np.ones((1, 20), np.float32))
    assert judge(case, np.full((1, 20), 2, np.float32)).passed


def test_the_bound_of_chance_is_above_the_exact_binomial_tail():
    """Else right kernels would fail more often than stated."""
    stats = pytest.importorskip("scipy.stats")
    for count, probability in ((30, 0.5), (200, 0.9), (1000, 0.1)):
        for found in range(0, count + 1, max(1, count // 25)):
            coin = stats.binom(count, probability)
            above, below = coin.sf(found - 1), coin.cdf(found)
            assert min(above, below) <= _chance(found, count, probability) * (1 + 1e-9)


def test_the_lags_are_powers_of_two_and_the_steps_of_rows():
    assert _lags((3, 5)) == [1, 2, 4, 5, 8]
    assert _lags((1,)) == []


def test_two_runs_may_differ_unless_the_marker_says_not():
    assert not DROPOUT.checks_for("deterministic")
    assert DROPOUT.checks_for("written")
    assert narrow_op(DROPOUT, checks={"deterministic": True}).checks_for("deterministic")
    assert dataclasses.replace(DROPOUT, statistics=None).checks_for("deterministic")
