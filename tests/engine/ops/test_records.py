"""The records of the built-ins: every op can be drawn, evaluated and judged, and no name means two."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Input, Op
from pytest_gpuemu.engine.ops import BUILTIN_OPS, FAMILIES, by_name
from pytest_gpuemu.engine.output_buffers import output_dtype
from pytest_gpuemu.engine.references import call_by_name, evaluate
from pytest_gpuemu.engine.values import fill

OPS = [op for family in FAMILIES.values() for op in family]
EVERY_OP = pytest.mark.parametrize("op", OPS, ids=[op.name for op in OPS])
SEEDS = range(8)

DEFINED = """
relu leaky_relu gelu silu sigmoid exp add mul swiglu sum mean max argmax cumsum logsumexp var softmax
log_softmax layer_norm rms_norm matmul bmm linear scaled_dot_product_attention cross_entropy embedding
scatter_add transpose conv1d elu tanh softplus normalize group_norm rope conv2d max_pool2d avg_pool2d nll_loss
gather index_select topk sort clamp where floor_divide quantize_int8 quantize_fp8 dequantize_int8
dequantize_fp8 maximum minimum fmax fmin bincount histc softmax_backward layer_norm_backward rms_norm_backward
cross_entropy_backward matmul_backward gelu_backward silu_backward scaled_dot_product_attention_backward
"""


def test_every_promised_operator_is_there():
    assert set(DEFINED.split()) <= {op.name for op in OPS}


def test_usual_other_names_lead_to_the_same_record():
    for alias, name in (
        ("layernorm", "layer_norm"),
        ("rmsnorm", "rms_norm"),
        ("attention", "scaled_dot_product_attention"),
        ("sdpa", "scaled_dot_product_attention"),
        ("mm", "matmul"),
        ("l2norm", "normalize"),
        ("histogram", "histc"),
    ):
        assert BUILTIN_OPS[alias] is BUILTIN_OPS[name]


def test_a_name_that_two_ops_share_is_refused():
    add = BUILTIN_OPS["add"]
    other = define_op("plus", reference=add.references[0], schema="a[N] -> [N]", aliases=["add"])
    with pytest.raises(ValueError, match="'add' names both 'add' and 'plus'"):
        by_name([add, other])


@EVERY_OP
def test_the_record_says_what_the_reference_takes(op):
    """Inputs are positional in the schema's order, params are keywords with torch's one default."""
    for reference in op.references:
        parameters = inspect.signature(reference).parameters.values()
        keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        assert inspect.getdoc(reference)
        assert set(positional) == {x.name for x in op.inputs}
        assert {param.name for param in op.params} == set(keywords)
        assert all(len(param.choices) == 1 for param in op.params)
        if op.name != "grouped_query_attention":  # it differs from attention in that default
            assert {param.name: param.choices[0] for param in op.params} == keywords
    assert op.origin == "built-in"


@EVERY_OP
def test_the_reference_fits_the_schema_and_gives_the_same_bits_twice(op):
    for seed in SEEDS:
        case = make_case(op, seed)
        for reference in op.references:
            once, again = evaluate(op, reference, case), evaluate(op, reference, case)
            assert bits_of(once) == bits_of(again)


def bits_of(outputs):
    """The bytes of each output; the sign of a NaN is the library's affair, and varies in NumPy 1.24."""
    return {
        name: (np.where(np.isnan(x), np.nan, x) if x.dtype.kind == "f" else x).tobytes()
        for name, x in outputs.items()
    }


@EVERY_OP
def test_a_kernel_that_rounds_the_reference_once_passes(op):
    """The least that silence asks: no rule about shapes, dtypes, NaN or indices refuses the right answer."""
    for seed in SEEDS:
        case = make_case(op, seed)
        outputs = evaluate(op, op.references[0], case)
        assert judge(case, rounded(op, case, outputs)).passed, seed


@EVERY_OP
def test_a_kernel_that_computes_in_float32_is_not_refused(op):
    """NumPy in float32 adds in another order than the reference, and every step rounds."""
    for seed in SEEDS:
        case = make_case(op, seed)
        inputs = {
            name: x.astype(np.float32) if dtypes.is_floating(str(x.dtype)) else x
            for name, x in case.originals.items()
        }
        with np.errstate(all="ignore"):
            outputs = call_by_name(op.references[0], inputs, case.params)
        named = zip(op.outputs, outputs if isinstance(outputs, tuple) else (outputs,), strict=True)
        verdict = judge(case, rounded(op, case, {output.name: x for output, x in named}))
        assert not verdict.failed, (seed, verdict.findings)


def rounded(op: Op, case, outputs):
    """The outputs in the dtypes that a kernel gives them in."""
    with np.errstate(all="ignore"):
        return {
            output.name: np.asarray(outputs[output.name]).astype(
                dtypes.numpy_dtype(output_dtype(case, output, str(outputs[output.name].dtype)))
            )
            for output in op.outputs
        }


@pytest.mark.parametrize("dtype", ["int8", "int32", "float16", "float32", "float8_e4m3fn"])
def test_an_input_that_may_not_be_zero_is_not(dtype):
    drawn = [
        fill(Input(name="x", dims=(), nonzero=True), (8, 9), dtype, values, {}, seed)
        for seed in range(20)
        for values in ("sparse", "zeros", "tiny", "uniform", "integers")
    ]
    assert all(np.all(array != 0) for array in drawn)
    assert any(np.any(array != 1) for array in drawn)


def test_a_zero_is_replaced_within_the_domain_or_refused():
    below = fill(Input(name="x", dims=(), nonzero=True, high=-0.5), (50,), "float32", "sparse", {}, 1)
    small = fill(Input(name="x", dims=(), nonzero=True, low=0.0, high=0.25), (50,), "float32", "zeros", {}, 1)
    assert (below <= -0.5).all()
    assert (small == 0.25).all()
    with pytest.raises(ConfigError, match=r"low = 0.0 and high = 0.0 leave no value but 0"):
        fill(Input(name="x", dims=(), nonzero=True, low=0.0, high=0.0), (5,), "float32", "zeros", {}, 1)


def test_nonzero_is_read_from_a_definition_and_only_as_a_bool():
    def reference(a):
        return 1 / a

    op = define_op("inverse", reference=reference, schema="a[N] -> [N]", inputs={"a": {"nonzero": True}})
    assert op.input("a").nonzero
    with pytest.raises(ConfigError, match=r"inputs\['a'\].nonzero = 1 is not True or False"):
        define_op("inverse", reference=reference, schema="a[N] -> [N]", inputs={"a": {"nonzero": 1}})
