"""Every reference against torch in float64: an implementation that shares no code with ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from pytest_gpuemu.engine.ops import BUILTIN_OPS

torch = pytest.importorskip("torch", reason="torch is the independent implementation")
F = torch.nn.functional
Arrays = Mapping[str, np.ndarray]

SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 700.0, -700.0)


def normal(*shape: int, seed: int = 0, scale: float = 3.0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(0.0, scale, shape)


def special(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal values; every third or so is NaN, an infinity, a zero, subnormal or large."""
    rng = np.random.default_rng((seed, 1, *shape))
    return np.where(rng.random(shape) < 0.3, rng.choice(SPECIAL, shape), rng.normal(0.0, 3.0, shape))


def rows_of(*values: float, cols: int = 5) -> np.ndarray:
    """A row of each value alone, one with it first, and a plain one."""
    rows = [np.full(cols, value) for value in values]
    rows += [np.concatenate([[value], normal(cols - 1)]) for value in values]
    return np.stack([*rows, normal(cols)])


def below(high: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, high, *shape)).integers(0, high, shape)


def assert_agrees(
    name: str,
    independent: Callable[..., Any],
    inputs: Sequence[Any],
    params: Mapping[str, Any],
    *,
    which: int = 0,
    rtol: float = 1e-12,
) -> None:
    """The op's reference and torch's function, called alike, give the same arrays: to rtol of the largest."""
    with np.errstate(all="ignore"):
        found = BUILTIN_OPS[name].references[which](*(np.array(x) for x in inputs), **params)
    wanted = independent(*(torch.from_numpy(np.array(x)) for x in inputs), **params)
    found = found if isinstance(found, tuple) else (found,)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    assert len(found) == len(wanted)
    for ours, theirs in zip(found, wanted, strict=True):
        theirs = theirs.detach().numpy()
        assert np.shape(ours) == theirs.shape
        finite = np.abs(theirs[np.isfinite(theirs)])
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * finite.max(initial=0.0))


PAIRS = [
    (normal(4, 7), normal(4, 7, seed=1)),
    (special(9, 11), special(9, 11, seed=1)),
    (normal(0, 3), normal(0, 3)),
    (normal(3, 1), normal(1, 4)),
]
UNARY = [
    ("exp", torch.exp, [{}]),
    ("log", torch.log, [{}]),
    ("sqrt", torch.sqrt, [{}]),
    ("rsqrt", torch.rsqrt, [{}]),
    ("neg", torch.neg, [{}]),
    ("abs", torch.abs, [{}]),
    ("clamp", torch.clamp, [{"min": -1.0, "max": 1.0}, {"min": 0.5, "max": None}, {"min": 2.0, "max": 1.0}]),
    ("relu", F.relu, [{}]),
    ("leaky_relu", F.leaky_relu, [{}, {"negative_slope": 0.2}]),
    ("elu", F.elu, [{}, {"alpha": 0.3}]),
    ("gelu", F.gelu, [{"approximate": "none"}, {"approximate": "tanh"}]),
    ("silu", F.silu, [{}]),
    ("sigmoid", torch.sigmoid, [{}]),
    ("tanh", torch.tanh, [{}]),
    ("softplus", F.softplus, [{}, {"beta": 2.5, "threshold": 3.0}]),
]
BINARY = [
    ("add", torch.add, [{}, {"alpha": 2.5}]),
    ("sub", torch.sub, [{}, {"alpha": -3}]),
    ("mul", torch.mul, [{}]),
    ("div", torch.div, [{}]),
    ("maximum", torch.maximum, [{}]),
    ("minimum", torch.minimum, [{}]),
    ("fmax", torch.fmax, [{}]),
    ("fmin", torch.fmin, [{}]),
    ("swiglu", lambda gate, up: F.silu(gate) * up, [{}]),
    (
        "geglu",
        lambda gate, up, approximate="none": F.gelu(gate, approximate=approximate) * up,
        [{}, {"approximate": "tanh"}],
    ),
]


@pytest.mark.parametrize(
    ("name", "independent", "params"), [(n, f, p) for n, f, several in UNARY for p in several]
)
@pytest.mark.parametrize("input", [normal(4, 7), special(40, 9), normal(0, 3), normal(5), normal(2, 3, 4)])
def test_a_function_of_one_input_is_torchs(name, independent, params, input):
    assert_agrees(name, independent, [input], params)


@pytest.mark.parametrize(
    ("name", "independent", "params"), [(n, f, p) for n, f, several in BINARY for p in several]
)
@pytest.mark.parametrize("pair", PAIRS)
def test_a_function_of_two_inputs_is_torchs(name, independent, params, pair):
    assert_agrees(name, independent, pair, params)


@pytest.mark.parametrize("pair", PAIRS)
def test_where_chooses_as_torchs(pair):
    condition = np.random.default_rng(3).random(np.broadcast_shapes(*(x.shape for x in pair))) < 0.5
    assert_agrees("where", torch.where, [condition, *pair], {})


def test_silu_and_mul_splits_the_last_dim_in_halves():
    def independent(input):
        gate, up = input.chunk(2, dim=-1)
        return F.silu(gate) * up

    for input in (normal(3, 8), special(7, 10), normal(2, 3, 6)):
        assert_agrees("silu_and_mul", independent, [input], {})


@pytest.mark.parametrize("approximate", ["tan", None])
def test_gelu_refuses_an_unknown_approximation(approximate):
    with pytest.raises(ValueError, match='is neither "none" nor "tanh"'):
        BUILTIN_OPS["gelu"].references[0](normal(2, 2), approximate=approximate)


REDUCED = [normal(4, 7), special(30, 6), rows_of(np.nan, np.inf, -np.inf, 0.0), normal(2, 3, 4), normal(3, 0)]
ALONG = [{"dim": -1}, {"dim": 0, "keepdim": True}, {"dim": -1, "keepdim": True}]
SEVERAL = [{"dim": (0, 1)}, {"dim": [0, -1], "keepdim": True}]
REDUCTIONS = [
    ("sum", torch.sum, [*ALONG, *SEVERAL, {"dim": None}]),
    ("mean", torch.mean, [*ALONG, *SEVERAL, {"dim": None}]),
    ("max", torch.amax, [*ALONG, *SEVERAL]),
    ("min", torch.amin, [*ALONG, *SEVERAL]),
    ("logsumexp", torch.logsumexp, [*ALONG, *SEVERAL]),
    ("var", torch.var, [*ALONG, *SEVERAL, {"dim": -1, "correction": 0}, {"dim": None, "correction": 2}]),
    ("std", torch.std, [*ALONG, {"dim": -1, "correction": 0}]),
    ("cumsum", torch.cumsum, [{"dim": -1}, {"dim": 0}]),
    ("softmax", torch.softmax, [{"dim": -1}, {"dim": 0}]),
    ("log_softmax", torch.log_softmax, [{"dim": -1}, {"dim": 0}]),
    ("normalize", F.normalize, [{}, {"dim": 0}, {"p": 1.0}, {"p": np.inf}, {"p": 3.0, "eps": 0.5}]),
]
CASES = [
    (name, independent, params, input)
    for name, independent, several in REDUCTIONS
    for params in several
    for input in REDUCED
    if input.size or not (name in ("max", "min") or params.get("p") == np.inf)  # no maximum of nothing
]


@pytest.mark.filterwarnings("ignore:.*degrees of freedom")
@pytest.mark.parametrize(("name", "independent", "params", "input"), CASES)
def test_a_reduction_is_torchs(name, independent, params, input):
    assert_agrees(name, independent, [input], params)


def test_var_of_one_element_is_nan_and_of_large_values_keeps_its_digits():
    """x - 1e8 is exact here, so the variance of x is that of the small numbers left."""
    far = 1e8 + normal(3, 50, scale=1e-3)
    var = BUILTIN_OPS["var"].references[0]

    with np.errstate(all="ignore"):
        alone = var(normal(3, 1))

    assert np.isnan(alone).all()
    np.testing.assert_allclose(var(far), torch.var(torch.from_numpy(far - 1e8), dim=-1).numpy(), rtol=1e-8)


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (3, 5, 7), (17, 33, 9), (2, 0, 3), (0, 4, 2)])
def test_matrix_products_are_torchs(m, k, n):
    assert_agrees("matmul", torch.matmul, [normal(m, k), normal(k, n)], {})
    assert_agrees("matmul", torch.matmul, [normal(2, m, k), normal(k, n)], {})
    assert_agrees("bmm", torch.bmm, [normal(3, m, k), normal(3, k, n)], {})
    assert_agrees("linear", F.linear, [normal(m, k), normal(n, k), normal(n)], {})
    assert_agrees("linear", F.linear, [normal(2, m, k), normal(n, k)], {})
    assert_agrees("mv", torch.mv, [normal(m, k), normal(k)], {})


def test_a_nan_or_infinity_reaches_the_products_that_torch_says():
    a, b = special(12, 9), special(9, 14, seed=2)
    a[:6], b[:, :7] = normal(6, 9), normal(9, 7)
    assert_agrees("matmul", torch.matmul, [a, b], {})


@pytest.mark.parametrize("params", [{"dim0": 0, "dim1": 1}, {"dim0": -1, "dim1": 0}])
def test_transpose_is_torchs(params):
    assert_agrees("transpose", torch.transpose, [normal(3, 5)], params)
    assert_agrees("transpose", torch.transpose, [normal(3, 4, 5)], params)


@pytest.mark.parametrize(
    "input", [normal(4, 7), special(30, 7), 1e6 + normal(5, 7), normal(2, 3, 7), normal(0, 7)]
)
@pytest.mark.parametrize("params", [{}, {"eps": 0.1}])
def test_layer_norm_and_rms_norm_are_torchs(input, params):
    weight, bias = normal(7, seed=4), normal(7, seed=5)
    params = {"eps": 1e-5, **params}
    near = 1e-9 if np.all(input > 9e5) and input.size else 1e-12  # 1e6 + x keeps 10 digits of x

    def layer_norm(input, weight, bias=None, *, eps):
        return F.layer_norm(input, (7,), weight, bias, eps)

    assert_agrees("layer_norm", layer_norm, [input, weight, bias], params, rtol=near)
    assert_agrees("rms_norm", lambda x, w, eps: F.rms_norm(x, (7,), w, eps), [input, weight], params)


def test_layer_norm_reduces_as_many_dims_as_weight_has():
    arrays = [normal(2, 3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2)]
    assert_agrees(
        "layer_norm", lambda x, w, b, eps: F.layer_norm(x, (3, 4), w, b, eps), arrays, {"eps": 1e-5}
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("shape", [(2, 8, 5), (1, 4, 1), (3, 8, 3, 2)])
def test_group_norm_is_torchs(groups, shape):
    def independent(input, weight, bias, *, num_groups, eps):
        return F.group_norm(input, num_groups, weight, bias, eps)

    arrays = [normal(*shape), normal(shape[1]), normal(shape[1], seed=1)]
    if np.prod(shape[1:]) == groups:  # one element a group: 0 of x - mean, whatever x
        assert np.array_equal(
            BUILTIN_OPS["group_norm"].references[0](*arrays, num_groups=groups),
            np.zeros(shape) + arrays[2][:, None],
        )
        return
    for which in (0, 1):
        assert_agrees("group_norm", independent, arrays, {"num_groups": groups, "eps": 1e-5}, which=which)


def test_group_norm_refuses_groups_that_do_not_divide_the_channels():
    with pytest.raises(ValueError, match="num_groups = 3 does not divide the 8 channels"):
        BUILTIN_OPS["group_norm"].references[0](normal(2, 8, 4), num_groups=3)


def torch_attention(query, key, value, *, is_causal=False, scale=None, enable_gqa=False):
    return F.scaled_dot_product_attention(
        query, key, value, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
    )


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("heads", "shared"), [(2, 2), (6, 2), (4, 1)])
@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (3, 9), (9, 4), (1, 1)])
@pytest.mark.parametrize("params", [{}, {"is_causal": True}, {"scale": 0.7, "is_causal": True}])
def test_attention_is_torchs(which, heads, shared, queries, keys, params):
    arrays = [
        normal(2, heads, queries, 8),
        normal(2, shared, keys, 8, seed=1),
        normal(2, shared, keys, 8, seed=2),
    ]
    params = {**params, "enable_gqa": heads != shared}
    assert_agrees("scaled_dot_product_attention", torch_attention, arrays, params, which=which)


@pytest.mark.parametrize("which", [0, 1])
def test_attention_aligns_the_causal_mask_bottom_right_when_asked(which):
    def independent(query, key, value, *, is_causal, causal_align):
        mask = torch.ones(4, 7, dtype=torch.bool).tril(diagonal=3)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)

    arrays = [normal(1, 2, 4, 8), normal(1, 2, 7, 8, seed=1), normal(1, 2, 7, 8, seed=2)]
    params = {"is_causal": True, "causal_align": "bottom_right"}
    assert_agrees("attention", independent, arrays, params, which=which)


def test_a_query_that_sees_no_key_is_zero_to_one_reference_and_nan_to_the_other():
    arrays = [normal(1, 1, 5, 8), normal(1, 1, 3, 8), normal(1, 1, 3, 8, seed=1)]
    zero, nan = BUILTIN_OPS["attention"].references
    params = {"is_causal": True, "causal_align": "bottom_right"}

    with np.errstate(all="ignore"):
        zeros, nans = zero(*arrays, **params), nan(*arrays, **params)

    assert (zeros[..., :2, :] == 0).all()
    assert np.isnan(nans[..., :2, :]).all()
    np.testing.assert_allclose(zeros[..., 2:, :], nans[..., 2:, :], rtol=1e-12)
    assert np.isfinite(zeros).all()


def test_attention_names_a_wrong_alignment_and_heads_that_do_not_divide():
    attention = BUILTIN_OPS["attention"].references[0]
    with pytest.raises(ValueError, match="causal_align = 'left' is none of top_left, bottom_right"):
        attention(
            normal(1, 1, 2, 4), normal(1, 1, 2, 4), normal(1, 1, 2, 4), is_causal=True, causal_align="left"
        )
    with pytest.raises(ValueError, match="3 query heads are no multiple of 2"):
        attention(normal(1, 3, 2, 4), normal(1, 2, 2, 4), normal(1, 2, 2, 4))


@pytest.mark.parametrize("interleaved", [False, True])
def test_rope_is_the_rotation_of_complex_numbers(interleaved):
    """torch has no rope: a pair is a complex number, and the rotation a product with exp(i angle)."""
    angle = normal(6, 4)

    def independent(input, cos, sin, *, interleaved):
        turn = torch.complex(cos, sin)
        if interleaved:
            pairs = torch.view_as_complex(input.reshape(2, 3, 6, 4, 2))
            return torch.view_as_real(pairs * turn).reshape(2, 3, 6, 8)
        turned = torch.complex(input[..., :4].contiguous(), input[..., 4:].contiguous()) * turn
        return torch.cat([turned.real, turned.imag], dim=-1)

    arrays = [normal(2, 3, 6, 8), np.cos(angle), np.sin(angle)]
    assert_agrees("rope", independent, arrays, {"interleaved": interleaved})


LOSS_PARAMS = [
    {"reduction": reduction, "ignore_index": ignored}
    for reduction in ("mean", "sum", "none")
    for ignored in (-100, 2)
]


@pytest.mark.parametrize("params", LOSS_PARAMS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("input", [normal(6, 5), rows_of(np.nan, np.inf, -np.inf)])
def test_cross_entropy_and_nll_loss_are_torchs(params, smoothing, input):
    target = below(5, input.shape[0])
    target[1] = -100 if params["ignore_index"] == -100 else 2
    assert_agrees("cross_entropy", F.cross_entropy, [input, target], {**params, "label_smoothing": smoothing})
    assert_agrees("nll_loss", F.nll_loss, [input, target], params)


def test_losses_take_dims_after_the_classes_and_a_lone_sample():
    target = below(5, 3, 4)
    assert_agrees("cross_entropy", F.cross_entropy, [normal(3, 5, 4), target], {})
    assert_agrees("cross_entropy", F.cross_entropy, [normal(5), np.array(3)], {"label_smoothing": 0.2})


def test_a_loss_without_any_target_is_nan_as_a_mean_and_0_as_a_sum():
    arrays = [normal(3, 5), np.full(3, -100)]
    assert_agrees("cross_entropy", F.cross_entropy, arrays, {"reduction": "mean"})
    assert_agrees("cross_entropy", F.cross_entropy, arrays, {"reduction": "sum"})
    with pytest.raises(ValueError, match="reduction = 'max' is none of mean, sum, none"):
        BUILTIN_OPS["cross_entropy"].references[0](*arrays, reduction="max")


def test_reading_by_index_is_torchs():
    assert_agrees("embedding", F.embedding, [below(9, 20), normal(9, 4)], {})
    assert_agrees("embedding", F.embedding, [below(9, 2, 5), special(9, 4)], {})

    def index_select(input, index, *, dim):
        return torch.index_select(input, dim, index)

    def gather(input, index, *, dim):
        return torch.gather(input, dim, index)

    for dim in (0, 1, -1):
        size = (5, 7)[dim]
        assert_agrees("index_select", index_select, [normal(5, 7), below(size, 12)], {"dim": dim})
        assert_agrees("gather", gather, [normal(5, 7), below(size, 4, 6)], {"dim": dim})
    assert_agrees("gather", gather, [special(5, 7), below(7, 5, 0)], {"dim": 1})


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("repeated", [False, True])
def test_scatter_add_is_torchs_and_leaves_its_input_alone(dim, repeated):
    def independent(input, index, src, *, dim):
        return torch.scatter_add(input, dim, index, src)

    input = normal(5, 7)
    kept = input.copy()
    index = np.zeros((4, 6), dtype=np.int64) if repeated else below(5, 4, 6)
    assert_agrees("scatter_add", independent, [input, index, normal(4, 7, seed=1)], {"dim": dim})
    BUILTIN_OPS["scatter_add"].references[0](input, index, normal(4, 7), dim=dim)
    assert np.array_equal(input, kept)


def test_counting_is_torchs():
    assert_agrees("bincount", torch.bincount, [below(64, 200)], {"minlength": 64})
    assert_agrees("bincount", torch.bincount, [below(9, 50)], {"minlength": 3})
    assert_agrees("bincount", torch.bincount, [below(9, 0)], {"minlength": 3})
    edges = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 1.0000001, -1.0000001, 0.4999999])
    for input in (edges, normal(300, scale=1.0), normal(0)):
        for bins, low, high in ((4, -1.0, 1.0), (16, -1.0, 1.0), (10, 0.0, 3.0), (1, -1.0, 1.0)):
            assert_agrees("histc", torch.histc, [input], {"bins": bins, "min": low, "max": high})


def test_histc_leaves_out_nan_and_infinities():
    counts = BUILTIN_OPS["histc"].references[0](np.array([np.nan, np.inf, -np.inf, 1.0, -1.0]), bins=2)
    assert counts.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    "params",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2}, {"stride": 3, "padding": 4, "dilation": 3}],
)
def test_convolution_is_torchs(groups, params):
    params = {**params, "groups": groups}
    for kernel in (1, 3, 4):
        arrays = [normal(2, 2 * groups, 17), normal(3 * groups, 2, kernel), normal(3 * groups)]
        assert_agrees("conv1d", F.conv1d, arrays, params)
        arrays = [normal(2, 2 * groups, 13, 15), normal(3 * groups, 2, kernel, 2), normal(3 * groups)]
        assert_agrees("conv2d", F.conv2d, arrays, params)
    assert_agrees("conv1d", F.conv1d, [normal(2, 2 * groups, 17), normal(3 * groups, 2, 3)], params)


def test_conv2d_takes_a_number_for_each_dim():
    params = {"stride": (2, 1), "padding": [0, 3], "dilation": (1, 2)}
    assert_agrees("conv2d", F.conv2d, [normal(2, 3, 9, 11), normal(4, 3, 3, 2), normal(4)], params)


def test_convolution_names_groups_and_windows_that_do_not_fit():
    conv1d = BUILTIN_OPS["conv1d"].references[0]
    with pytest.raises(ValueError, match="groups = 1 does not fit 4 input channels"):
        conv1d(normal(1, 4, 9), normal(2, 2, 3))
    with pytest.raises(ValueError, match="a window of 9 does not fit the padded length 8"):
        conv1d(normal(1, 2, 8), normal(2, 2, 3), dilation=4)


@pytest.mark.parametrize(
    "params",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": (2, 3), "stride": (1, 2)},
    ],
)
@pytest.mark.parametrize("input", [normal(2, 3, 9, 8), special(2, 3, 9, 8), -np.abs(normal(1, 2, 8, 8))])
def test_pooling_is_torchs(params, input):
    assert_agrees("max_pool2d", F.max_pool2d, [input], params)
    assert_agrees("max_pool2d", F.max_pool2d, [input], {**params, "dilation": 2})
    for included in (True, False):
        assert_agrees("avg_pool2d", F.avg_pool2d, [input], {**params, "count_include_pad": included})


DISTINCT = np.random.default_rng(5).permutation(60).reshape(6, 10).astype(float)
WITH_NAN = np.where(DISTINCT == 17, np.nan, np.where(DISTINCT == 3, -np.inf, DISTINCT))


@pytest.mark.parametrize("input", [DISTINCT, WITH_NAN])
@pytest.mark.parametrize("dim", [0, -1])
def test_outputs_that_are_indices_are_torchs_where_nothing_ties(input, dim):
    for keepdim in (False, True):
        params = {"dim": dim, "keepdim": keepdim}
        assert_agrees("argmax", torch.argmax, [input], params)
        assert_agrees("argmin", torch.argmin, [input], params)
        assert_agrees("max_with_indices", lambda x, **k: tuple(torch.max(x, **k)), [input], params)
    for flag in (False, True):
        assert_agrees(
            "sort", lambda x, **k: tuple(torch.sort(x, **k)), [input], {"dim": dim, "descending": flag}
        )
        params = {"k": 3, "dim": dim, "largest": flag}
        assert_agrees("topk", lambda x, **k: tuple(torch.topk(x, **k)), [input], params)
    assert_agrees("argmax", torch.argmax, [input], {"dim": None})


@pytest.mark.parametrize("descending", [False, True])
def test_a_stable_sort_keeps_ties_in_their_order_as_torchs(descending):
    input = np.random.default_rng(6).integers(0, 3, (5, 40)).astype(float)
    params = {"dim": -1, "descending": descending, "stable": True}
    assert_agrees("sort", lambda x, **k: tuple(torch.sort(x, **k)), [input], params)


def test_floor_divide_rounds_down_for_every_pair_of_signs_as_torchs():
    numbers = np.array([-(2**31) + 1, -7, -6, -1, 0, 1, 6, 7, 2**31 - 1], dtype=np.int32)
    dividend, divisor = np.meshgrid(numbers, numbers[numbers != 0])
    assert_agrees("floor_divide", torch.floor_divide, [dividend, divisor], {})
    assert_agrees("floor_divide", torch.floor_divide, [normal(40, 40), normal(40, 40, seed=1)], {})


@pytest.mark.parametrize("group_size", [4, 128])
def test_quantizing_to_int8_is_torchs_with_the_scale_of_the_group(group_size):
    input = normal(3, 2 * group_size)
    groups = torch.from_numpy(input).reshape(3, 2, group_size)
    wanted = groups.abs().amax(-1) / 127

    codes, scale = BUILTIN_OPS["quantize_int8"].references[0](input, group_size=group_size)

    np.testing.assert_allclose(scale, wanted.numpy(), rtol=1e-15)
    rounded = torch.fake_quantize_per_channel_affine(
        groups.reshape(6, group_size).float(), wanted.reshape(6).float(), torch.zeros(6), 0, -127, 127
    )
    steps = (rounded / wanted.reshape(6, 1)).round().reshape(input.shape)
    assert np.array_equal(codes, steps.numpy())


def test_the_scale_of_a_group_of_zeros_is_eps_to_one_reference_and_1_to_the_other():
    for name, largest in (("quantize_int8", 127.0), ("quantize_fp8", 448.0)):
        clamped, unit = BUILTIN_OPS[name].references
        for reference, wanted in ((clamped, 1e-10 / largest), (unit, 1.0)):
            codes, scale = reference(np.zeros((2, 256)))
            assert (codes == 0).all()
            assert (scale == wanted).all()


def test_dequantizing_undoes_quantizing_to_half_a_step():
    input = normal(4, 256)
    codes, scale = BUILTIN_OPS["quantize_int8"].references[0](input)
    back = BUILTIN_OPS["dequantize_int8"].references[0](codes, scale)
    assert (np.abs(back - input) <= np.repeat(scale, 128, axis=-1) * 0.5000001).all()
    codes, scale = BUILTIN_OPS["quantize_fp8"].references[0](input)
    assert np.abs(codes).max() == pytest.approx(448.0)
    back = BUILTIN_OPS["dequantize_fp8"].references[0](scale=scale, input=codes)
    np.testing.assert_allclose(back, input, rtol=1e-14)


def test_a_group_size_that_does_not_divide_is_named():
    with pytest.raises(ValueError, match="group_size = 3 does not divide the last dim, 8"):
        BUILTIN_OPS["quantize_int8"].references[0](normal(2, 8), group_size=3)
