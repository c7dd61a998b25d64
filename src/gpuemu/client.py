"""`gpuemu.client`: what `pytest_gpuemu.client` has."""

from pytest_gpuemu.client import (
    Client,
    ClientError,
    FuzzResults,
    MinimizeResult,
    ReproduceResult,
    ReproductionInfo,
    ValidationResult,
)

__all__ = [
    "Client",
    "ClientError",
    "FuzzResults",
    "MinimizeResult",
    "ReproduceResult",
    "ReproductionInfo",
    "ValidationResult",
]
