"""`gpuemu.tolerances`: what `pytest_gpuemu.tolerances` has."""

from pytest_gpuemu.tolerances import (
    ToleranceConfig,
    ToleranceProfile,
    calibrate_tolerance,
    get_recommended_tolerance,
)

__all__ = ["ToleranceConfig", "ToleranceProfile", "calibrate_tolerance", "get_recommended_tolerance"]
