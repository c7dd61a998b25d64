"""Diagnosis of a failure: where its wrong elements lie, how they are wrong, when it fails, and why perhaps.

`diagnose(case, verdict)` reads one failed verdict and runs no kernel; `investigate` also has further cases
run.
"""

from pytest_gpuemu.engine.diagnose.diagnosing import diagnose
from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Condition, Diagnosis, Slice, Suspicion
from pytest_gpuemu.engine.diagnose.investigating import Observed, investigate

__all__ = ["Clue", "Condition", "Diagnosis", "Observed", "Slice", "Suspicion", "diagnose", "investigate"]
