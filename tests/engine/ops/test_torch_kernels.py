"""torch's own float32 kernels are right, so no case of a built-in may refuse them."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import narrow_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS

torch = pytest.importorskip("torch", reason="its kernels are what is judged here")
F = torch.nn.functional

KERNELS = {
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
    "elu": F.elu,
    "sum": lambda input: input.sum(-1),
    "var": lambda input: input.var(-1),
    "logsumexp": lambda input: torch.logsumexp(input, -1),
    "softmax": lambda input: torch.softmax(input, -1),
    "log_softmax": lambda input: torch.log_softmax(input, -1),
    "layer_norm": lambda input, weight, bias: F.layer_norm(input, weight.shape, weight, bias),
    "rms_norm": lambda input, weight: F.rms_norm(input, weight.shape, weight, 1e-6),
    "group_norm": lambda input, weight, bias: F.group_norm(input, 4, weight, bias),
    "normalize": F.normalize,
    "matmul": torch.matmul,
    "linear": F.linear,
    "attention": F.scaled_dot_product_attention,
    "cross_entropy": F.cross_entropy,
    "histc": lambda input: torch.histc(input[torch.isfinite(input)], 16, -1.0, 1.0),
}


def verdicts(op, kernel, seeds):
    for seed in seeds:
        case = make_case(op, seed)
        inputs = [
            torch.from_numpy(x.astype(np.float32) if dtypes.is_floating(str(x.dtype)) else x)
            for x in case.originals.values()
        ]
        with np.errstate(over="ignore"):
            output = kernel(*inputs).numpy().astype(dtypes.numpy_dtype(case.plan.dtype))
        yield judge(case, output)


@pytest.mark.parametrize("name", KERNELS)
def test_a_float32_kernel_of_torch_is_never_refused(name):
    for verdict in verdicts(BUILTIN_OPS[name], KERNELS[name], range(100, 112)):
        assert not verdict.failed, (verdict.seed, verdict.findings)


@pytest.mark.parametrize("name", ["layer_norm", "group_norm"])
def test_a_variance_beyond_float32_is_undetermined(name):
    """Guards: torch gives NaN there, by Welford's update, and failed as if the reference were in reach."""
    op = narrow_op(BUILTIN_OPS[name], dtypes=["float32"], values=["large"], layouts=["contiguous"])
    found = list(verdicts(op, KERNELS[name], range(6)))
    assert not any(verdict.failed for verdict in found)
    assert any(verdict.status == "undetermined" for verdict in found)


def test_gelu_may_take_erf_from_a_polynomial():
    """Guards: torch's CPU kernel is 4 ulp off where erf is small, since its polynomial is off by 1.5e-7."""
    op = narrow_op(BUILTIN_OPS["gelu"], dtypes=["float32"], values=["uniform", "sparse"])
    assert not any(verdict.failed for verdict in verdicts(op, F.gelu, range(20)))


def test_a_histogram_may_compute_the_part_of_an_element_next_to_an_edge():
    """Guards: -1e-20 + 1 is 1 in float32, which is the next part."""
    op = narrow_op(BUILTIN_OPS["histc"], values=["tiny", "wide"])
    assert not any(verdict.failed for verdict in verdicts(op, KERNELS["histc"], range(20)))


@pytest.mark.parametrize("counted", ["[-1, 1)", "(-1, 1]"])
def test_a_histogram_that_drops_an_edge_is_found(counted):
    """The part of an element at an edge is open to rounding; whether it is counted at all is not."""

    def drops_an_edge(input):
        inside = input[input != 1.0] if counted == "[-1, 1)" else input[input != -1.0]
        return torch.histc(inside, 16, -1.0, 1.0)

    op = narrow_op(BUILTIN_OPS["histc"], dtypes=["float32"], values=["integers"])
    assert any(verdict.failed for verdict in verdicts(op, drops_an_edge, range(20)))
    assert not any(verdict.failed for verdict in verdicts(op, KERNELS["histc"], range(20)))


def test_group_norm_with_a_variance_of_one_pass_is_found():
    """Guards: the errors of 1 / deviation in x * a and in mean * a were counted apart, and hid it."""

    def one_pass(input, weight, bias, num_groups=4, eps=1e-5):
        groups = input.reshape(len(input), num_groups, -1)
        mean = groups.mean(-1, keepdim=True)
        variance = (groups.square().mean(-1, keepdim=True) - mean.square()).clamp(min=0)
        result = ((groups - mean) / torch.sqrt(variance + eps)).reshape(input.shape)
        return result * weight[:, None] + bias[:, None]

    values = {"input": "near_equal", "weight": "uniform", "bias": "uniform"}
    inputs = {name: {"values": [kind]} for name, kind in values.items()}
    op = narrow_op(BUILTIN_OPS["group_norm"], dtypes=["float32"], inputs=inputs)
    assert sum(verdict.failed for verdict in verdicts(op, one_pass, range(40))) >= 10
    assert not any(verdict.failed for verdict in verdicts(op, KERNELS["group_norm"], range(40)))
