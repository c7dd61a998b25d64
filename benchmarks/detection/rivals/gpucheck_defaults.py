"""gpucheck at its defaults: the shapes of its fuzz_shapes, normal values as in its README, its assert_close.

A shape gives the named dims in order. What a kernel of the corpus need not take is left out: dims of 0,
and sizes that the op does not allow take the nearest one that it does. Sizes end at 1024, not 4096,
for time. Its values by torch (random_inputs, edge_inputs) are for tensors, so they are not used.
"""

from __future__ import annotations

import math
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import numpy as np
from benchmarks.detection.campaign import Campaign, op_of
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.rivals.arrays import allowed_sizes, disagreement, draw_inputs, fits
from gpucheck import assert_close as gpucheck_assert_close
from gpucheck.fuzzing.shapes import fuzz_shapes

from pytest_gpuemu.engine.op import tensor_shape

LARGEST = 2**21


def assert_close(output, expected):
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # it prints its report
        gpucheck_assert_close(output, expected)


def find(kernel: Control | Mutant, master: int, cases: int) -> Campaign:
    op, run, campaign = op_of(kernel), kernel.kernel, Campaign()
    rng = np.random.default_rng(master)
    dims = op.dim_names
    for shape in fuzz_shapes(len(dims), max_size=1024, n=2 * cases, seed=master):
        sizes = {
            dim: min(allowed_sizes(op, dim, [size]), key=lambda allowed, size=size: abs(allowed - size))
            for dim, size in zip(dims, shape, strict=True)
        }
        elements = [math.prod(tensor_shape(x.dims, sizes)) for x in op.inputs]
        if 0 in sizes.values() or not fits(op, sizes) or max(elements) > LARGEST:
            continue
        if campaign.cases == cases:
            break
        dtype = op.dtypes[campaign.cases % len(op.dtypes)]
        campaign.cases += 1
        campaign.dtypes[dtype] += 1
        params = {param.name: param.choices[int(rng.integers(len(param.choices)))] for param in op.params}
        inputs = draw_inputs(op, sizes, dtype, rng, rng.standard_normal)
        message = disagreement(run, op, inputs, params, assert_close)
        if message is not None:
            campaign.found_at, campaign.message = campaign.cases, message
            break
    return campaign
