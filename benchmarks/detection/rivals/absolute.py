"""gpuemu 0.1.0 at its defaults: uniform values in [-10, 10], an absolute tolerance by dtype, and the
shapes, dtypes and contiguous arrays that its client's get_test_batch draws.

The kernels have named dims, so each dim takes a size of its lists that the op allows (batch, sequence
or hidden), and 1 in one case of ten, as its edge shapes do.
"""

from __future__ import annotations

import numpy as np
from benchmarks.detection.campaign import Campaign, op_of
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.rivals.arrays import allowed_sizes, disagreement, draw_inputs, fits

from pytest_gpuemu.engine.dtypes import to_float64

TOLERANCES = {"float32": 1e-5, "float16": 1e-3, "bfloat16": 1e-3}
DTYPES = ("float32", "float16")
BATCH, SEQUENCE, HIDDEN = [1, 2, 4, 8], [64, 128, 256], [256, 512]
LISTS = {"B": BATCH, "N": SEQUENCE, "rows": SEQUENCE, "M": SEQUENCE, "S": SEQUENCE, "T": SEQUENCE}


def assert_within(output, expected):
    assert output.shape == expected.shape, f"shape {output.shape}, not {expected.shape}"
    assert output.dtype == expected.dtype, f"dtype {output.dtype}, not {expected.dtype}"
    allowed = TOLERANCES.get(str(output.dtype), 0.0 if output.dtype.kind in "iub" else 1e-5)
    difference = np.abs(to_float64(output).astype(np.float64) - to_float64(expected).astype(np.float64))
    assert bool((difference <= allowed).all()), f"off by {difference.max()}"


def find(kernel: Control | Mutant, master: int, cases: int) -> Campaign:
    op, run, campaign = op_of(kernel), kernel.kernel, Campaign()
    rng = np.random.default_rng(master)
    for _ in range(cases):
        campaign.cases += 1
        edge = rng.random() < 0.1
        while True:
            sizes = {
                dim: int(rng.choice(allowed_sizes(op, dim, [1] if edge else LISTS.get(dim, HIDDEN))))
                for dim in op.dim_names
            }
            if fits(op, sizes):
                break
            edge = False
        dtype = str(rng.choice([name for name in op.dtypes if name in DTYPES] or op.dtypes))
        campaign.dtypes[dtype] += 1
        params = {param.name: param.choices[int(rng.integers(len(param.choices)))] for param in op.params}
        inputs = draw_inputs(op, sizes, dtype, rng, lambda shape: rng.uniform(-10, 10, shape))
        message = disagreement(run, op, inputs, params, assert_within)
        if message is not None:
            campaign.found_at, campaign.message = campaign.cases, message
            break
    return campaign
