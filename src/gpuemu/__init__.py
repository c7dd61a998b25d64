"""The second import name: `from gpuemu import Client` gives what `pytest_gpuemu` exports."""
