"""References written in torch: traced by the same rules as NumPy's, with torch's own values."""

from __future__ import annotations

import numpy as np
import pytest
from traced_case import bound_of, draw, error_of, exceeding, f32

torch = pytest.importorskip("torch")
F = torch.nn.functional

X = draw("normal", 0, (6, 8))
W = draw("normal", 1, (8,))
IDX = np.array([[0, 2, 1], [1, 1, 0], [3, 0, 2], [0, 0, 0], [5, 1, 2], [2, 3, 4]])
TARGET = np.array([1, 0, 7, -100, 3, 3])


def in_place(x):
    y = torch.zeros_like(x)
    y[:, 0] = x.sum(dim=-1)
    y += x
    y.mul_(0.3).add_(x, alpha=2)
    return y


def bits(x):
    return torch.finfo(x.dtype).bits


def by_rows(x):
    out = torch.empty(x.shape[0], dtype=x.dtype, device=x.device)
    for i in range(x.size(0)):
        out[i] = torch.logsumexp(x[i], dim=0)
    return out


UNARY = {
    "softmax": lambda x: torch.softmax(x, dim=-1),
    "F.softmax": lambda x: F.softmax(x, dim=0),
    "x.softmax": lambda x: x.softmax(-1),
    "log_softmax": lambda x: F.log_softmax(x, -1),
    "logsumexp": lambda x: torch.logsumexp(x, (0, 1)),
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "layer_norm of two dims": lambda x: F.layer_norm(x, x.shape, eps=1e-3),
    "rms_norm": lambda x: F.rms_norm(x, (8,), eps=1e-6),
    "group_norm": lambda x: F.group_norm(x[:, :, None], 2),
    "normalize": lambda x: F.normalize(x, dim=-1),
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "softplus": F.softplus,
    "mish": F.mish,
    "elu": F.elu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "logsigmoid": F.logsigmoid,
    "glu": F.glu,
    "erf": torch.erf,
    "rsqrt": lambda x: torch.rsqrt(x * x + 1e-5),
    "var": lambda x: x.var(-1),
    "var biased": lambda x: x.var(dim=-1, unbiased=False, keepdim=True),
    "var of all": lambda x: torch.var(x, correction=0),
    "var_mean": lambda x: torch.var_mean(x, -1)[0],
    "std": lambda x: torch.std(x, dim=0),
    "mean": lambda x: x.mean((0, 1)),
    "sum": lambda x: x.sum(),
    "prod": lambda x: x.prod(dim=-1),
    "cumsum": lambda x: torch.cumsum(x, dim=1),
    "norm": lambda x: x.norm(dim=-1) + torch.linalg.vector_norm(x, dim=-1),
    "matmul": lambda x: x @ x.transpose(0, 1),
    "mm": lambda x: torch.mm(x, x.t()),
    "bmm": lambda x: torch.bmm(x[None], x.T[None]),
    "einsum": lambda x: torch.einsum("ij,kj->ik", x, x),
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True),
    "arithmetic": lambda x: (1 - x) / 3 + 2 * x**2 - x.pow(3) / (1 + x.abs()),
    "rsub": lambda x: torch.rsub(x, 1.5) + torch.sub(x, x, alpha=0.3),
    "where": lambda x: torch.where(x > 0, x.exp(), torch.tensor(0.25, dtype=torch.float64)),
    "causal mask": lambda x: (
        (x @ x.T)
        .masked_fill(torch.triu(torch.ones(6, 6, dtype=torch.bool), diagonal=1), float("-inf"))
        .softmax(-1)
    ),
    "clamp": lambda x: x.exp().clamp(0.3, 1.2).clamp_min(0.5),
    "stack": lambda x: torch.stack([row.exp() for row in x], dim=1),
    "cat": lambda x: torch.cat([x, x.tanh()], dim=-1),
    "chunk": lambda x: torch.chunk(x, 2, dim=-1)[0] * F.silu(x.chunk(2, dim=-1)[1]),
    "view": lambda x: x.view(3, 2, -1).permute(2, 0, 1).reshape(-1, 6).exp(),
    "expand": lambda x: x[:, None].expand(-1, 2, -1).exp().unsqueeze(0).squeeze(0).flatten(1),
    "max": lambda x: x.exp().max(dim=-1, keepdim=True).values + x.exp().amax(1, keepdim=True),
    "in place": in_place,
    "rows": by_rows,
    "pad": lambda x: F.pad(x, (1, 2)).exp(),
    "cast": lambda x: x.double().to(torch.float64).type_as(x).exp(),
    "numpy number": lambda x: x * np.float64(0.3),
    "mse": lambda x: F.mse_loss(x, x.exp()),
}


@pytest.mark.parametrize("name", sorted(UNARY))
def test_a_torch_reference_is_traced_with_torchs_own_values(name):
    reference = UNARY[name]
    bound = bound_of(reference, library="torch", x=X)
    plain = reference(torch.from_numpy(X.astype(np.float64))).numpy()
    assert bound.method == "trace", bound.note
    assert bound.values["y"].shape == plain.shape
    assert bound.values["y"] == pytest.approx(plain, rel=1e-12, abs=1e-14)
    assert (bound.errors["y"] > 0).any()
    assert (bound.errors["y"] < 1e-4 * max(1.0, np.abs(plain).max())).all()


@pytest.mark.parametrize(
    "reference",
    [
        lambda x, w, idx, target: F.linear(x, torch.stack([w, w]), w[:2]),
        lambda x, w, idx, target: F.layer_norm(x, (8,), w, w, 1e-5),
        lambda x, w, idx, target: x.gather(0, idx).exp() * torch.take_along_dim(x, idx, dim=1),
        lambda x, w, idx, target: torch.zeros(6, 8, dtype=x.dtype).scatter_add(1, idx, x[:, :3]),
        lambda x, w, idx, target: torch.zeros(6, 8).double().scatter_add_(1, idx, x[:, :3].exp()),
        lambda x, w, idx, target: torch.zeros_like(x).index_add_(0, idx[:, 0], x),
        lambda x, w, idx, target: F.embedding(idx, x).exp(),
        lambda x, w, idx, target: x[idx[:, 0]].exp() + x.index_select(0, idx[:, 1]),
        lambda x, w, idx, target: F.cross_entropy(x, target),
        lambda x, w, idx, target: F.cross_entropy(x, target, reduction="none", ignore_index=-100),
        lambda x, w, idx, target: F.nll_loss(F.log_softmax(x, 1), target, reduction="sum"),
        lambda x, w, idx, target: F.cross_entropy(x, target, weight=w.abs()),
        lambda x, w, idx, target: torch.addmm(w[:3], x, x.T[:, :3], beta=0.5),
        lambda x, w, idx, target: torch.matmul(x, w) + torch.mv(x, w) + torch.dot(w, w),
        lambda x, w, idx, target: (torch.arange(8) < idx[:, :1]).to(x.dtype) * x.exp(),
    ],
)
def test_functions_of_several_tensors_agree_with_torch(reference):
    bound = bound_of(reference, library="torch", x=X, w=W, idx=IDX, target=TARGET)
    tensors = [torch.from_numpy(a.astype(np.float64) if a.dtype == f32 else a) for a in (X, W, IDX, TARGET)]
    plain = reference(*tensors).numpy()
    assert bound.method == "trace", bound.note
    assert bound.values["y"] == pytest.approx(plain, rel=1e-12, abs=1e-14)
    assert (bound.errors["y"] > 0).any()
    assert (bound.errors["y"] < 1e-4 * max(1.0, np.abs(plain).max())).all()


@pytest.mark.parametrize(
    "reference",
    [
        torch.relu,
        lambda x: x.amax(dim=-1),
        lambda x: x.flip(0).contiguous().clone(),
        lambda x: torch.where(x > 0, x, 0.0),
        lambda x: x.argmax(dim=-1),
        lambda x: torch.topk(x, 3).values,
        lambda x: torch.sort(x, dim=-1, descending=True)[1],
        lambda x: x.unbind(0)[2],
    ],
)
def test_what_only_moves_or_chooses_is_exact(reference):
    bound = bound_of(reference, library="torch", x=X)
    plain = reference(torch.from_numpy(X.astype(np.float64))).numpy()
    assert bound.method == "trace", bound.note
    assert (bound.values["y"] == plain).all()
    assert not bound.errors["y"].any()


def test_torch_and_numpy_give_the_same_bound():
    def in_numpy(x):
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def in_torch(x):
        e = torch.exp(x - x.max(dim=-1, keepdim=True).values)
        return e / e.sum(dim=-1, keepdim=True)

    assert error_of(in_torch, x=X) == pytest.approx(error_of(in_numpy, x=X), rel=1e-12)


def test_a_function_without_a_rule_falls_back_by_its_name():
    bound = bound_of(lambda x: torch.special.i0(x), x=X)
    assert bound.method == "fallback"
    assert "i0" in bound.note
    assert np.isfinite(bound.errors["y"]).all()


@pytest.mark.filterwarnings("ignore:size_average and reduce args will be deprecated")
@pytest.mark.parametrize(
    ("reference", "named"),
    [
        (lambda x, target: F.cross_entropy(x, target, size_average=False), "size_average"),
        (lambda x, target: F.cross_entropy(x, target, reduce=False), "reduce"),
        (lambda x, target: F.nll_loss(x, target, size_average=False), "size_average"),
        (lambda x, target: F.nll_loss(x, target, reduce=False), "reduce"),
        (lambda x, target: F.mse_loss(x, 2 * x, size_average=False), "size_average"),
        (lambda x, target: F.mse_loss(x, 2 * x, reduce=False), "reduce"),
        (lambda x, target: F.mse_loss(x, 2 * x, weight=torch.full((6, 8), 3.0).double()), "weight"),
        (lambda x, target: F.embedding(target[:2], x, max_norm=0.5), "max_norm"),
        (lambda x, target: torch.linalg.norm(x, 2), "matrix norm"),
        (lambda x, target: torch.linalg.norm(x, 1, dim=(0, 1)), "matrix norm"),
    ],
)
def test_an_argument_that_no_rule_reads_falls_back_to_torchs_own_values(reference, named):
    plain = reference(torch.from_numpy(X.astype(np.float64)), torch.from_numpy(TARGET)).numpy()
    bound = bound_of(reference, library="torch", x=X, target=TARGET)
    assert bound.method == "fallback"
    assert named in bound.note
    assert bound.values["y"] == pytest.approx(plain, rel=1e-12)


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: x.exp() * bits(torch.linalg.vector_norm(x.float(), dtype=torch.float64)),
        lambda x: x.exp() * bits(torch.linalg.norm(x.float(), dtype=torch.float64)),
        lambda x: torch.full_like(x, 1.5, dtype=torch.int64) * x.exp(),
        lambda x: x.exp() * bits(torch.zeros_like(x, dtype=torch.float32)),
        lambda x: x.exp() * bits(torch.ones_like(x, dtype=torch.float32)),
    ],
)
def test_a_dtype_that_is_asked_for_is_the_results(reference):
    plain = reference(torch.from_numpy(X.astype(np.float64)))
    bound = bound_of(reference, library="torch", x=X)
    assert bound.method == "trace", bound.note
    assert bound.values["y"] == pytest.approx(plain.numpy(), rel=1e-12)


def test_constructors_are_restored():
    zeros = torch.zeros
    assert bound_of(by_rows, x=X).method == "trace"
    assert torch.zeros is zeros
    assert type(torch.zeros(2)) is torch.Tensor


def test_methods_that_both_libraries_have_are_read_as_the_case_says():
    variance = lambda x: x.var(-1)  # noqa: E731
    numpys = bound_of(variance, x=X)
    torchs = bound_of(variance, library="torch", x=X)
    assert numpys.values["y"] == pytest.approx(X.astype(float).var(axis=-1))
    assert torchs.values["y"] == pytest.approx(X.astype(float).var(axis=-1, ddof=1))
    assert numpys.method == torchs.method == "trace"


def test_code_of_the_other_library_is_traced_where_the_first_does_not_run():
    assert bound_of(lambda x: x.unsqueeze(0).exp(), x=X).method == "trace"
    assert bound_of(lambda x: x.swapaxes(0, 1).astype(float) * 3, library="torch", x=X).method == "trace"


def test_angles_of_a_torch_range_are_computed_in_float32_by_the_kernel_too():
    def rotated(x):
        rows, cols = x.shape
        frequencies = 1e4 ** (-torch.arange(cols, dtype=torch.float64) / cols)
        return x * torch.outer(torch.arange(rows).double(), frequencies).cos()

    x = draw("normal", 4, (300, 32))
    frequencies = f32(1e4) ** (-np.arange(32, dtype=f32) / f32(32))
    bound = bound_of(rotated, library="torch", x=x)
    assert not exceeding(x * np.cos(np.arange(300, dtype=f32)[:, None] * frequencies), bound).any()


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: torch.where(torch.arange(6)[:, None] >= torch.arange(8), x, 0.0),
        lambda x: x[torch.arange(6), torch.arange(6)],
        lambda x: x[torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")],
        lambda x: torch.gather(x, 1, torch.arange(8).expand(6, 8)),
        lambda x: x[torch.arange(6).tolist()],
    ],
)
def test_torch_ranges_are_still_indices_and_masks(reference):
    assert not error_of(reference, library="torch", x=X).any()


def test_a_torch_mask_by_the_smallest_float64_leaves_the_row_judged():
    def reference(x):
        mask = (torch.arange(8) < 5).double()
        return torch.softmax(x + (1.0 - mask) * torch.finfo(torch.float64).min, dim=-1)

    error = error_of(reference, library="torch", x=X)
    assert (error < 1e-5).all()


@pytest.mark.parametrize("write", ["scatter", "scatter_add"])
def test_what_is_scattered_by_an_undecided_index_is_undetermined_in_its_row(write):
    """Guards: the index's error was dropped, and a kernel that chose the rival failed."""

    def gates(x):
        values, indices = torch.topk(x / 3, 1)
        return getattr(torch.zeros_like(x), write)(1, indices, values)

    x = X.copy()
    x[2, :2] = 9.0, np.nextafter(f32(9), f32(10))
    error = error_of(gates, library="torch", x=x)
    assert np.isinf(error[2]).all()
    assert np.isfinite(np.delete(error, 2, axis=0)).all()
