"""Minimizing: from a failing case to the smallest one that fails in the same way.

Here: the names that others use. Elsewhere: the order of the passes (search.py), one try and the budget
(attempts.py), the passes themselves (dims.py, dtype.py, layouts.py, params.py, values.py, redraw.py),
and what "the same way" means (signature.py).
"""

from pytest_gpuemu.engine.minimize.search import STRATEGIES, Minimized, minimize
from pytest_gpuemu.engine.minimize.signature import Signature, signature_of, signature_of_error

__all__ = ["STRATEGIES", "Minimized", "Signature", "minimize", "signature_of", "signature_of_error"]
