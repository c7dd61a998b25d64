"""Random numbers that are the same everywhere: the public names of engine/rng.py."""

from pytest_gpuemu.engine.rng import SeededRng, derive_seed, generate_seed

__all__ = ["SeededRng", "derive_seed", "generate_seed"]
