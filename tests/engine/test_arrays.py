"""Arrays of other libraries reach NumPy as the same bits, and a case's reach them with their strides."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from pytest_gpuemu.engine.arrays import device_of, from_numpy, to_numpy
from pytest_gpuemu.engine.errors import CannotRunHere, OutputError

DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "int8": np.int8,
    "uint8": np.uint8,
    "int32": np.int32,
    "int64": np.int64,
    "uint16": np.uint16,
    "bool": np.bool_,
}


def every_bit_pattern(dtype):
    """All values of a dtype of one or two bytes, else some: NaN payloads and both zeros among them."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.array([False, True, True])
    if dtype.itemsize > 2:
        return np.arange(-50, 50).astype(dtype)
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=f"uint{8 * dtype.itemsize}")
    return bits.view(dtype)


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8).tolist()


LAYOUTS = {
    "contiguous": lambda base: base[:12].reshape(3, 4),
    "strided": lambda base: base[:48].reshape(6, 8)[::2, ::2],
    "transposed": lambda base: base[:12].reshape(4, 3).T,
    "offset": lambda base: base[5:17].reshape(3, 4),
    "broadcast": lambda base: np.ndarray((3, 4), base.dtype, base, strides=(0, base.itemsize)),
}


class TestTorch:
    torch = pytest.importorskip("torch")

    @pytest.mark.parametrize("name", DTYPES)
    def test_every_value_arrives_and_comes_back_as_the_same_bits(self, name):
        array = every_bit_pattern(DTYPES[name])

        tensor = from_numpy(array, "torch")

        assert str(tensor.dtype) == f"torch.{name}"
        back = to_numpy(tensor)
        assert back.dtype == array.dtype
        assert bits(back) == bits(array)

    @pytest.mark.parametrize("layout", LAYOUTS)
    @pytest.mark.parametrize("name", ["float32", "bfloat16", "float8_e5m2", "int64", "bool"])
    def test_the_strides_and_the_memory_are_the_array_s_own(self, name, layout):
        array = LAYOUTS[layout](np.arange(64).astype(DTYPES[name]))

        tensor = from_numpy(array, "torch")

        assert tensor.data_ptr() == array.ctypes.data
        assert tuple(tensor.shape) == array.shape
        assert [stride * array.itemsize for stride in tensor.stride()] == list(array.strides)
        assert bits(to_numpy(tensor)) == bits(array)

    def test_what_a_kernel_writes_is_seen_in_the_buffer(self):
        base = np.zeros(20, np.float32)

        from_numpy(base[4:8], "torch").fill_(1.0)

        assert base.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 12

    def test_a_storage_offset_begins_the_storage_before_the_array(self):
        base = np.arange(20, dtype=np.float32)

        tensor = from_numpy(base[4:8], "torch", storage_offset=3)

        assert tensor.storage_offset() == 3
        assert tensor.tolist() == [4.0, 5.0, 6.0, 7.0]
        assert tensor.as_strided((1,), (1,), 0).item() == 1.0

    def test_a_storage_offset_beyond_the_allocation_is_refused(self):
        with pytest.raises(ValueError, match="outside of the array's allocation"):
            from_numpy(np.arange(20, dtype=np.float32)[4:8], "torch", storage_offset=5)

    def test_a_reversed_array_cannot_run_here(self):
        with pytest.raises(CannotRunHere, match=r"torch has no negative strides.*reversed"):
            from_numpy(np.arange(4.0)[::-1], "torch")

    def test_an_empty_array_keeps_its_shape(self):
        tensor = from_numpy(np.empty((3, 0, 2), np.float16), "torch")

        assert tuple(tensor.shape) == (3, 0, 2)
        assert to_numpy(tensor).shape == (3, 0, 2)

    def test_a_tensor_that_requires_grad_is_read(self):
        assert to_numpy(self.torch.ones(2, requires_grad=True)).tolist() == [1.0, 1.0]

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda torch: torch.ones(2, device="meta"), "meta device"),
            (lambda torch: torch.eye(2).to_sparse(), "sparse_coo torch tensor.*to_dense"),
        ],
    )
    def test_a_tensor_without_values_in_memory_is_named(self, make, message):
        with pytest.raises(OutputError, match=message):
            to_numpy(make(self.torch))

    def test_a_device_that_is_not_there_cannot_run_here(self):
        if self.torch.cuda.is_available():
            pytest.skip("there is a GPU")
        with pytest.raises(CannotRunHere, match="torch cannot use the device 'cuda'"):
            from_numpy(np.ones(3), "torch", "cuda")

    def test_its_device_is_named(self):
        assert device_of(self.torch.ones(2)) == "cpu"


class TestJax:
    jax = pytest.importorskip("jax")

    @pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float8_e4m3fn", "int8", "bool"])
    def test_every_value_arrives_and_comes_back_as_the_same_bits(self, name):
        array = every_bit_pattern(DTYPES[name])

        back = to_numpy(from_numpy(array, "jax"))

        assert back.dtype == array.dtype
        assert bits(back) == bits(array)

    def test_strides_cannot_run_here(self):
        with pytest.raises(CannotRunHere, match="jax arrays have no strides"):
            from_numpy(np.ones((4, 4))[:, ::2], "jax")

    def test_float64_is_never_narrowed_silently(self):
        if self.jax.config.jax_enable_x64:
            pytest.skip("float64 is switched on")
        with pytest.raises(CannotRunHere, match="jax_enable_x64"):
            from_numpy(np.ones(3), "jax")

    def test_later_writes_do_not_reach_the_array(self):
        array = np.ones(3, np.float32)
        moved = from_numpy(array, "jax")

        array[:] = 2.0

        assert to_numpy(moved).tolist() == [1.0, 1.0, 1.0]

    def test_its_device_is_named(self):
        assert device_of(self.jax.numpy.ones(2)).split(":")[0] in ("cpu", "cuda", "tpu")


def test_a_numpy_array_is_itself():
    array = np.ones((2, 3))[:, ::-1]
    assert to_numpy(array) is array
    assert from_numpy(array, "numpy") is array


def test_a_numpy_scalar_is_a_0d_array_of_its_dtype():
    read = to_numpy(np.float32(1.5))
    assert (read.shape, read.dtype, read.item()) == ((), np.float32, 1.5)


@pytest.mark.parametrize("cls", ["array", "dlpack"])
def test_anything_that_speaks_a_protocol_is_read(cls):
    class Speaks:
        def __init__(self):
            self.inner = np.arange(3.0)

    if cls == "array":
        Speaks.__array__ = lambda self, dtype=None, copy=None: self.inner
    else:
        Speaks.__dlpack__ = lambda self, **keys: self.inner.__dlpack__(**keys)
        Speaks.__dlpack_device__ = lambda self: self.inner.__dlpack_device__()

    assert to_numpy(Speaks()).tolist() == [0.0, 1.0, 2.0]


def test_a_device_array_is_copied_to_the_host():
    class DeviceArray:
        __cuda_array_interface__ = {}  # noqa: RUF012 - the protocol's own form

        def copy_to_host(self):
            return np.arange(2)

    assert to_numpy(DeviceArray()).tolist() == [0, 1]
    assert device_of(DeviceArray()) == "cuda"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "returned None: return the output, or write into fuzz_case.outputs"),
        (1.5, r"returned 1\.5, a Python float without a dtype"),
        ([1.0, 2.0], r"returned a list, not an array: \[1\.0, 2\.0\]"),
        ({"y": 1}, "returned a dict"),
        (object(), "returned builtins.object .*neither __array__ nor __dlpack__"),
    ],
)
def test_what_is_no_array_is_named(given, message):
    with pytest.raises(OutputError, match=message):
        to_numpy(given)


def test_an_array_of_objects_is_no_output():
    class Odd:
        def __array__(self, dtype=None, copy=None):
            return np.array([None, 1], dtype=object)

    with pytest.raises(OutputError, match="as Python objects"):
        to_numpy(Odd())


def test_a_library_that_is_missing_cannot_run_here():
    try:
        import cupy  # noqa: F401
    except ImportError:
        with pytest.raises(CannotRunHere, match="cupy is not installed here"):
            from_numpy(np.ones(2), "cupy")
    else:
        pytest.skip("cupy is installed")
