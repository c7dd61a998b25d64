"""The derived tolerance's error bound: a reference run once on arrays that carry their rounding error.

Here: the two public names. Elsewhere: the run (bound.py), the rules (ufuncs.py, reductions.py,
contractions.py, structural.py, assignment.py, orderings.py), the arithmetic they assume (arithmetic.py).
"""

from pytest_gpuemu.engine.trace.bound import Bound, error_bound

__all__ = ["Bound", "error_bound"]
