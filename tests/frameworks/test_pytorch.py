"""The adapter of torch: what a tensor is in NumPy and back, and judging a caller's own tensors."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from pytest_gpuemu import CannotRunHere, ConfigError, KernelMismatch, OutputError, validate_op

torch = pytest.importorskip("torch")

from gpuemu.frameworks import pytorch as second_name  # noqa: E402
from pytest_gpuemu.frameworks import pytorch as adapter  # noqa: E402
from pytest_gpuemu.frameworks.pytorch import (  # noqa: E402
    check_autograd,
    from_numpy,
    to_numpy,
    validate_pytorch,
)

NUMPY_DTYPES = [
    *map(np.dtype, ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool")),
    *map(np.dtype, (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)),
]


def x_of(*shape, dtype=torch.float32):
    return torch.linspace(-2.0, 3.0, int(np.prod(shape)), dtype=torch.float64).reshape(shape).to(dtype)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES, ids=str)
@pytest.mark.parametrize("order", ["contiguous", "transposed", "strided", "broadcast"])
def test_an_array_is_a_tensor_and_back_with_its_strides_and_bits(dtype, order):
    base = np.arange(48).reshape(6, 8).astype(dtype)
    array = {
        "contiguous": base,
        "transposed": base.T,
        "strided": base[::2, 1::3],
        "broadcast": np.broadcast_to(base[2], (4, 8)),
    }[order]

    tensor = from_numpy(array)
    again = to_numpy(tensor)

    assert str(tensor.dtype) == f"torch.{dtype}"
    assert tuple(tensor.shape) == array.shape
    assert [step * array.itemsize for step in tensor.stride()] == list(array.strides)
    assert (again.dtype, again.strides) == (array.dtype, array.strides)
    assert again.tobytes() == array.tobytes()


def test_a_tensor_on_the_cpu_shares_its_memory_both_ways():
    array = np.zeros((3, 4), np.float32)
    tensor = from_numpy(array)
    tensor[1, 2] = 5
    assert array[1, 2] == 5

    to_numpy(tensor)[0, 0] = 7
    assert tensor[0, 0] == 7


def test_what_torch_cannot_hold_is_said():
    with pytest.raises(CannotRunHere, match="negative strides"):
        from_numpy(np.zeros(4)[::-1])
    with pytest.raises(OutputError, match=r"is a numpy.ndarray, not a torch.Tensor"):
        to_numpy(np.zeros(4))


class TestValidate:
    def test_a_right_output_passes_and_a_wrong_one_fails(self):
        x = x_of(4, 9, dtype=torch.bfloat16).t()
        with validate_pytorch("softmax", {"input": x}, dim=0) as ctx:
            ctx.set_output(torch.softmax(x.float(), 0).bfloat16())
        assert ctx.result.passed

        with validate_pytorch("softmax", {"input": x}, dim=0) as ctx:
            ctx["output"] = torch.softmax(x.float(), 1).bfloat16()
        assert not ctx.result.passed

    def test_an_input_that_the_block_changed_is_found(self):
        """Guards: the reference read the inputs after the block, where an op in place had spoilt them."""
        x = x_of(4, 9)
        with validate_pytorch("relu", {"input": x}) as ctx:
            ctx.set_output(torch.relu_(x).clone())
        assert [failure.kind for failure in ctx.result.failures] == ["InputModified"]

    def test_an_output_elsewhere_is_found(self):
        x = x_of(4, 9)
        with (
            pytest.raises(OutputError, match="meta device"),
            validate_op("relu", {"input": x}) as ctx,
        ):
            ctx.set_output(torch.relu(x.to("meta")))

    def test_arrays_of_another_library_are_refused(self):
        with pytest.raises(OutputError, match=r"input 'input' is a numpy.ndarray, not a torch.Tensor"):
            validate_pytorch("relu", {"input": np.zeros(4)})


class Cubed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.nn.functional.silu(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * s * (1 + x * s)  # must be 1 - s


class Silu(Cubed):
    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return grad * s * (1 + x * (1 - s))


class TestAutograd:
    def test_right_gradients_pass_and_the_output_is_returned(self):
        x = x_of(5, 7)
        output = check_autograd(Silu.apply, "silu", {"input": x})
        torch.testing.assert_close(output, torch.nn.functional.silu(x))

    def test_a_wrong_gradient_is_named(self):
        with pytest.raises(KernelMismatch, match=r"silu .gradient. fails for seed 0") as found:
            check_autograd(Cubed.apply, "silu", {"input": x_of(5, 7)})
        assert "grad of input" in str(found.value)

    def test_a_wrong_output_is_found_before_its_gradients(self):
        with pytest.raises(KernelMismatch, match="silu fails for seed 0"):
            check_autograd(lambda x: torch.nn.functional.silu(x) * 1.1, "silu", {"x": x_of(5, 7)})

    def test_every_seed_draws_another_incoming_gradient(self):
        """A backward that reads its incoming gradient as contiguous is right for some of them only."""

        class Contiguous(Silu):
            @staticmethod
            def backward(ctx, grad):
                flat = torch.as_strided(grad, (grad.numel(),), (1,)) if grad.numel() else grad
                return Silu.backward(ctx, flat.reshape(grad.shape).clone())

        wrong = 0
        for seed in range(12):
            try:
                check_autograd(Contiguous.apply, "silu", {"input": x_of(4, 6)}, seed=seed)
            except (KernelMismatch, RuntimeError):
                wrong += 1
        assert 0 < wrong < 12

    def test_params_reach_function_and_reference(self):
        output = check_autograd(lambda x, dim: torch.softmax(x, dim), "softmax", {"x": x_of(5, 7)}, dim=0)
        torch.testing.assert_close(output, torch.softmax(x_of(5, 7), 0))

    def test_an_op_without_a_known_gradient_says_so(self, tmp_path, monkeypatch):
        (tmp_path / "gpuemu.toml").write_text(
            '[[ops]]\nname = "erfinv_np"\nreference = "scipy.special:erfinv"\nschema = "x[M,N] -> [M,N]"\n'
        )
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match="check_grad knows no gradient"):
            check_autograd(torch.erfinv, "erfinv_np", {"input": x_of(3, 4) / 8})


def test_both_import_names_are_one():
    for name in adapter.__all__:
        assert getattr(second_name, name) is getattr(adapter, name)
