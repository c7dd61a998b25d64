"""The usual unit test: one aligned shape, normal values, torch.testing.assert_close with its defaults.

One case for each dtype, whatever the budget.
"""

from __future__ import annotations

import numpy as np
import torch
from benchmarks.detection.campaign import Campaign, op_of
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.rivals.arrays import allowed_sizes, disagreement, draw_inputs

TYPICAL = {"rows": 128, "cols": 256, "B": 2, "H": 4, "G": 2, "S": 128, "T": 128, "D": 64, "N": 128, "K": 64}
OTHERS = 64


def assert_close(output, expected):
    torch.testing.assert_close(_tensor(output), _tensor(expected), equal_nan=True)


def _tensor(array):
    array = array.copy(order="C")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def find(kernel: Control | Mutant, master: int, cases: int) -> Campaign:
    op, run, campaign = op_of(kernel), kernel.kernel, Campaign()
    sizes = {}
    for dim in op.dim_names:
        size = TYPICAL.get(dim, OTHERS)
        sizes[dim] = min(allowed_sizes(op, dim, [size]), key=lambda allowed: abs(allowed - size))
    params = {param.name: param.choices[0] for param in op.params}
    rng = np.random.default_rng(master)
    for dtype in op.dtypes[:cases]:
        campaign.cases += 1
        campaign.dtypes[dtype] += 1
        inputs = draw_inputs(op, sizes, dtype, rng, rng.standard_normal)
        message = disagreement(run, op, inputs, params, assert_close)
        if message is not None:
            campaign.found_at, campaign.message = campaign.cases, message
            break
    return campaign
