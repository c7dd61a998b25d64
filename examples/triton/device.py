"""What this machine can run: a GPU compiles the kernels, a CPU interprets them.

Under the interpreter (seen in Triton 3.9) bfloat16 is left out: it rounds to bfloat16 by
cutting bits off, and multiplies bfloat16 tiles by their bit patterns. It also needs milliseconds a
block, so each test lists small sizes for it; on a GPU the op's own sizes are drawn.
"""

from __future__ import annotations

import torch

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
DTYPES = ["float16", "bfloat16", "float32"] if GPU else ["float16", "float32"]
