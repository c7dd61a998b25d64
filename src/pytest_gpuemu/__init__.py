"""pytest-gpuemu: seeded fuzzing of GPU kernels inside pytest, judged against float64 references.

The public names, each loaded when it is first asked for: importing this package costs nothing, as pytest
imports it for every suite. The plugin is plugin.py; `gpuemu` exports the same names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_gpuemu.client.client import Client
    from pytest_gpuemu.client.data import (
        BaselineComparison,
        FailureDescription,
        FuzzResults,
        MinimizeResult,
        ReproduceResult,
        ReproductionInfo,
        ValidationResult,
    )
    from pytest_gpuemu.engine.errors import (
        CannotRunHere,
        ClientError,
        ConfigError,
        GpuemuError,
        KernelMismatch,
        OutputError,
        ReferenceFailed,
        SchemaError,
        SeedError,
        StoreError,
        UnknownOpError,
    )
    from pytest_gpuemu.engine.rng import SeededRng, derive_seed, generate_seed
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
    from pytest_gpuemu.tolerances import (
        ToleranceConfig,
        ToleranceProfile,
        calibrate_tolerance,
        get_recommended_tolerance,
    )
    from pytest_gpuemu.validation import ValidationContext, validate_op

_HOMES = {
    "pytest_gpuemu.client.client": ("Client",),
    "pytest_gpuemu.client.data": (
        "BaselineComparison",
        "FailureDescription",
        "FuzzResults",
        "MinimizeResult",
        "ReproduceResult",
        "ReproductionInfo",
        "ValidationResult",
    ),
    "pytest_gpuemu.engine.errors": (
        "CannotRunHere",
        "ClientError",
        "ConfigError",
        "GpuemuError",
        "KernelMismatch",
        "OutputError",
        "ReferenceFailed",
        "SchemaError",
        "SeedError",
        "StoreError",
        "UnknownOpError",
    ),
    "pytest_gpuemu.engine.rng": ("SeededRng", "derive_seed", "generate_seed"),
    "pytest_gpuemu.fuzzing": (
        "FuzzConfig",
        "SeededFuzzer",
        "TestCase",
        "fuzz_dtypes",
        "fuzz_dtypes_seeded",
        "fuzz_layouts",
        "fuzz_layouts_seeded",
        "fuzz_shapes",
        "fuzz_shapes_seeded",
        "generate_random_tensor",
    ),
    "pytest_gpuemu.tolerances": (
        "ToleranceConfig",
        "ToleranceProfile",
        "calibrate_tolerance",
        "get_recommended_tolerance",
    ),
    "pytest_gpuemu.validation": ("ValidationContext", "validate_op"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BaselineComparison",
    "CannotRunHere",
    "Client",
    "ClientError",
    "ConfigError",
    "FailureDescription",
    "FuzzConfig",
    "FuzzResults",
    "GpuemuError",
    "KernelMismatch",
    "MinimizeResult",
    "OutputError",
    "ReferenceFailed",
    "ReproduceResult",
    "ReproductionInfo",
    "SchemaError",
    "SeedError",
    "SeededFuzzer",
    "SeededRng",
    "StoreError",
    "TestCase",
    "ToleranceConfig",
    "ToleranceProfile",
    "UnknownOpError",
    "ValidationContext",
    "ValidationResult",
    "calibrate_tolerance",
    "derive_seed",
    "fuzz_dtypes",
    "fuzz_dtypes_seeded",
    "fuzz_layouts",
    "fuzz_layouts_seeded",
    "fuzz_shapes",
    "fuzz_shapes_seeded",
    "generate_random_tensor",
    "generate_seed",
    "get_recommended_tolerance",
    "validate_op",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
