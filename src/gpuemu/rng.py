"""`gpuemu.rng`: what `pytest_gpuemu.rng` has."""

from pytest_gpuemu.rng import SeededRng, derive_seed, generate_seed

__all__ = ["SeededRng", "derive_seed", "generate_seed"]
