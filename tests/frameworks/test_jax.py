"""The adapter of JAX: what an array is in NumPy and back, and judging a caller's own arrays."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from pytest_gpuemu import CannotRunHere, KernelMismatch, OutputError

jax = pytest.importorskip("jax")
jnp = jax.numpy

from gpuemu.frameworks import jax as second_name  # noqa: E402
from pytest_gpuemu.frameworks import jax as adapter  # noqa: E402
from pytest_gpuemu.frameworks.jax import check_autograd, from_numpy, to_numpy, validate_jax  # noqa: E402

NUMPY_DTYPES = [
    *map(np.dtype, ("float16", "float32", "int8", "int32", "uint8", "bool")),
    *map(np.dtype, (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)),
]
X = np.linspace(-2, 3, 35, dtype=np.float32).reshape(5, 7)


@pytest.mark.parametrize("dtype", NUMPY_DTYPES, ids=str)
def test_an_array_is_jaxs_and_back_with_its_bits(dtype):
    array = np.arange(48).reshape(6, 8).astype(dtype)[::2, ::3]

    there = from_numpy(array)
    again = to_numpy(there)

    assert isinstance(there, jax.Array)
    assert (str(there.dtype), there.shape) == (str(dtype), array.shape)
    assert again.dtype == dtype
    assert again.tobytes() == array.tobytes()


def test_what_jax_cannot_hold_is_said():
    if jax.config.jax_enable_x64:
        pytest.skip("this JAX holds float64")
    with pytest.raises(CannotRunHere, match="jax_enable_x64"):
        from_numpy(np.zeros(4))
    with pytest.raises(OutputError, match=r"is a numpy.ndarray, not a jax.Array"):
        to_numpy(np.zeros(4))


def test_a_right_output_passes_and_a_wrong_one_fails():
    x = jnp.asarray(X, jnp.bfloat16)
    with validate_jax("softmax", {"input": x}) as ctx:
        ctx.set_output(jax.nn.softmax(x.astype(jnp.float32)).astype(jnp.bfloat16))
    assert ctx.result.passed

    with validate_jax("softmax", {"input": x}) as ctx:
        ctx.set_output(jax.nn.softmax(x.astype(jnp.float32), 0).astype(jnp.bfloat16))
    assert not ctx.result.passed

    with pytest.raises(OutputError, match=r"input 'input' is a numpy.ndarray"):
        validate_jax("softmax", {"input": X})


@jax.custom_vjp
def silu(x):
    return x * jax.nn.sigmoid(x)


@jax.custom_vjp
def wrong_silu(x):
    return x * jax.nn.sigmoid(x)


def forward(x):
    return silu(x), x


silu.defvjp(forward, lambda x, grad: (grad * jax.nn.sigmoid(x) * (1 + x * (1 - jax.nn.sigmoid(x))),))
wrong_silu.defvjp(forward, lambda x, grad: (grad * jax.nn.sigmoid(x) * (1 + x * jax.nn.sigmoid(x)),))


def test_right_gradients_pass_and_the_output_is_returned():
    output = check_autograd(silu, "silu", {"input": jnp.asarray(X)})
    np.testing.assert_allclose(np.asarray(output), np.asarray(silu(jnp.asarray(X))))


def test_a_wrong_gradient_is_named():
    with pytest.raises(KernelMismatch, match=r"silu .gradient. fails for seed 3") as found:
        check_autograd(wrong_silu, "silu", {"x": jnp.asarray(X)}, seed=3)
    assert "grad of input" in str(found.value)


def test_params_reach_function_and_reference():
    check_autograd(lambda x, dim: jax.nn.softmax(x, dim), "softmax", {"x": jnp.asarray(X)}, dim=0)


def test_both_import_names_are_one():
    for name in adapter.__all__:
        assert getattr(second_name, name) is getattr(adapter, name)
