"""pytest-gpuemu: seeded fuzzing of GPU kernels inside pytest, judged against float64 references."""
