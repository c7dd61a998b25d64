"""numguard-ci at its defaults: check(kernel, inputs, reference), its catalogue of edge cases, its tolerances.

It draws C-contiguous arrays in which every named size is the same number. A size that it cannot
express (a multiple, the range of an index, one that the op restricts) is a fixed number here; its
empty arrays are left out, as the kernels need not take them. It has its own number of cases, whatever
the budget. float16 and float32 only: its bfloat16 is emulated in float32 arrays, so that a kernel never
sees one.
"""

from __future__ import annotations

import numguard
import numpy as np
from benchmarks.detection.campaign import Campaign, op_of
from benchmarks.detection.corpus import Control, Mutant
from benchmarks.detection.rivals.arrays import allowed_sizes, bounds

from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.references import call_by_name, optional_params

FIXED = 16
LARGEST = 130  # its 100000 would be the length of every dim, and its square the size


def input_specs(op: Op):
    fixed = {}
    for dim in op.dim_names:
        restricted = dim in op.dims or any(dim in str(condition) for condition in op.where)
        indexed = any(x.of is not None and dim in x.of.names for x in op.inputs)
        multiplied = any(dim in d.names and str(d) != dim for x in op.inputs for d in x.dims)
        if restricted or indexed or multiplied:
            fixed[dim] = min(allowed_sizes(op, dim, [FIXED]), key=lambda size: abs(size - FIXED))
    specs = []
    for x in op.inputs:
        shape = tuple(str(d) if str(d) in set(d.names) - set(fixed) else d.evaluate(fixed) for d in x.dims)
        low, high = bounds(x, fixed)
        if x.kind == "index":
            domain, dtype = numguard.integers(0, x.of.evaluate(fixed) - 1), "int64"
        elif x.kind == "mask":
            domain, dtype = numguard.integers(0, 1), "bool"
        elif x.dtype is not None or op.dtypes[0].startswith("int"):
            dtype = x.dtype or op.dtypes[0]
            domain = numguard.integers(1 if x.nonzero else -100, 100)
        else:
            dtype = None
            domain = numguard.interval(-np.inf if low is None else low, np.inf if high is None else high)
        specs.append(numguard.ArraySpec(shape=shape, domain=domain, dtype=dtype, name=x.name))
    return specs


def find(kernel: Control | Mutant, master: int, cases: int) -> Campaign:
    op, run, campaign = op_of(kernel), kernel.kernel, Campaign()
    names = [x.name for x in op.inputs]
    params = {param.name: param.choices[0] for param in op.params}

    def function(*arrays):
        return call_by_name(run, dict(zip(names, arrays, strict=True)), params, optional=optional_params(op))

    def reference(*arrays):
        return op.references[0](*arrays, **params)

    report = numguard.check(
        function,
        inputs=input_specs(op),
        reference=reference,
        dtypes=["float16", "float32"],
        exclude=["empty"],
        large_n=LARGEST,
        seed=master,
        out_dtype=None,
    )
    seen: dict[tuple[str, str], int] = {}
    for result in report.results:
        place = seen.setdefault((result.case, result.dtype), len(seen) + 1)
        if result.failed and (campaign.found_at is None or place < campaign.found_at):
            campaign.found_at = place
            campaign.message = f"{result.check} [{result.case}, {result.dtype}]: {result.message}"
    campaign.cases = len(seen)
    return campaign
