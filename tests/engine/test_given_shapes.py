"""A caller's own arrays have the shapes that the operator takes, not only those that cases are drawn with."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from pytest_gpuemu.engine.case import case_from_arrays, make_case  # noqa: E402
from pytest_gpuemu.engine.define import define_op  # noqa: E402
from pytest_gpuemu.engine.errors import ConfigError  # noqa: E402
from pytest_gpuemu.engine.given_shapes import _with_schema, dims_of, with_ranks  # noqa: E402
from pytest_gpuemu.engine.judge import judge  # noqa: E402
from pytest_gpuemu.engine.op import tensor_shape  # noqa: E402
from pytest_gpuemu.engine.ops import BUILTIN_OPS  # noqa: E402
from pytest_gpuemu.engine.references import evaluate  # noqa: E402
from pytest_gpuemu.frameworks.pytorch import check_autograd  # noqa: E402

OPS = {op.name: op for op in BUILTIN_OPS.values()}
# Their shapes have these ranks and no others, or their head counts tell what others would hide.
FIXED = {"bmm", "mv", "bincount", "grouped_query_attention"}

rng = np.random.default_rng(7)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def target(*shape):
    return rng.integers(0, 5, size=shape)


def copied_transpose(input, dim0, dim1):
    return input.transpose(dim0, dim1).contiguous()


# op, inputs, params, the same in torch
TAKEN = [
    ("relu", {"input": normal(9)}, {}, F.relu),
    ("relu", {"input": normal(2, 3, 4)}, {}, F.relu),
    ("gelu", {"input": normal()}, {}, F.gelu),
    ("gelu", {"input": normal(2, 3, 2, 5)}, {}, F.gelu),
    ("add", {"input": normal(6), "other": normal(6)}, {}, torch.add),
    ("add", {"input": normal(2, 3, 4), "other": normal(2, 3, 4)}, {"alpha": 2}, torch.add),
    (
        "where",
        {"condition": normal(2, 3, 4) > 0, "input": normal(2, 3, 4), "other": normal(2, 3, 4)},
        {},
        torch.where,
    ),
    ("sum", {"input": normal(7)}, {}, lambda input: input.sum(-1)),
    ("sum", {"input": normal(3, 4, 5)}, {"dim": (0, 2)}, lambda input, dim: input.sum(dim)),
    ("mean", {"input": normal(3, 4, 5)}, {"dim": 1}, torch.mean),
    ("argmax", {"input": normal(3, 4, 5)}, {}, lambda input: input.argmax(-1)),
    ("topk", {"input": normal(2, 3, 9)}, {"k": 3}, torch.topk),
    ("sort", {"input": normal(8)}, {}, torch.sort),
    ("softmax", {"input": normal(6)}, {}, lambda input: F.softmax(input, -1)),
    ("softmax", {"input": normal(2, 3, 4, 5)}, {"dim": 1}, F.softmax),
    ("cumsum", {"input": normal(2, 3, 4)}, {}, lambda input: input.cumsum(-1)),
    (
        "layer_norm",
        {"input": normal(2, 3, 8), "weight": normal(8), "bias": normal(8)},
        {},
        lambda input, weight, bias: F.layer_norm(input, weight.shape, weight, bias),
    ),
    (
        "layer_norm",
        {"input": normal(2, 3, 8), "weight": normal(3, 8), "bias": normal(3, 8)},
        {},
        lambda input, weight, bias: F.layer_norm(input, weight.shape, weight, bias),
    ),
    (
        "layer_norm",
        {"input": normal(8), "weight": normal(8)},
        {},
        lambda input, weight: F.layer_norm(input, weight.shape, weight),
    ),
    ("layer_norm", {"input": normal(2, 3, 8)}, {}, lambda input: F.layer_norm(input, (8,))),
    (
        "rms_norm",
        {"input": normal(2, 3, 8), "weight": normal(8)},
        {},
        lambda input, weight: F.rms_norm(input, weight.shape, weight, 1e-6),
    ),
    (
        "group_norm",
        {"input": normal(2, 6, 3, 4), "weight": normal(6), "bias": normal(6)},
        {"num_groups": 3},
        F.group_norm,
    ),
    ("group_norm", {"input": normal(2, 6)}, {"num_groups": 2}, F.group_norm),
    ("normalize", {"input": normal(2, 3, 4)}, {"dim": 0}, F.normalize),
    ("matmul", {"input": normal(2, 3, 4, 5), "other": normal(2, 3, 5, 6)}, {}, torch.matmul),
    ("matmul", {"input": normal(2, 4, 5), "other": normal(5, 6)}, {}, torch.matmul),
    ("linear", {"input": normal(2, 3, 5), "weight": normal(4, 5), "bias": normal(4)}, {}, F.linear),
    ("linear", {"input": normal(5), "weight": normal(4, 5)}, {}, F.linear),
    ("transpose", {"input": normal(2, 3, 4)}, {"dim0": 1, "dim1": 2}, copied_transpose),
    (
        "scaled_dot_product_attention",
        {"query": normal(2, 7, 16), "key": normal(2, 9, 16), "value": normal(2, 9, 8)},
        {},
        F.scaled_dot_product_attention,
    ),
    ("conv1d", {"input": normal(2, 4, 9), "weight": normal(3, 4, 3)}, {}, F.conv1d),
    ("max_pool2d", {"input": normal(3, 8, 9)}, {}, lambda input: F.max_pool2d(input, 2)),
    ("embedding", {"input": target(2, 3), "weight": normal(5, 4)}, {}, F.embedding),
    ("index_select", {"input": normal(5, 3, 2), "index": target(4)}, {"dim": 0}, torch.index_select),
    ("gather", {"input": normal(5, 4), "index": target(3, 4)}, {"dim": 0}, torch.gather),
    (
        "scatter_add",
        {"input": normal(5, 2, 3), "index": target(6, 2, 3), "src": normal(6, 2, 3)},
        {"dim": 0},
        torch.scatter_add,
    ),
    ("histc", {"input": normal(4, 9)}, {}, lambda input: torch.histc(input, 16, -1.0, 1.0)),
    ("cross_entropy", {"input": normal(2, 5, 3, 4), "target": target(2, 3, 4)}, {}, F.cross_entropy),
    ("cross_entropy", {"input": normal(5), "target": target()}, {}, F.cross_entropy),
    (
        "nll_loss",
        {"input": normal(2, 5, 3), "target": target(2, 3)},
        {"reduction": "none"},
        F.nll_loss,
    ),
]


def as_tensors(inputs):
    return {name: torch.from_numpy(np.asarray(x)) for name, x in inputs.items()}


@pytest.mark.parametrize(("name", "inputs", "params", "kernel"), TAKEN)
def test_arrays_of_another_rank_are_judged_as_torch_computes_them(name, inputs, params, kernel):
    inputs = {key: np.asarray(x) for key, x in inputs.items()}
    case = case_from_arrays(OPS[name], inputs, params)

    right = kernel(**as_tensors(inputs), **params)
    outputs = [x.numpy() for x in right] if isinstance(right, tuple) else right.numpy()

    assert judge(case, tuple(outputs) if isinstance(outputs, list) else outputs).passed
    first = outputs[0] if isinstance(outputs, list) else outputs
    wrong = np.array(first)
    wrong.reshape(-1)[-1] += 1
    assert judge(case, (wrong, *outputs[1:]) if isinstance(outputs, list) else wrong).failed
    flat = (first[None], *outputs[1:]) if isinstance(outputs, list) else first[None]
    assert [found.kind for found in judge(case, flat).findings] == ["ShapeMismatch"]


DIFFERENTIABLE = [
    row for row in TAKEN if OPS[row[0]].gradient is not None and "reduction" not in row[2] and row[1]
]


@pytest.mark.parametrize(("name", "inputs", "params", "kernel"), DIFFERENTIABLE)
def test_gradients_of_arrays_of_another_rank_are_judged_as_torch_computes_them(name, inputs, params, kernel):
    check_autograd(kernel, name, as_tensors(inputs), **params)


@pytest.mark.parametrize("name", sorted(OPS))
def test_a_built_in_takes_what_is_drawn_by_each_of_its_further_schemas_too(name):
    """With every input there, and drawn ranks, a text that fits says of the outputs what the schema says."""
    op = OPS[name]
    if name in FIXED:
        assert op.also_takes == ()
        return
    assert op.also_takes
    case = make_case(op, 1)
    given = dict(case.originals)
    fitted = 0
    for text in op.also_takes:
        schema = with_ranks(text, {key: x.ndim for key, x in given.items()})
        if schema is None:
            continue
        taken = _with_schema(op, schema)
        dims = dims_of(taken, given)
        for output in taken.outputs:
            found = evaluate(op, op.references[0], case)[output.name].shape
            assert output.dims is None or tensor_shape(output.dims, dims) == found
        assert all(x.of is None or x.of.evaluate(dims) == x.of.evaluate(case.plan.dims) for x in taken.inputs)
        fitted += 1
    # conv's and pooling's texts leave out an input or say less; all others describe the drawn case as well.
    assert fitted or name in {"conv1d", "conv2d"}


def test_the_drawn_ranks_keep_the_names_of_the_schema():
    assert case_from_arrays(OPS["softmax"], {"input": normal(3, 4)}).plan.dims == {"rows": 3, "cols": 4}


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        (
            "softmax",
            {"input": normal()},
            "input 'input' has shape [], but the schema gives it 2 dims, [rows, cols]\n"
            "  it also takes input[rows...,cols] -> [rows...,cols]",
        ),
        ("add", {"input": normal(2, 3), "other": normal(2, 4)}, "dim cols is 3 in 'input' but 4 in 'other'"),
        (
            "add",
            {"input": normal(2, 3, 4), "other": normal(2, 3, 5)},
            "dim shape2 is 4 in 'input' but 5 in 'other'",
        ),
        ("linear", {"input": normal(3, 5)}, "input 'weight' is missing among input"),
        ("linear", {"input": normal(3, 5), "wieght": normal(4, 5)}, "unknown input 'wieght'"),
        ("linear", {"input": normal(5), "weight": normal(4, 6)}, "dim K is 5 in 'input' but 6 in 'weight'"),
    ],
)
def test_what_fits_no_schema_is_refused(name, inputs, message):
    with pytest.raises(ConfigError) as refused:
        case_from_arrays(OPS[name], {key: np.asarray(x) for key, x in inputs.items()})
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "ranks", "spelled"),
    [
        ("a[x...] -> [x...]", {"a": 0}, [[]]),
        ("a[x...,n] -> [x...]", {"a": 3}, [["x0", "x1", "n"]]),
        ("a[n,x...,m], b[x...] -> [...]", {"a": 2, "b": 0}, [["n", "m"], []]),
        ("a[x...,y...], b[y...] -> [...]", {"a": 3, "b": 1}, [["x0", "x1", "y0"], ["y0"]]),
        ("a[x...,n] -> [x...]", {"a": 0}, None),
        ("a[x...], b[x...] -> [x...]", {"a": 1, "b": 2}, None),
        ("a[n] -> [n]", {"b": 1}, None),
        ("a[n] -> [n]", {"a": 2}, None),
    ],
)
def test_a_run_is_as_many_dims_as_the_ranks_need(text, ranks, spelled):
    schema = with_ranks(text, ranks)
    assert (None if schema is None else [[*map(str, x.dims)] for x in schema.inputs]) == spelled


def test_ranks_that_leave_a_run_open_are_refused():
    with pytest.raises(ValueError, match=r"do not tell how many dims x\.\.\. stands for"):
        with_ranks("a[x...,y...] -> [x...]", {"a": 2})


def test_an_op_of_ones_own_takes_the_shapes_of_its_schema_alone():
    op = define_op("mine", reference=lambda x: x, schema="x[n] -> [n]")
    with pytest.raises(ConfigError, match=r"input 'x' has shape \[2, 3\], but the schema gives it 1 dims"):
        case_from_arrays(op, {"x": normal(2, 3)})
