"""Every backward op against torch's autograd in float64, which derives the gradient itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_gpuemu.engine.ops import BUILTIN_OPS

torch = pytest.importorskip("torch", reason="torch's autograd is the independent implementation")
F = torch.nn.functional


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(0.0, 2.0, shape)


def assert_gradients(
    name: str,
    forward: Callable[..., Any],
    inputs: Sequence[Any],
    given: Sequence[Any],
    params: Mapping[str, Any],
) -> None:
    """The op, called with the output's gradient and `given`, has autograd's gradients of forward(*inputs)."""
    leaves = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    output = forward(*leaves)
    grad_output = np.asarray(normal(*output.shape, seed=9))
    output.backward(torch.from_numpy(grad_output))
    wanted = [leaf.grad.numpy() for leaf in leaves if leaf.requires_grad]
    for reference in BUILTIN_OPS[name].references:
        found = reference(grad_output, *given, **params)
        found = found if isinstance(found, tuple) else (found,)
        assert len(found) == len(wanted) == len(BUILTIN_OPS[name].outputs)
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours.shape == theirs.shape
            near = 1e-12 * np.abs(theirs).max(initial=1.0)
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=near)


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (3, 0), (2, 3, 4)])
def test_gradients_of_elementwise_ops_from_their_input(shape):
    x, up = normal(*shape), normal(*shape, seed=1)
    assert_gradients("relu_backward", F.relu, [x], [x], {})
    assert_gradients("silu_backward", F.silu, [x], [x], {})
    for approximate in ("none", "tanh"):
        assert_gradients(
            "gelu_backward",
            lambda x, approximate=approximate: F.gelu(x, approximate=approximate),
            [x],
            [x],
            {"approximate": approximate},
        )
    assert_gradients("swiglu_backward", lambda gate, up: F.silu(gate) * up, [x, up], [x, up], {})


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (2, 3, 4)])
def test_gradients_from_the_output(shape):
    x = normal(*shape)
    for name, forward in (("sigmoid_backward", torch.sigmoid), ("tanh_backward", torch.tanh)):
        assert_gradients(name, forward, [x], [forward(torch.from_numpy(x)).numpy()], {})
    for name, forward in (("softmax_backward", torch.softmax), ("log_softmax_backward", torch.log_softmax)):
        for dim in (-1, 0):
            output = forward(torch.from_numpy(x), dim).numpy()
            assert_gradients(name, lambda x, f=forward, d=dim: f(x, d), [x], [output], {"dim": dim})


def test_relu_passes_the_gradient_where_its_input_is_nan_as_torch():
    x = np.array([[np.nan, 0.0, -0.0, np.inf, -np.inf]])
    assert_gradients("relu_backward", F.relu, [x], [x], {})


@pytest.mark.parametrize("shape", [(5, 7), (1, 3), (2, 3, 4)])
@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_gradients_of_norms(shape, eps):
    x, weight, bias = normal(*shape), normal(shape[-1], seed=1), normal(shape[-1], seed=2)
    assert_gradients(
        "layer_norm_backward",
        lambda x, w, b: F.layer_norm(x, shape[-1:], w, b, eps),
        [x, weight, bias],
        [x, weight],
        {"eps": eps},
    )
    assert_gradients(
        "rms_norm_backward",
        lambda x, w: F.rms_norm(x, shape[-1:], w, eps),
        [x, weight],
        [x, weight],
        {"eps": eps},
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(6, 5), (3, 5, 4)])
def test_gradients_of_cross_entropy(reduction, smoothing, shape):
    x = normal(*shape)
    target = np.random.default_rng(0).integers(0, 5, (shape[0], *shape[2:]))
    target[1] = -100
    params = {"reduction": reduction, "label_smoothing": smoothing}
    assert_gradients(
        "cross_entropy_backward",
        lambda x: F.cross_entropy(x, torch.from_numpy(target), **params),
        [x],
        [x, target],
        params,
    )


def test_nan_in_an_ignored_row_is_left_out_or_carried_through_as_torch_does():
    left_out, carried = BUILTIN_OPS["cross_entropy_backward"].references
    logits = torch.tensor([[np.nan, 1.0], [0.5, 2.0]], dtype=torch.float64, requires_grad=True)
    target = np.array([-100, 1])
    F.cross_entropy(logits, torch.from_numpy(target)).backward()
    found = carried(np.ones(()), logits.detach().numpy(), target)
    np.testing.assert_allclose(found, logits.grad.numpy(), rtol=1e-12)
    assert (left_out(np.ones(()), logits.detach().numpy(), target)[0] == 0).all()


def test_an_unknown_form_of_a_gradient_is_named():
    with pytest.raises(ValueError, match="approximate = 'sigmoid' is neither"):
        BUILTIN_OPS["gelu_backward"].references[0](normal(2), normal(2), approximate="sigmoid")
    with pytest.raises(ValueError, match="reduction = 'max' is none of mean, sum, none"):
        BUILTIN_OPS["cross_entropy_backward"].references[0](
            np.ones(()), normal(2, 3), np.zeros(2, int), reduction="max"
        )


@pytest.mark.parametrize(("m", "k", "n"), [(3, 5, 7), (1, 1, 1), (4, 0, 2)])
def test_gradients_of_matrix_products_and_embedding(m, k, n):
    a, b, weight, bias = normal(m, k), normal(k, n), normal(n, k), normal(n)
    assert_gradients("matmul_backward", torch.matmul, [a, b], [a, b], {})
    assert_gradients(
        "matmul_backward",
        torch.matmul,
        [normal(2, m, k), normal(2, k, n)],
        [normal(2, m, k), normal(2, k, n)],
        {},
    )
    assert_gradients("linear_backward", F.linear, [a, weight, bias], [a, weight], {})
    indices = np.array([0, 2, 0, 0, 1])
    table = normal(4, 3)
    assert_gradients("embedding_backward", F.embedding, [indices, table], [indices, table], {})


@pytest.mark.parametrize(("heads", "shared"), [(2, 2), (6, 2)])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 9), (9, 4)])
@pytest.mark.parametrize("params", [{}, {"is_causal": True}, {"scale": 0.7}])
def test_gradients_of_attention(heads, shared, queries, keys, params):
    inputs = [
        normal(2, heads, queries, 8),
        normal(2, shared, keys, 8, seed=1),
        normal(2, shared, keys, 8, seed=2),
    ]

    def forward(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=heads != shared, **params)

    assert_gradients("scaled_dot_product_attention_backward", forward, inputs, inputs, params)


def test_a_query_that_sees_no_key_adds_nothing_to_the_gradients():
    grad, query, key, value = (normal(1, 1, n, 8, seed=n) for n in (5, 5, 3, 3))
    params = {"is_causal": True, "causal_align": "bottom_right"}
    backward = BUILTIN_OPS["attention_backward"].references[0]

    grad_query, grad_key, grad_value = backward(grad, query, key, value, **params)
    seeing = backward(grad[:, :, 2:], query[:, :, 2:], key, value, **params)

    assert (grad_query[:, :, :2] == 0).all()
    np.testing.assert_allclose(grad_key, seeing[1], rtol=1e-12)
    np.testing.assert_allclose(grad_value, seeing[2], rtol=1e-12)
