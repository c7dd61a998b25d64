"""The tolerances of the API reference: the fixed ones, and those measured for an op."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu import (
    ConfigError,
    OutputError,
    ToleranceConfig,
    ToleranceProfile,
    calibrate_tolerance,
    get_recommended_tolerance,
)
from pytest_gpuemu.engine.dtypes import numpy_dtype


def test_the_numbers_are_those_that_were_published():
    assert ToleranceConfig.for_dtype("bfloat16") == ToleranceConfig(1e-2, 1e-1)
    assert ToleranceConfig.strict() == ToleranceConfig(1e-7, 1e-7)
    assert ToleranceConfig.relaxed() == ToleranceConfig(1e-3, 1e-3)
    assert ToleranceConfig.strict("float16") == ToleranceConfig(1e-4, 1e-3)
    assert ToleranceConfig.relaxed("float64") == ToleranceConfig(1e-8, 1e-7)


def test_a_profile_is_a_tolerance_and_answers_by_dtype():
    production = ToleranceProfile.get("production")

    assert (production.atol, production.rtol) == (1e-6, 1e-5)
    assert production.get("float16") == ToleranceConfig(5e-4, 5e-3)
    assert ToleranceProfile.for_testing().get("float32") == ToleranceConfig.for_dtype("float32")


def test_frameworks_and_kinds_of_op_scale():
    assert ToleranceProfile.for_cross_framework().atol == pytest.approx(1.5e-5)
    assert ToleranceProfile.for_cross_framework("numpy", "jax").atol == pytest.approx(2.25e-5)
    assert get_recommended_tolerance("float32", "attention").atol == pytest.approx(2.5e-5)
    assert get_recommended_tolerance("float32", operation="matmul", framework="jax").rtol == pytest.approx(
        2.25e-4
    )
    assert get_recommended_tolerance("float32", "layer_norm") == get_recommended_tolerance(
        "float32", "LayerNorm"
    )
    assert get_recommended_tolerance("float32", "layer_norm").atol == pytest.approx(2e-5)
    assert ToleranceConfig.for_dtype(np.float16) == ToleranceConfig.for_dtype("float16")
    assert ToleranceConfig(1.0, 2.0).scale(3.0) == ToleranceConfig(3.0, 6.0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ToleranceConfig.for_dtype("float61"), "no tolerance for the dtype 'float61'; did you mean"),
        (lambda: calibrate_tolerance(abs, abs, (3, 4)), "(3, 4) is one shape; write [(3, 4)]"),
        (lambda: ToleranceProfile.get("tests"), "no tolerance profile 'tests'; did you mean 'testing'?"),
        (lambda: get_recommended_tolerance("float32", "matmull"), "no op_type 'matmull'; did you mean"),
        (lambda: ToleranceProfile.for_cross_framework("jaxx"), "no framework 'jaxx'; did you mean 'jax'?"),
    ],
)
def test_an_unknown_name_is_said_with_the_nearest(call, text):
    with pytest.raises(ConfigError) as caught:
        call()

    assert text in str(caught.value)


@pytest.mark.parametrize("numbers", [(-1e-5, 0.0), (0.0, float("nan")), (float("inf"), 0.0)])
def test_a_tolerance_that_means_nothing_is_refused(numbers):
    with pytest.raises(ConfigError, match="expected a finite number >= 0"):
        ToleranceConfig(*numbers)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class TestCalibrate:
    def test_it_allows_the_control_and_little_more(self):
        """The error is made: one part in 2**12 of each output, so rtol must lie at 1.5 times that."""
        found = calibrate_tolerance(lambda x: x * np.float32(1 + 2.0**-12), lambda x: x, [(50, 20)], seed=3)

        assert found.rtol == pytest.approx(1.5 * 2.0**-12, rel=1e-3)
        assert found.atol == 0.0

    def test_what_an_op_adds_near_0_is_atol(self):
        found = calibrate_tolerance(lambda x: x + np.float32(2.0**-10), lambda x: x, [(100,)], n_samples=20)

        assert 2.0**-11 < found.atol <= 1.5 * 2.0**-10
        assert found.rtol < 2.0**-8

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_the_control_passes_under_it_on_other_inputs(self, dtype):
        found = calibrate_tolerance(
            lambda x: softmax(x.astype(np.float32)).astype(x.dtype), softmax, [(8, 100)], dtype, n_samples=40
        )
        x = np.random.default_rng(1).normal(size=(8, 100))

        rounded = x.astype(numpy_dtype(dtype))
        y = softmax(rounded.astype(np.float64))
        output = softmax(rounded.astype(np.float32)).astype(rounded.dtype).astype(np.float64)
        assert (np.abs(output - y) <= found.atol + found.rtol * np.abs(y)).all()
        roundoff = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}[dtype]
        assert roundoff <= found.rtol < 20 * roundoff

    def test_an_exact_op_may_still_round(self):
        assert calibrate_tolerance(lambda x: -x, lambda x: -x, [(9,)]) == ToleranceConfig(0.0, 2.0**-24)

    def test_a_shape_for_each_input_or_several_shapes_for_one(self):
        seen = []

        def matmul(a, b):
            seen.append((a.shape, b.shape))
            return a @ b

        calibrate_tolerance(matmul, np.matmul, [(3, 4), (4, 5)], n_samples=2)
        assert seen == [((3, 4), (4, 5))] * 2

        seen.clear()
        calibrate_tolerance(lambda x: seen.append(x.shape) or x, lambda x: x, [(3,), (4, 5)], n_samples=3)
        assert seen == [(3,), (4, 5), (3,)]

    def test_the_names_of_the_published_package_and_its_order_of_samples(self):
        by_names = calibrate_tolerance(
            reference_fn=lambda x: np.exp(x), test_fn=np.exp, input_shapes=[(30,)], dtype="float16", seed=5
        )
        assert by_names == calibrate_tolerance(np.exp, np.exp, [(30,)], "float16", seed=5)
        assert by_names.rtol < 2.0**-9

    def test_an_overflow_of_the_output_dtype_is_no_error_of_the_op(self):
        found = calibrate_tolerance(
            lambda x: (x.astype(np.float64) * 60000).astype(np.float16),
            lambda x: 60000 * x,
            [(50,)],
            "float16",
        )
        assert found.rtol < 2.0**-9

    def test_a_sample_of_all_infinities_says_nothing(self):
        found = calibrate_tolerance(
            lambda x: np.full_like(x, np.inf), lambda x: np.full_like(x, np.inf), [(4,)]
        )
        assert found == ToleranceConfig(0.0, 2.0**-24)

    @pytest.mark.parametrize(
        ("call", "error", "text"),
        [
            (lambda: calibrate_tolerance(np.exp), ConfigError, "neither of ref_fn and reference_fn given"),
            (
                lambda: calibrate_tolerance(np.exp, np.exp, [(3,)], test_fn=np.exp),
                ConfigError,
                "both of op_fn and test_fn given",
            ),
            (lambda: calibrate_tolerance(np.exp, np.exp, []), ConfigError, "shapes is empty"),
            (lambda: calibrate_tolerance(np.exp, np.exp, [(3,)], n_samples=0), ConfigError, "n_samples = 0"),
            (lambda: calibrate_tolerance(np.exp, np.exp, [(3,)], "int8"), ConfigError, "compared exactly"),
            (
                lambda: calibrate_tolerance(lambda x: x[1:], np.exp, [(3,)]),
                OutputError,
                r"op_fn gives shape \[2\], ref_fn \[3\]",
            ),
            (
                lambda: calibrate_tolerance(lambda x: x * np.nan, np.abs, [(3,)]),
                OutputError,
                "no tolerance allows that",
            ),
        ],
    )
    def test_what_cannot_be_calibrated_is_said(self, call, error, text):
        with pytest.raises(error, match=text):
            call()
