"""Gradients of a case: the incoming one, where the float64 ones come from, and what is undetermined."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from pytest_gpuemu.engine import autograd, dtypes, gradients
from pytest_gpuemu.engine.case import case_from_arrays, make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.ops.gradients import GRADIENTS
from pytest_gpuemu.engine.plan import ordinary_layouts
from pytest_gpuemu.engine.references import evaluate
from pytest_gpuemu.engine.trace import error_bound

torch = pytest.importorskip("torch", reason="torch's autograd is the independent implementation")

ROWS = "input[rows,cols] -> [rows,cols]"


def op_of(reference, schema=ROWS, **keys):
    return define_op("an_op", reference=reference, schema=schema, library="torch", **keys)


def gradients_of(case, library="torch"):
    outputs = {
        name: array.astype(dtypes.numpy_dtype(case.plan.dtype))
        for name, array in evaluate(case.op, case.op.references[0], case).items()
    }
    return gradients.gradient_case(case, autograd.gradient_of(case), outputs, library)


def judged(case, *values):
    names = [output.name for output in case.op.outputs]
    return judge(case, dict(zip(names, values, strict=True)))


def test_the_incoming_gradient_comes_from_the_seed_and_has_every_layout():
    op = BUILTIN_OPS["softmax"]
    met = set()
    for seed in range(80):
        case, again = (gradients_of(make_case(op, seed)) for _ in range(2))
        grad = case.inputs["grad_output"]

        assert grad.tobytes() == again.inputs["grad_output"].tobytes()
        assert (grad.shape, grad.dtype) == (case.inputs["input"].shape, case.inputs["input"].dtype)
        assert np.isfinite(grad.astype(np.float64)).all()
        met.add(case.plan.layouts["grad_output"])
        if case.plan.layouts["grad_output"] == "everywhere_broadcast":
            assert set(grad.strides) == {0}
    assert met == {"contiguous", "strided", "transposed", "broadcast", "everywhere_broadcast", "offset"}


def test_jax_gets_contiguous_gradients_only():
    op = BUILTIN_OPS["softmax"]
    assert {gradients_of(make_case(op, seed), "jax").plan.layouts["grad_output"] for seed in range(40)} == {
        "contiguous"
    }


def test_a_write_beside_the_incoming_gradient_is_found():
    case = gradients_of(make_case(BUILTIN_OPS["silu"], 3))
    right = evaluate(case.op, case.op.references[0], case)["grad of input"]
    right = right.astype(dtypes.numpy_dtype(case.plan.dtypes["input"]))
    assert not judged(case, right).failed

    case.buffers["grad_output"].base[0] ^= 1

    assert [finding.kind for finding in judged(case, right).findings] == ["GuardOverwritten"]


@pytest.mark.parametrize("name", sorted(GRADIENTS))
def test_a_built_in_gradient_is_that_of_its_forward_op(name):
    """Against central differences of the forward reference along a random direction."""
    op = replace(BUILTIN_OPS[name], values=("normal",), dtypes=("float64",))
    op = replace(op, inputs=tuple(replace(x, values=None) for x in op.inputs))
    for seed in range(3):
        case = make_case(op, seed)
        of = gradients_of(case)
        grads = [of.originals[x.name] for x in of.op.inputs if x.name not in case.inputs]
        rng = np.random.default_rng(seed)
        along = {x: rng.normal(size=case.originals[x].shape) for x in op.gradient.of}

        def at(step, case=case, along=along):
            moved = {x: case.originals[x] + step * way for x, way in along.items()}
            return evaluate(op, op.references[0], replace(case, originals={**case.originals, **moved}))

        step = 1e-6
        slopes = [
            (far - near) / (2 * step) for far, near in zip(at(step).values(), at(-step).values(), strict=True)
        ]
        wanted = sum(np.sum(grad * slope) for grad, slope in zip(grads, slopes, strict=True))
        if np.isnan(wanted):  # the mean loss of ignored targets alone
            continue
        size = sum(np.sum(np.abs(grad * slope)) for grad, slope in zip(grads, slopes, strict=True))
        for reference in of.op.references:
            found = evaluate(of.op, reference, of)
            assert set(found) == {f"grad of {x}" for x in along}
            slope = sum(np.sum(found[f"grad of {x}"] * way) for x, way in along.items())
            assert abs(slope - wanted) <= 1e-6 * (size + 1.0)


@pytest.mark.parametrize(
    "name", ["softmax", "layer_norm", "rms_norm", "cross_entropy", "matmul", "gelu", "attention"]
)
def test_the_incoming_gradient_of_a_backward_op_has_every_layout(name):
    """A gradient of no dims has no strides to vary, but still lies somewhere in a buffer."""
    op = BUILTIN_OPS[f"{name}_backward"]
    incoming = op.input("grad_output")
    layouts = {"offset", "contiguous"}
    if incoming.dims:
        layouts |= {"strided", "reversed", "broadcast", "transposed"}
    assert layouts <= set(ordinary_layouts(op, incoming))


def test_a_reference_in_torch_is_differentiated_and_traced():
    op = op_of(lambda input: torch.softmax(input, -1))
    case = gradients_of(make_case(op, 5))
    x, grad = (case.originals[name].astype(np.float64) for name in ("input", "grad_output"))
    y = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)

    bound = error_bound(case.op.references[0], case, compute="float32")

    assert bound.method == "trace"
    wanted = y * (grad - (grad * y).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(bound.values["grad of input"], wanted, rtol=1e-9, atol=1e-12)


TRACED = {
    "gelu": op_of(lambda input: torch.nn.functional.gelu(input)),
    "clamp": op_of(lambda input: input.clamp(-1, 1)),
    "halves": op_of(
        lambda input: torch.tanh(input[:, ::2]) * input[:, 1::2], "input[rows,2*cols] -> [rows,cols]"
    ),
    "largest": op_of(lambda input: input.max(-1).values, "input[rows,cols] -> [rows]"),
    "norm": op_of(
        lambda x, w: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1.0) * w, "x[M,N], w[N] -> [M,N]"
    ),
    "matmul": op_of(lambda a, b: a @ b, "a[M,K], b[K,N] -> [M,N]"),
    "rows": op_of(
        lambda i, w: torch.nn.functional.embedding(i, w),
        "i[N], w[V,D] -> [N,D]",
        inputs={"i": {"kind": "index", "of": "V"}},
    ),
    "two": op_of(lambda a, b: (a * b, a.sum(-1)), "a[M,K], b[M,K] -> y[M,K], s[M]"),
}


@pytest.mark.parametrize("name", TRACED)
def test_the_trace_of_a_gradient_has_its_values_and_covers_float32(name):
    """Guards: an operation of autograd taken for another one, or one whose rounding is left out."""
    op = replace(TRACED[name], values=("normal",), dtypes=("float32",), max_bytes=2**16)
    for seed in range(4):
        case = gradients_of(make_case(op, seed))
        reference = case.op.references[0]

        bound = error_bound(reference, case, compute="float32")

        assert bound.method == "trace", bound.note
        for output, value in evaluate(case.op, reference, case).items():
            np.testing.assert_allclose(bound.values[output], value, rtol=1e-9, atol=1e-12)
        given = [torch.from_numpy(np.array(x)) for x in case.originals.values()]
        single = reference(*given, **case.params)
        for output, found in zip(case.op.outputs, single, strict=True):
            error = np.abs(found - bound.values[output.name])
            rounding = np.spacing(np.abs(found).astype(np.float32))
            assert (error <= 2 * bound.errors[output.name] + rounding).all()


def test_a_gradient_of_layer_norm_is_undetermined_where_the_variance_overflows():
    """Guards: torch's own float32 kernel, which gives NaN there, was refused."""
    layer_norm = torch.nn.functional.layer_norm
    op = op_of(lambda input: layer_norm(input, input.shape[-1:]))
    case = given_case(op, input=[[1e20, -2e20, 3e20], [1.0, 2.0, 4.0]])
    leaf = torch.from_numpy(np.array(case.originals["input"])).requires_grad_()
    layer_norm(leaf, (3,)).backward(torch.from_numpy(np.array(case.originals["grad_output"])))

    verdict = judged(case, leaf.grad.numpy())

    assert not verdict.failed
    wrong = leaf.grad.numpy().copy()
    wrong[1] *= 2  # the incoming gradient is near-equal here, so less than that is rounding
    assert judged(case, wrong).failed


def test_a_numpy_reference_without_a_backward_op_has_no_gradient():
    case = make_case(op_of(lambda input: np.cbrt(input)), 1)
    with pytest.raises(ConfigError, match=r"check_grad knows no gradient.*write the reference in torch"):
        autograd.gradient_of(case)


def test_a_reference_that_means_another_function_in_torch_has_no_gradient():
    """var divides by n in NumPy, by n - 1 in torch."""
    op = define_op(
        "v", reference=lambda input: input.var(-1), schema="input[rows,cols] -> [rows]", dims={"cols": [5]}
    )
    with pytest.raises(ConfigError, match="other values on torch's arrays"):
        autograd.gradient_of(make_case(op, 1))


def test_an_op_in_place_or_without_floating_inputs_has_no_gradient():
    in_place = op_of(lambda input: 2 * input, "input[N] -> input[N]", inplace=["input"])
    with pytest.raises(ConfigError, match="it works in place"):
        autograd.gradient_of(make_case(in_place, 1))
    integers = op_of(lambda i: i + 1, "i[N] -> [N]", inputs={"i": {"dtype": "int32"}})
    with pytest.raises(ConfigError, match="no input of it is floating"):
        autograd.gradient_of(make_case(integers, 1))


def given_case(op, **inputs):
    case = case_from_arrays(op, {name: np.array(x, np.float32) for name, x in inputs.items()})
    return gradients_of(case)


def test_a_kink_may_have_any_gradient_and_its_neighbours_one():
    case = given_case(BUILTIN_OPS["relu"], input=[[0.0, -0.0, 2.0, -3.0, 1e-30]])
    grad = case.originals["grad_output"]
    right = np.where(case.originals["input"] > 0, grad, np.float32(0))

    assert judged(case, right).passed
    for at in (0, 1):
        other = right.copy()
        other[0, at] = 7.0
        assert not judged(case, other).failed
    for at in (2, 3, 4):
        other = right.copy()
        other[0, at] += 1.0
        assert judged(case, other).failed


@pytest.mark.parametrize("reference", [lambda input: input.amax(-1), lambda input: input.max(-1).values])
def test_any_member_of_a_tie_may_get_the_gradient(reference):
    case = given_case(
        op_of(reference, "input[rows,cols] -> [rows]"), input=[[1.0, 5.0, 5.0, 5.0], [4, 3, 2, 1]]
    )
    grad = case.originals["grad_output"]
    right = np.zeros((2, 4), np.float32)
    right[1, 0] = grad[1]
    for member in (1, 2, 3):
        one = right.copy()
        one[0, member] = grad[0]
        assert not judged(case, one).failed
    right[0, 1] = grad[0]
    right[0, 0] = grad[0] + 1
    assert judged(case, right).failed


def test_what_depends_on_a_nan_is_undetermined_and_nothing_else():
    case = given_case(BUILTIN_OPS["softmax"], input=[[np.nan, 1.0, 2.0], [0.5, 1.0, 2.0]])
    right = evaluate(case.op, case.op.references[0], case)["grad of input"].astype(np.float32)
    right[0] = [0.0, np.nan, 3.0]

    assert not judged(case, right).failed
    right[1, 1] += 0.5
    assert judged(case, right).failed


def test_a_kink_has_any_gradient_under_a_given_tolerance_too():
    op = replace(
        BUILTIN_OPS["relu"],
        tolerance=define_op("t", reference=abs, schema="x[N] -> [N]", tolerance={"atol": 1e-3}).tolerance,
    )
    case = given_case(op, input=[[0.0, 2.0, 1.0, 3.0]])
    other = case.originals["grad_output"].copy()
    assert other[0, 0] != 0
    assert not judged(case, other).failed
    other[0, 1] += 1.0
    assert judged(case, other).failed


def test_jax_references_are_differentiated_in_float64():
    jnp = pytest.importorskip("jax.numpy")
    assert "jax" in sys.modules
    op = define_op(
        "square", reference=lambda x: jnp.sin(x) * x, schema="x[N] -> [N]", library="jax", values=["normal"]
    )
    case = gradients_of(make_case(op, 1), "jax")
    x, grad = (case.originals[name].astype(np.float64) for name in ("x", "grad_output"))

    found = evaluate(case.op, case.op.references[0], case)["grad of x"]

    np.testing.assert_allclose(found, grad * (np.cos(x) * x + np.sin(x)), rtol=1e-13)
