"""Tolerances of the API reference: pairs of atol and rtol by dtype, and one measured for an op.

A verdict uses none of them unless it is told to: its own tolerance is derived for each element
(engine/tolerance.py). These are for code that compares arrays itself, and for the `tolerance` of a marker.
Elsewhere: the measuring (engine/calibrate.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_gpuemu.engine.calibrate import MARGIN, PERCENTILE, calibrate
from pytest_gpuemu.engine.dtypes import dtype_name
from pytest_gpuemu.engine.errors import ConfigError, did_you_mean

_Pairs = Mapping[str, tuple[float, float]]
_TESTING: _Pairs = {
    "float16": (1e-3, 1e-2),
    "bfloat16": (1e-2, 1e-1),
    "float32": (1e-5, 1e-4),
    "float64": (1e-10, 1e-9),
}
_PRODUCTION: _Pairs = {
    "float16": (5e-4, 5e-3),
    "bfloat16": (5e-3, 5e-2),
    "float32": (1e-6, 1e-5),
    "float64": (1e-12, 1e-11),
}
_STRICT: _Pairs = {
    "float16": (1e-4, 1e-3),
    "bfloat16": (1e-3, 1e-2),
    "float32": (1e-6, 1e-5),
    "float64": (1e-12, 1e-11),
}
_RELAXED: _Pairs = {
    "float16": (1e-2, 1e-1),
    "bfloat16": (5e-2, 5e-1),
    "float32": (1e-4, 1e-3),
    "float64": (1e-8, 1e-7),
}
_FRAMEWORKS = {"numpy": 1.0, "pytorch": 1.0, "jax": 1.5, "tensorflow": 1.5}
_CROSS_FRAMEWORK = 1.5


@dataclass(frozen=True, slots=True)
class ToleranceConfig:
    """|output - reference| <= atol + rtol * |reference|. Raises ConfigError for a number below 0 or NaN."""

    atol: float
    rtol: float

    def __post_init__(self) -> None:
        for name, number in (("atol", self.atol), ("rtol", self.rtol)):
            if not number >= 0 or math.isinf(number):
                raise ConfigError(f"{name} = {number!r}: expected a finite number >= 0")

    @classmethod
    def for_dtype(cls, dtype: str) -> ToleranceConfig:
        """The pair of the testing profile. Raises ConfigError for a dtype without one."""
        return _pair(_TESTING, dtype)

    @classmethod
    def strict(cls, dtype: str | None = None) -> ToleranceConfig:
        """1e-7 and 1e-7, or the strict pair of a dtype."""
        return cls(1e-7, 1e-7) if dtype is None else _pair(_STRICT, dtype)

    @classmethod
    def relaxed(cls, dtype: str | None = None) -> ToleranceConfig:
        """1e-3 and 1e-3, or the relaxed pair of a dtype."""
        return cls(1e-3, 1e-3) if dtype is None else _pair(_RELAXED, dtype)

    def scale(self, factor: float) -> ToleranceConfig:
        """Both numbers times a factor."""
        return ToleranceConfig(self.atol * factor, self.rtol * factor)


class ProfileTolerance(ToleranceConfig):
    """A profile: its own atol and rtol are float32's, and get(dtype) gives those of another dtype."""

    __slots__ = ("_pairs",)
    _pairs: _Pairs

    def get(self, dtype: str) -> ToleranceConfig:
        """The pair of a dtype. Raises ConfigError for one without."""
        return _pair(self._pairs, dtype)


class ToleranceProfile:
    """Named profiles: "testing", "production" and "cross_framework"."""

    @staticmethod
    def get(name: str) -> ProfileTolerance:
        """The profile of that name. Raises ConfigError for another."""
        profiles = {
            "testing": ToleranceProfile.for_testing,
            "production": ToleranceProfile.for_production,
            "cross_framework": ToleranceProfile.for_cross_framework,
        }
        if name not in profiles:
            raise ConfigError(f"no tolerance profile {name!r}; {did_you_mean(name, profiles)}")
        return profiles[name]()

    @staticmethod
    def for_testing() -> ProfileTolerance:
        """While a kernel is being developed."""
        return _profile(_TESTING)

    @staticmethod
    def for_production() -> ProfileTolerance:
        """Before a kernel is shipped."""
        return _profile(_PRODUCTION)

    @staticmethod
    def for_cross_framework(*frameworks: str) -> ProfileTolerance:
        """Outputs of two frameworks beside each other: 1.5 times the testing profile, and once more the
        largest factor of the frameworks named (numpy and pytorch 1, jax and tensorflow 1.5)."""
        factor = _CROSS_FRAMEWORK * _framework_factor(*frameworks)
        return _profile({dtype: (atol * factor, rtol * factor) for dtype, (atol, rtol) in _TESTING.items()})


# The factors of the gpuemu package on PyPI, which code written for it relies on.
_OP_TYPES = {
    "elementwise": 1.0,
    "matmul": 1.5,
    "conv2d": 2.0,
    "softmax": 1.5,
    "batchnorm": 2.0,
    "layernorm": 2.0,
    "attention": 2.5,
}


def get_recommended_tolerance(
    dtype: str, op_type: str = "elementwise", *, framework: str | None = None, operation: str | None = None
) -> ToleranceConfig:
    """The testing pair of a dtype, times the factor of the kind of op and that of the framework.

    operation is another name for op_type; `LayerNorm` and `layer_norm` are layernorm. Raises ConfigError for
    an unknown name.
    """
    given = op_type if operation is None else operation
    kind = given.lower().replace("_", "")
    if kind not in _OP_TYPES:
        raise ConfigError(f"no op_type {given!r}; {did_you_mean(kind, _OP_TYPES)}")
    return ToleranceConfig.for_dtype(dtype).scale(_OP_TYPES[kind] * _framework_factor(framework))


def calibrate_tolerance(
    op_fn: Callable[..., Any] | None = None,
    ref_fn: Callable[..., Any] | None = None,
    shapes: Sequence[Sequence[int]] | None = None,
    dtype: str = "float32",
    n_samples: int = 100,
    *,
    seed: int = 0,
    percentile: float = PERCENTILE,
    safety_margin: float = MARGIN,
    test_fn: Callable[..., Any] | None = None,
    reference_fn: Callable[..., Any] | None = None,
    input_shapes: Sequence[Sequence[int]] | None = None,
) -> ToleranceConfig:
    """The tolerance that a trusted op_fn needs beside ref_fn, which gets the same inputs in float64.

    shapes has a shape for each input of a call; where op_fn takes one array, it may list several shapes to
    draw from. Of n_samples random calls, the 95th percentile of what each needs, times 1.5. test_fn,
    reference_fn and input_shapes are other names of the first three. Raises ConfigError for an argument that
    is missing, given twice or means nothing, OutputError where no tolerance would do.
    """
    return ToleranceConfig(
        *calibrate(
            _one_of("op_fn", op_fn, "test_fn", test_fn),
            _one_of("ref_fn", ref_fn, "reference_fn", reference_fn),
            _one_of("shapes", shapes, "input_shapes", input_shapes),
            dtype=dtype,
            samples=n_samples,
            seed=seed,
            percentile=percentile,
            margin=safety_margin,
        )
    )


def _one_of(name: str, value: Any, other_name: str, other: Any) -> Any:
    if (value is None) == (other is None):
        count = "both" if value is not None else "neither"
        raise ConfigError(f"calibrate_tolerance: {count} of {name} and {other_name} given; give one of them")
    return other if value is None else value


def _framework_factor(*frameworks: str | None) -> float:
    for name in frameworks:
        if name is not None and name not in _FRAMEWORKS:
            raise ConfigError(f"no framework {name!r}; {did_you_mean(name, _FRAMEWORKS)}")
    return max((_FRAMEWORKS[name] for name in frameworks if name is not None), default=1.0)


def _pair(pairs: _Pairs, dtype: Any) -> ToleranceConfig:
    """The pair of a dtype, given by its name or as NumPy has it."""
    name = dtype if isinstance(dtype, str) else dtype_name(dtype)
    if name not in pairs:
        raise ConfigError(f"no tolerance for the dtype {name!r}; {did_you_mean(name, pairs)}")
    return ToleranceConfig(*pairs[name])


def _profile(pairs: _Pairs) -> ProfileTolerance:
    profile = ProfileTolerance(*pairs["float32"])
    object.__setattr__(profile, "_pairs", pairs)
    return profile
