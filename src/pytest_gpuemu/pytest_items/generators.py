"""The process's global random generators: random, NumPy's and torch's.

Here: seeding them from a case's seed, so that a test which draws from them does the same in the campaign
and alone, and putting them back. Elsewhere: the generator of the cases, which uses none (engine/rng.py).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


def seed_all(seed: int) -> None:
    """Seed every global generator that is loaded. NumPy takes 32 bits only."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(seed)


@contextmanager
def kept() -> Iterator[None]:
    """Restore their state afterwards, so that other tests draw what they always drew.

    Torch's only where it was loaded before, and those of its CUDA devices only where CUDA was in use before:
    asking for them would start it.
    """
    state, numpy_state = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch is not None else None
    in_use = torch is not None and torch.cuda.is_initialized()
    cuda_states = torch.cuda.get_rng_state_all() if torch is not None and in_use else []
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)
        if torch is not None:
            torch.set_rng_state(torch_state)
            if in_use:
                torch.cuda.set_rng_state_all(cuda_states)
