"""Each compute type accepts the roundings it declares, and no wider ones."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from traced_case import VALUE_CLASSES, bound_of, draw, exceeding, f32

KINDS = sorted(VALUE_CLASSES)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention(q, k, v):
    return softmax(q @ k.T / np.sqrt(q.shape[-1])) @ v


def attention_kernel(q, k, v, weights_dtype):
    """Flash attention's last step: P in the storage dtype before P @ V, sums in float32."""
    q, k, v = (x.astype(f32) for x in (q, k, v))
    scores = q @ k.T * f32(1 / np.sqrt(q.shape[-1]))
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    total = p.sum(axis=-1, keepdims=True, dtype=f32)
    return (p.astype(weights_dtype).astype(f32) @ v) / total


def refused_share(output, bound):
    return exceeding(output, bound).mean()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_weights_in_the_storage_dtype_pass_under_float32_and_not_under_strict(dtype):
    strict_refused = 0
    for seed in range(8):
        q, k, v = (draw("normal", seed + 10 * i, (n, 16), dtype) for i, n in enumerate((5, 60, 60)))
        output = attention_kernel(q, k, v, dtype)
        assert not exceeding(output, bound_of(attention, q=q, k=k, v=v)).any()
        strict_refused += exceeding(
            output, bound_of(attention, compute="float32-strict", q=q, k=k, v=v)
        ).any()
    assert strict_refused == 8


def truncated_to_tf32(x):
    return (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(f32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tf32_matmul_passes_under_tf32_and_not_under_float32(kind):
    a, b = draw(kind, 1, (6, 64)), draw(kind, 2, (64, 5))
    output = truncated_to_tf32(a) @ truncated_to_tf32(b)
    assert not exceeding(output, bound_of(lambda a, b: a @ b, compute="tf32", a=a, b=b)).any()
    assert refused_share(output, bound_of(lambda a, b: a @ b, a=a, b=b)) > 0.5


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
def test_rounding_every_step_passes_under_storage_and_not_under_float32(dtype):
    def stored(x):
        return x.astype(dtype).astype(f32)

    for seed in range(6):
        x = draw("normal", seed, (4, 50), dtype)
        wide = x.astype(f32)
        e = stored(np.exp(stored(wide - wide.max(axis=-1, keepdims=True))))
        output = stored(e / stored(e.sum(axis=-1, keepdims=True, dtype=f32)))
        storage = bound_of(softmax, compute="storage", x=x)
        assert not exceeding(output, storage).any()
        assert exceeding(output, bound_of(softmax, x=x)).any()
        assert exceeding(output * f32(1.2), storage).any()


@pytest.mark.parametrize("kind", KINDS)
def test_float64_kernels_in_other_orders_pass_and_float32_ones_do_not(kind):
    x = draw(kind, 4, (5, 200), np.float64)
    total = np.zeros(5)
    for i in reversed(range(200)):
        total = total + x[:, i]
    bound = bound_of(lambda x: x.sum(axis=-1), compute="float64", x=x)
    assert not exceeding(total, bound).any()
    assert exceeding(x.astype(f32).sum(axis=-1).astype(np.float64), bound).any()

    e = np.exp(x - x.max(axis=-1, keepdims=True))[:, ::-1]
    output = (e * (1 / np.cumsum(e, axis=-1)[:, -1:]))[:, ::-1]
    bound = bound_of(softmax, compute="float64", x=x)
    assert not exceeding(output, bound).any()
    assert (bound.errors["y"] <= 1e-12).all()


def filled(x):
    padded = np.zeros((x.shape[0], x.shape[1] + 1))
    padded[:, :-1] = x
    padded[:, -1] = 1.0
    return padded


@pytest.mark.parametrize(
    "one_more",
    [
        lambda x: np.concatenate([x, np.ones((x.shape[0], 1))], axis=1),
        lambda x: np.hstack([x, np.full((x.shape[0], 1), 1.0)]),
        lambda x: np.pad(x, ((0, 0), (0, 1)), constant_values=1.0),
        filled,
    ],
    ids=["concatenate", "hstack", "pad", "assignment"],
)
def test_inputs_joined_with_constants_are_read_as_inputs_are(one_more):
    """Guards: with a bias as one more row of the weight, the operands counted as rounded again."""
    x, w = (draw("normal", seed, shape, np.float16) for seed, shape in ((1, (4, 16)), (2, (16, 3))))
    b = np.ones((1, 3), np.float16)

    def joined(x, w, b):
        return one_more(x) @ np.concatenate([w, b])

    given = {"x": x, "w": w, "b": b}
    inputs_as_they_are = bound_of(joined, compute="float32-strict", **given).errors["y"]
    assert np.array_equal(bound_of(joined, **given).errors["y"], inputs_as_they_are)
    computed = bound_of(lambda x, w, b: joined(x * 1.5, w, b), **given).errors["y"]
    assert np.all(computed > 10 * inputs_as_they_are)
