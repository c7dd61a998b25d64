"""`gpuemu.rng`: what `pytest_gpuemu.engine.rng` offers to users."""

from pytest_gpuemu.engine.rng import SeededRng, derive_seed, generate_seed

__all__ = ["SeededRng", "derive_seed", "generate_seed"]
