"""The corpus by family; CONTROLS and MUTANTS hold all of it."""

from benchmarks.detection.kernels import elementwise, indexing, linalg, normalization, reductions

FAMILIES = (elementwise, reductions, normalization, linalg, indexing)
CONTROLS = tuple(control for family in FAMILIES for control in family.CONTROLS)
MUTANTS = tuple(mutant for family in FAMILIES for mutant in family.MUTANTS)
