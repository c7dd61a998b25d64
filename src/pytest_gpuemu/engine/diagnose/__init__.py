"""Diagnosis of a failure: where its wrong elements lie, how they are wrong, when it fails, and why perhaps.

`diagnose(case, verdict)` reads one failed verdict and runs no kernel.
"""

from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Condition, Diagnosis, Slice, Suspicion
from pytest_gpuemu.engine.diagnose.diagnosing import diagnose

__all__ = ["Clue", "Condition", "Diagnosis", "Slice", "Suspicion", "diagnose"]
