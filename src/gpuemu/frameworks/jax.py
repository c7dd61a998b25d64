"""`gpuemu.frameworks.jax`: what `pytest_gpuemu.frameworks.jax` has."""

from pytest_gpuemu.frameworks.jax import check_autograd, from_numpy, to_numpy, validate_jax

__all__ = ["check_autograd", "from_numpy", "to_numpy", "validate_jax"]
