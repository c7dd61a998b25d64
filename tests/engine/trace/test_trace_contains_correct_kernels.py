"""Float32 kernels that are right, in the orders and forms in which kernels are written, stay within
half an ulp + 2E; the same kernels with a planted fault do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from traced_case import VALUE_CLASSES, bound_of, draw, exceeding, f32

KINDS = sorted(VALUE_CLASSES)
SEEDS = range(6)


# References, in float64.


def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def layer_norm(x, eps=1e-5):
    apart = x - x.mean(axis=-1, keepdims=True)
    return apart / np.sqrt((apart * apart).mean(axis=-1, keepdims=True) + eps)


def logsumexp(x):
    largest = x.max(axis=-1, keepdims=True)
    return np.log(np.exp(x - largest).sum(axis=-1)) + largest[..., 0]


def gelu(x):
    return 0.5 * x * (1.0 + special.erf(x / np.sqrt(2.0)))


def gelu_tanh(x):
    return 0.5 * x * (1.0 + np.tanh(0.7978845608028654 * (x + 0.044715 * x**3)))


def attention(q, k, v):
    return softmax(q @ k.T / np.sqrt(q.shape[-1])) @ v


# Sums in float32: sequential, pairwise, blocked, backwards.


def sequential(terms):
    total = np.zeros(terms.shape[:-1], f32)
    for i in range(terms.shape[-1]):
        total = (total + terms[..., i]).astype(f32)
    return total


def backwards(terms):
    return sequential(terms[..., ::-1])


def pairwise(terms):
    while terms.shape[-1] > 1:
        if terms.shape[-1] % 2:
            terms = np.concatenate([terms, np.zeros((*terms.shape[:-1], 1), f32)], axis=-1)
        terms = terms[..., ::2] + terms[..., 1::2]
    return terms[..., 0]


def blocked(terms):
    parts = [sequential(terms[..., i : i + 32]) for i in range(0, terms.shape[-1], 32)]
    return sequential(np.stack(parts, axis=-1))


ORDERS = [sequential, backwards, pairwise, blocked]


def noisy(values, rng):
    """A hardware function within 2 ulp, exact where it gives 0 (exp(-inf))."""
    values = values.astype(f32)
    step = np.where(values == 0, f32(0), np.spacing(np.abs(values)))
    return (values + step * rng.integers(-2, 3, values.shape)).astype(f32)


def softmax_kernel(x, order, rng):
    e = noisy(np.exp((x - x.max(axis=-1, keepdims=True)).astype(f32)), rng)
    return e * (f32(1) / order(e))[..., None]


def softmax_online(x, order, rng):
    largest, total = np.full(x.shape[:-1], -np.inf, f32), np.zeros(x.shape[:-1], f32)
    for i in range(x.shape[-1]):
        new = np.maximum(largest, x[..., i])
        scale = np.where(np.isneginf(largest), f32(0), noisy(np.exp(largest - new), rng)).astype(f32)
        total = (total * scale + noisy(np.exp(x[..., i] - new), rng)).astype(f32)
        largest = new
    return noisy(np.exp(x - largest[..., None]), rng) / total[..., None]


def layer_norm_two_pass(x, order, rng, eps=1e-5):
    count = f32(x.shape[-1])
    apart = x - (order(x) / count)[..., None]
    return apart * (f32(1) / np.sqrt(order(apart * apart) / count + f32(eps)))[..., None]


def layer_norm_welford(x, order, rng, eps=1e-5):
    mean, m2 = np.zeros(x.shape[:-1], f32), np.zeros(x.shape[:-1], f32)
    for i in range(x.shape[-1]):
        delta = x[..., i] - mean
        mean = mean + delta / f32(i + 1)
        m2 = m2 + delta * (x[..., i] - mean)
    root = noisy(1 / np.sqrt(m2 / f32(x.shape[-1]) + f32(eps)), rng)
    return (x - mean[..., None]) * root[..., None]


def logsumexp_kernel(x, order, rng):
    largest = x.max(axis=-1, keepdims=True)
    return noisy(np.log(order(noisy(np.exp(x - largest), rng))), rng) + largest[..., 0]


def gelu_kernel(x, order, rng):
    inner = noisy(special.erf((x * f32(1 / np.sqrt(2))).astype(f32)), rng)
    return f32(0.5) * x * (f32(1) + inner)


def gelu_tanh_kernel(x, order, rng):
    y = f32(0.7978845608) * (x + f32(0.044715) * x * x * x)
    t = noisy(np.exp((f32(-2) * np.abs(y)).astype(f32)), rng)
    by_exp = np.sign(y) * ((f32(1) - t) / (f32(1) + t))
    return f32(0.5) * x * (f32(1) + by_exp.astype(f32))


def var_kernel(x, order, rng):
    count = f32(x.shape[-1])
    apart = x - (order(x) / count)[..., None]
    return order(apart * apart) / f32(x.shape[-1] - 1)


ROW_KERNELS = [
    (softmax, softmax_kernel),
    (softmax, softmax_online),
    (layer_norm, layer_norm_two_pass),
    (layer_norm, layer_norm_welford),
    (logsumexp, logsumexp_kernel),
    (gelu, gelu_kernel),
    (gelu_tanh, gelu_tanh_kernel),
    (lambda x: x.sum(axis=-1), lambda x, order, rng: order(x)),
    (lambda x: x.mean(axis=-1), lambda x, order, rng: order(x) * f32(1 / x.shape[-1])),
    (lambda x: x.var(axis=-1, ddof=1), var_kernel),
]
NAMES = [
    "softmax",
    "online softmax",
    "layer_norm",
    "welford",
    "logsumexp",
    "gelu",
    "gelu tanh",
    "sum",
    "mean",
    "var",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("reference", "kernel"), ROW_KERNELS, ids=NAMES)
def test_a_correct_float32_kernel_stays_within_the_bound(reference, kernel, kind):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x = draw(
            kind,
            seed,
            (3, (1, 7, 64, 129, 300, 513)[seed]) if reference is not ROW_KERNELS[-1][0] else (3, 65),
        )
        bound = bound_of(reference, x=x)
        assert bound.method == "trace", bound.note
        for order in ORDERS:
            with np.errstate(all="ignore"):
                output = kernel(x, order, rng)
            assert output.dtype == f32
            assert not exceeding(output, bound).any(), (seed, order.__name__)


@pytest.mark.parametrize("kind", KINDS)
def test_every_order_of_a_matmul_stays_within_the_bound(kind):
    for seed, depth in enumerate((1, 16, 65, 200)):
        a, b = draw(kind, seed, (5, depth)), draw(kind, seed + 100, (depth, 6))
        bound = bound_of(lambda a, b: a @ b, a=a, b=b)
        products = a[:, None, :] * b.T[None, :, :]
        fused = np.zeros((5, 6), f32)
        for i in range(depth):
            fused = (fused.astype(np.float64) + a[:, i, None].astype(np.float64) * b[None, i]).astype(f32)
        for output in [fused, *(order(products) for order in ORDERS)]:
            assert not exceeding(output, bound).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_running_sum_in_two_orders_stays_within_the_bound(kind):
    x = draw(kind, 3, (4, 257))
    bound = bound_of(lambda x: np.cumsum(x, axis=-1), x=x)
    running = np.cumsum(x, axis=-1, dtype=f32)
    scanned = x.copy()
    step = 1
    while step < x.shape[-1]:  # Hillis and Steele's parallel scan
        scanned = np.concatenate([scanned[:, :step], scanned[:, step:] + scanned[:, :-step]], axis=-1)
        step *= 2
    assert not exceeding(running, bound).any()
    assert not exceeding(scanned, bound).any()


@pytest.mark.parametrize("kind", ["normal", "wide", "one-signed"])
def test_online_attention_stays_within_the_bound(kind):
    rng = np.random.default_rng(5)
    q, k, v = (draw(kind, seed, (n, 16)) for seed, n in ((1, 5), (2, 70), (3, 70)))
    bound = bound_of(attention, q=q, k=k, v=v)
    acc, total, largest = np.zeros((5, 16), f32), np.zeros(5, f32), np.full(5, -np.inf, f32)
    for i in range(0, 70, 32):
        scores = (q @ k[i : i + 32].T * f32(0.25)).astype(f32)
        new = np.maximum(largest, scores.max(axis=-1))
        p, scale = noisy(np.exp(scores - new[:, None]), rng), noisy(np.exp(largest - new), rng)
        total = total * scale + p.sum(axis=-1, dtype=f32)
        acc = acc * scale[:, None] + p @ v[i : i + 32]
        largest = new
    assert not exceeding(acc / total[:, None], bound).any()


def test_wholly_and_partly_masked_rows_are_judged_and_agree():
    x = draw("normal", 0, (4, 33))
    x[0], x[1, :20], x[2, 5] = -np.inf, -np.inf, -np.inf

    bound = bound_of(softmax, x=x)

    assert np.isfinite(bound.errors["y"]).all()
    with np.errstate(all="ignore"):
        output = softmax_kernel(x, blocked, np.random.default_rng(0))
    assert np.isnan(output[0]).all()
    assert not exceeding(output, bound).any()
    # A kernel that writes 0 into a row that is NaN, or a number where a masked element is 0, is refused.
    assert exceeding(np.nan_to_num(output), bound)[0].all()
    assert exceeding(np.where(np.isneginf(x), f32(1e-6), output), bound)[1, :20].all()


# Faults that the bound must not cover.


def test_a_float16_accumulator_is_refused():
    for reference, kernel in ((softmax, softmax_kernel), (layer_norm, layer_norm_two_pass)):
        x = draw("normal", 2, (8, 257))

        def half(terms):
            return np.add.accumulate(terms.astype(np.float16), axis=-1, dtype=np.float16)[..., -1].astype(f32)

        output = kernel(x, half, np.random.default_rng(0))
        assert exceeding(output, bound_of(reference, x=x)).any()


def test_a_wrong_constant_is_refused():
    x = draw("normal", 0, (4, 64))
    rng = np.random.default_rng(0)
    wrong = f32(0.5) * x * (1 + np.tanh(f32(0.79) * (x + f32(0.044715) * x**3)))
    assert exceeding(wrong, bound_of(gelu_tanh, x=x)).mean() > 0.5
    assert exceeding(layer_norm_two_pass(x, blocked, rng, eps=1e-3), bound_of(layer_norm, x=x)).mean() > 0.5


def test_a_dropped_element_is_refused():
    x = draw("one-signed", 0, (4, 64))
    output = softmax_kernel(x, lambda terms: blocked(terms[..., :-1]), np.random.default_rng(0))
    assert exceeding(output, bound_of(softmax, x=x)).all()


def test_the_variance_by_mean_of_squares_is_refused_for_a_large_mean():
    x = draw("near-equal", 0, (4, 64))
    count = f32(64)
    output = (blocked(x * x) / count - (blocked(x) / count) ** 2).astype(f32)
    assert exceeding(output, bound_of(lambda x: x.var(axis=-1), x=x)).any()


def test_a_tanh_of_2_to_the_minus_11_is_refused():
    x = draw("normal", 0, (4, 64))
    approximate = (np.tanh(x) * (1 + 2.0**-11)).astype(f32)
    assert exceeding(approximate, bound_of(np.tanh, x=x)).any()
