"""`gpuemu.frameworks`: what `pytest_gpuemu.frameworks` has."""
