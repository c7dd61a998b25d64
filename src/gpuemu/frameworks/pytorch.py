"""`gpuemu.frameworks.pytorch`: what `pytest_gpuemu.frameworks.pytorch` has."""

from pytest_gpuemu.frameworks.pytorch import check_autograd, from_numpy, to_numpy, validate_pytorch

__all__ = ["check_autograd", "from_numpy", "to_numpy", "validate_pytorch"]
