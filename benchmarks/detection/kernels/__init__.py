"""The corpus by family. CONTROLS holds all kernels; MUTANTS the bugs that the rules were tuned beside,
FRESH_MUTANTS those written after the tuning, by an author who had not read the code of the generator or of the tolerance."""

from benchmarks.detection.kernels import (
    backward,
    elementwise,
    further,
    indexing,
    linalg,
    normalization,
    ordering,
    pointwise,
    pooling,
    reductions,
)

TUNED_BESIDE = (elementwise, reductions, normalization, linalg, indexing)
FRESH = (backward, pooling, ordering, pointwise)
CONTROLS = tuple(control for family in (*TUNED_BESIDE, *FRESH) for control in family.CONTROLS)
MUTANTS = tuple(mutant for family in TUNED_BESIDE for mutant in family.MUTANTS)
FRESH_MUTANTS = tuple(mutant for family in (*FRESH, further) for mutant in family.FRESH_MUTANTS)
