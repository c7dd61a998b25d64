"""Where there is no GPU, Numba's simulator runs these kernels: each thread is a Python thread.

Numba reads the variable when it is imported.
"""

from __future__ import annotations

import os
import shutil

if shutil.which("nvidia-smi") is None:
    os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")
