"""`gpuemu.validation`: what `pytest_gpuemu.validation` has."""

from pytest_gpuemu.validation import ValidationContext, validate_op

__all__ = ["ValidationContext", "validate_op"]
