"""The fixed tolerances of the API reference."""

from __future__ import annotations

import pytest

from pytest_gpuemu import ConfigError, ToleranceConfig, ToleranceProfile, get_recommended_tolerance


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
    assert ToleranceConfig(1.0, 2.0).scale(3.0) == ToleranceConfig(3.0, 6.0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ToleranceConfig.for_dtype("float61"), "no tolerance for the dtype 'float61'; did you mean"),
        (lambda: ToleranceProfile.get("tests"), "no tolerance profile 'tests'; did you mean 'testing'?"),
        (lambda: get_recommended_tolerance("float32", "matmull"), "no op_type 'matmull'; did you mean"),
        (lambda: ToleranceProfile.for_cross_framework("jaxx"), "no framework 'jaxx'; did you mean 'jax'?"),
    ],
)
def test_an_unknown_name_is_said_with_the_nearest(call, text):
    with pytest.raises(ConfigError) as caught:
        call()

    assert text in str(caught.value)
