"""fuzz_case.check_grad: correct autograd functions pass, wrong ones fail in the gradient that is wrong."""

from __future__ import annotations

import pytest

from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.errors import CannotRunHere, ConfigError, KernelMismatch, OutputError
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.pytest_items.fuzz_case import BoundCase, FuzzCase, bind

torch = pytest.importorskip("torch", reason="the functions under test are torch's")

SCALED = define_op(
    "scaled",
    reference=lambda x, w, b: 0.5 * torch.tanh(x) * w + b,
    schema="x[M,N], w[N], b[N] -> [M,N]",
    library="torch",
)


def cases_of(op, count, master=11, **keys):
    op = narrow_op(op, **{"library": "torch", "max_bytes": 2**15, **keys})
    for seed in campaign_seeds(op, master, count):
        case = FuzzCase()
        bound = BoundCase(op, plan_case(op, seed), lambda: ["pytest x"])
        bind(case, bound)
        yield case, bound


def failures(op, function, count=30, **keys):
    """The texts of the cases that function fails; it may be undetermined where inputs are not finite."""
    found = []
    for case, bound in cases_of(op, count, **keys):
        try:
            case.check_grad(function)
        except KernelMismatch as error:
            found.append(str(error))
        except CannotRunHere:
            continue
        else:
            assert bound.status == "passed" or any("nonfinite" in x for x in case.values.values())
    return found


def softmax_backward(y, grad):
    return y * (grad - (grad * y).sum(-1, keepdim=True))


class Softmax(torch.autograd.Function):
    """float32 inside, the output saved in the input's dtype, as real kernels do."""

    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x.float(), -1).to(x.dtype)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        return softmax_backward(ctx.saved_tensors[1].float(), grad.float()).to(grad.dtype)


class WithoutScale(Softmax):
    @staticmethod
    def backward(ctx, grad):
        return (ctx.saved_tensors[1].float() * grad.float()).to(grad.dtype)


class WrongSavedTensor(Softmax):
    @staticmethod
    def backward(ctx, grad):
        return softmax_backward(ctx.saved_tensors[0].float(), grad.float()).to(grad.dtype)


class ContiguousGradient(Softmax):
    """Reads the incoming gradient as if it lay densely from its first element on, within its storage."""

    @staticmethod
    def backward(ctx, grad):
        storage = grad.untyped_storage().nbytes() // grad.element_size()
        there = torch.arange(grad.numel()) % max(storage, 1)
        flat = grad.as_strided((storage,), (1,), 0)[there] if grad.numel() else grad
        return softmax_backward(ctx.saved_tensors[1].float(), flat.reshape(grad.shape).float()).to(grad.dtype)


class WrongDtype(Softmax):
    @staticmethod
    def backward(ctx, grad):
        return softmax_backward(ctx.saved_tensors[1].float(), grad.float())


class WritesIntoGradient(Softmax):
    @staticmethod
    def backward(ctx, grad):
        found = Softmax.backward(ctx, grad)
        if 0 not in grad.stride():  # torch refuses to write where elements share memory
            grad[..., :1].add_(1)
        return found


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return (0.5 * torch.tanh(x.float()) * w.float() + b.float()).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        t, g = torch.tanh(x.float()), grad.float()
        grads = 0.5 * g * w.float() * (1 - t * t), (0.5 * g * t).sum(0), g.sum(0)
        return tuple(found.to(x.dtype) for found in grads)


class ForgottenFactor(Scaled):
    @staticmethod
    def backward(ctx, grad):
        of_x, of_w, of_b = Scaled.backward(ctx, grad)
        return of_x, 2 * of_w, of_b


class MissingReduction(Scaled):
    @staticmethod
    def backward(ctx, grad):
        of_x, of_w, _ = Scaled.backward(ctx, grad)
        return of_x, of_w, grad[:1].sum(0)


class LeftToTorch(Scaled):
    """torch sums a gradient with more dims than its input, without a word."""

    @staticmethod
    def backward(ctx, grad):
        of_x, of_w, _ = Scaled.backward(ctx, grad)
        return of_x, of_w, grad


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_correct_function_passes(dtype):
    assert failures(BUILTIN_OPS["softmax"], lambda input: Softmax.apply(input), 50, dtypes=[dtype]) == []
    assert failures(SCALED, Scaled.apply, 50, dtypes=[dtype]) == []


@pytest.mark.parametrize("function", [WithoutScale, WrongSavedTensor, ContiguousGradient])
def test_a_wrong_gradient_is_found(function):
    found = failures(BUILTIN_OPS["softmax"], lambda input: function.apply(input))

    assert found
    assert "softmax (gradient) fails for seed" in found[0]
    assert "grad of input[" in found[0]
    assert "grad_output: " in found[0]


@pytest.mark.parametrize(("function", "wrong"), [(ForgottenFactor, "w"), (MissingReduction, "b")])
def test_the_gradient_that_is_wrong_is_named(function, wrong):
    found = failures(SCALED, function.apply, 15)

    assert len(found) > 5
    assert all(f"grad of {wrong}: " in text.splitlines()[0] for text in found)


def test_a_gradient_that_torch_casts_or_sums_is_named_unless_that_check_is_off():
    """Guards: torch makes a gradient fit its input in silence, at the cost of a copy or a kernel."""
    case = {"dims": {"rows": [3], "cols": [5]}, "dtypes": ["float16"], "values": ["normal"]}
    softmax = BUILTIN_OPS["softmax"]
    found = failures(softmax, lambda input: WrongDtype.apply(input), 2, **case)
    assert "grad of input has dtype float32, expected float16" in found[0]
    assert failures(softmax, lambda input: WrongDtype.apply(input), 4, checks={"dtype": False}, **case) == []

    case = {"dims": {"M": [3], "N": [5]}, "dtypes": ["float32"], "values": ["normal"]}
    found = failures(SCALED, LeftToTorch.apply, 2, **case)
    assert "grad of b has shape [3, 5], expected [5]" in found[0]
    assert failures(SCALED, LeftToTorch.apply, 4, checks={"shape": False}, **case) == []


def test_a_function_that_writes_into_the_incoming_gradient_is_found():
    found = failures(BUILTIN_OPS["softmax"], lambda input: WritesIntoGradient.apply(input), 10)
    assert any("input grad_output: " in text and "modified" in text for text in found)


def test_the_forward_output_is_checked_first():
    found = failures(BUILTIN_OPS["softmax"], lambda input: Softmax.apply(input) + 1, 3)
    assert found
    assert found[0].startswith("softmax fails for seed")


def test_torchs_own_functions_pass():
    relu, gelu = torch.relu, torch.nn.functional.gelu
    assert failures(BUILTIN_OPS["relu"], relu, 20) == []
    assert failures(BUILTIN_OPS["gelu"], lambda input: gelu(input), 20) == []


def test_an_input_that_no_output_depends_on_has_a_zero_gradient():
    op = define_op("first", reference=lambda a, b: a * 1.0, schema="a[N], b[N] -> [N]", library="torch")
    assert failures(op, lambda a, b: a * 1.0, 5) == []


def test_what_check_grad_cannot_do_says_what_to_do():
    case, _ = next(cases_of(BUILTIN_OPS["softmax"], 1, library="numpy"))
    with pytest.raises(ConfigError, match='write library="torch" in the marker'):
        case.check_grad(lambda x: x)
    case, _ = next(cases_of(BUILTIN_OPS["softmax"], 1))
    with pytest.raises(OutputError, match="no output of the function requires a gradient"):
        case.check_grad(lambda x: torch.softmax(x.detach(), -1))


@pytest.mark.parametrize("is_right", [True, False])
def test_a_custom_vjp_of_jax_is_checked(is_right):
    jax = pytest.importorskip("jax")
    jnp = jax.numpy

    @jax.custom_vjp
    def softmax(x):
        return jax.nn.softmax(x.astype(jnp.float32), axis=-1).astype(x.dtype)

    def forward(x):
        y = softmax(x)
        return y, y

    def backward(y, grad):
        y32, g32 = y.astype(jnp.float32), grad.astype(jnp.float32)
        found = y32 * (g32 - (g32 * y32).sum(-1, keepdims=True)) if is_right else y32 * (1 - y32) * g32
        return (found.astype(y.dtype),)

    softmax.defvjp(forward, backward)

    few = {"dims": {"rows": [3], "cols": [2, 33]}}  # each shape is compiled
    found = failures(BUILTIN_OPS["softmax"], softmax, 50, library="jax", **few)

    assert bool(found) != is_right
    assert all("grad of input[" in text for text in found)
