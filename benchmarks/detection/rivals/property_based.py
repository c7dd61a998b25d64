"""Hypothesis: arrays by hypothesis.extra.numpy for the op's schema, judged by numpy.testing.

Finite elements in [-100, 100] and dims of 1 to 100, as a careful user would bound them; rtol and atol
by dtype as in torch.testing's table.
"""

from __future__ import annotations

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
from benchmarks.detection.campaign import Campaign, op_of
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.rivals.arrays import allowed_sizes, bounds, disagreement, fits
from hypothesis import HealthCheck, Phase, assume, given, seed, settings

from pytest_gpuemu.engine.dtypes import numpy_dtype, to_float64
from pytest_gpuemu.engine.op import Input, Op, tensor_shape

TOLERANCES = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5)}


def assert_allclose(output, expected):
    assert output.dtype == expected.dtype, f"dtype {output.dtype}, not {expected.dtype}"
    rtol, atol = TOLERANCES.get(str(output.dtype), (0, 0) if output.dtype.kind in "iub" else (1e-6, 1e-6))
    np.testing.assert_allclose(to_float64(output), to_float64(expected), rtol=rtol, atol=atol)


def elements(x: Input, dtype: str, sizes):
    low, high = bounds(x, sizes)
    if x.kind == "index":
        return np.dtype(np.int64), st.integers(0, x.of.evaluate(sizes) - 1)
    if x.kind == "mask":
        return np.dtype(bool), st.booleans()
    given = numpy_dtype(x.dtype or dtype)
    if given.kind in "iu":
        numbers = st.integers(
            int(max(np.iinfo(given).min, -np.inf if low is None else low)),
            int(min(np.iinfo(given).max, np.inf if high is None else high - 1)),
        )
        return given, numbers.filter(bool) if x.nonzero else numbers
    drawn = np.dtype(np.float16 if given == np.float16 else np.float32)
    width = 8 * drawn.itemsize
    return drawn, st.floats(-100 if low is None else low, 100 if high is None else high, width=width)


@st.composite
def kernel_cases(draw, op: Op):
    sizes = {
        dim: draw(st.sampled_from(sizes) if dim in op.dims else st.integers(1, 100))
        for dim in op.dim_names
        for sizes in [allowed_sizes(op, dim, list(range(1, 101)))]
    }
    assume(fits(op, sizes))
    dtype = draw(st.sampled_from(op.dtypes))
    params = {param.name: draw(st.sampled_from(param.choices)) for param in op.params}
    inputs = {}
    for x in op.inputs:
        drawn, values = elements(x, dtype, sizes)
        array = draw(hnp.arrays(drawn, tensor_shape(x.dims, sizes), elements=values))
        wanted = numpy_dtype(x.dtype or dtype) if x.kind == "values" else drawn
        inputs[x.name] = array.astype(wanted)
    return dtype, inputs, params


def find(kernel: Control | Mutant, master: int, cases: int) -> Campaign:
    op, run, campaign = op_of(kernel), kernel.kernel, Campaign()

    @seed(master)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(kernel_cases(op))
    def passes(case):
        if campaign.found_at is None:
            campaign.cases += 1
            dtype, inputs, params = case
            campaign.dtypes[dtype] += 1
            message = disagreement(run, op, inputs, params, assert_allclose)
            if message is not None:
                campaign.found_at, campaign.message = campaign.cases, message
        assert campaign.found_at is None

    try:
        passes()
    except AssertionError:
        if campaign.found_at is None:
            raise
    return campaign
