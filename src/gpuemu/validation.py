"""`gpuemu.validation`: judging an output, and the generators of `pytest_gpuemu.fuzzing`."""

from pytest_gpuemu.fuzzing import (
    FuzzConfig,
    SeededFuzzer,
    TestCase,
    fuzz_dtypes,
    fuzz_dtypes_seeded,
    fuzz_layouts,
    fuzz_layouts_seeded,
    fuzz_shapes,
    fuzz_shapes_seeded,
    generate_random_tensor,
)
from pytest_gpuemu.validation import ValidationContext, validate_op

__all__ = [
    "FuzzConfig",
    "SeededFuzzer",
    "TestCase",
    "ValidationContext",
    "fuzz_dtypes",
    "fuzz_dtypes_seeded",
    "fuzz_layouts",
    "fuzz_layouts_seeded",
    "fuzz_shapes",
    "fuzz_shapes_seeded",
    "generate_random_tensor",
    "validate_op",
]
