"""Digests of drawn values and whole cases, printed by one process for test_reproducible.py to compare.

    python tests/engine/case_digests.py           prints them as JSON
    python tests/engine/case_digests.py --write   writes vectors/case_digests.json

Writing is right only together with a new GENERATOR_VERSION in plan.py, since another digest is another
case for a seed that someone has stored. Imports no pytest, so that any Python with NumPy runs it.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.dtypes import DTYPES
from pytest_gpuemu.engine.op import VALUES, Input
from pytest_gpuemu.engine.plan import GENERATOR_VERSION
from pytest_gpuemu.engine.schema import DimExpr
from pytest_gpuemu.engine.values import EDIT_VALUES, fill

FILE = Path(__file__).parent / "vectors" / "case_digests.json"
SHAPES = ((), (0, 3), (5, 37), (3, 700))  # the last draws in bulk
KINDS = ("index", "offsets", "lengths", "permutation", "mask")


def reference(*args, **kwargs):
    """Never called: cases are drawn without their reference."""
    raise AssertionError("a digest needs no reference")


OPS = (
    define_op("softmax", reference=reference, schema="input[rows,cols] -> [rows,cols]"),
    define_op("matmul", reference=reference, schema="a[B,M,K], b[B,K,N] -> [B,M,N]"),
    define_op(
        "norm",
        reference=reference,
        schema="x[N,C,H,W], weight[C] -> [N,C,H,W]",
        dtypes=["float16", "bfloat16", "float32", "float64", "float8_e4m3fn"],
        params={"eps": [1e-5, 1e-3]},
    ),
    define_op(
        "gather",
        reference=reference,
        schema="table[V,D], idx[N], ends[G+1], keep[N,D], scale[D] -> [N,D]",
        inputs={
            "idx": {"kind": "index", "of": "V", "ignore": -1},
            "ends": {"kind": "offsets", "of": "N"},
            "keep": {"kind": "mask"},
            "scale": {"low": 0.5, "high": 2.0},
        },
    ),
)


def add_array(digest, array):
    """Everything of an array but its strides, which are given where they are part of the case."""
    digest.update(f"{array.dtype} {array.shape} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())


def fill_digest(x, dtypes, distribution):
    digest = hashlib.sha256()
    for dtype in dtypes:
        for shape in SHAPES:
            for seed in range(3):
                add_array(digest, fill(x, shape, dtype, distribution, {"N": 41}, seed))
    return digest.hexdigest()[:32]


def case_digest(op, seed):
    case = make_case(op, seed)
    digest = hashlib.sha256(json.dumps([dict(case.plan.dims), case.params], sort_keys=True).encode())
    for name, view in case.inputs.items():
        digest.update(f"{name} {view.strides} ".encode())
        add_array(digest, view)
    return digest.hexdigest()[:32]


def digests():
    found = {}
    for distribution in (*VALUES, *EDIT_VALUES):
        found[f"fill {distribution}"] = fill_digest(Input(name="x", dims=()), DTYPES, distribution)
        bounded = Input(name="x", dims=(), low=1, high=DimExpr(((1, ("N",)),)))
        found[f"fill {distribution} in [1, N]"] = fill_digest(bounded, DTYPES, distribution)
    for kind in KINDS:
        x = Input(name="x", dims=(), kind=kind, of=DimExpr(((1, ("N",)),)))
        found[f"fill {kind}"] = fill_digest(x, ("int16", "int64"), "uniform")
    for op in OPS:
        for seed in (*range(12), 2**48 - 1, 2**64 - 1):
            found[f"case {op.name} {seed}"] = case_digest(op, seed)
    return {"generator_version": GENERATOR_VERSION, "digests": found}


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(json.dumps(digests(), indent=1) + "\n")
    else:
        print(json.dumps(digests()))
