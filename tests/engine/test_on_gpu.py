"""On a machine with a GPU: a case handed to CuPy has the same bits there, and an output is read back."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.arrays import device_of, from_numpy, to_numpy
from pytest_gpuemu.engine.case import build_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.device_memory import copy_to_device
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.handover import Handover
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import LAYOUTS
from pytest_gpuemu.engine.plan import plan_case

pytestmark = pytest.mark.gpu


@pytest.fixture
def cupy():
    module = pytest.importorskip("cupy")
    try:
        module.cuda.Device().compute_capability  # noqa: B018 - asks the driver
    except module.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no GPU here: {error}")
    return module


@pytest.fixture(params=["cupy", "torch"])
def library(request, cupy):
    if request.param == "torch" and not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("torch is built without CUDA")
    return request.param


@pytest.fixture
def device(library):
    """The GPU, as the library names it."""
    return 0 if library == "cupy" else "cuda"


def case_of(layout: str, dtype: str):
    op = define_op(
        "double", reference=lambda x: 2.0 * x, schema="x[M,N] -> y[M,N]", dims={"M": [3, 17], "N": [5, 33]},
        dtypes=[dtype], layouts=[layout], values=["integers"],
    )  # fmt: skip
    return build_case(op, plan_case(op, 7, ""))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout != "huge"])
def test_an_input_has_the_same_bits_and_strides_on_the_device(cupy, layout, dtype):
    host = case_of(layout, dtype).inputs["x"]

    given = from_numpy(host, "cupy")

    assert device_of(given).startswith("cuda:")
    assert (given.shape, given.strides, str(given.dtype)) == (host.shape, host.strides, dtype)
    assert to_numpy(given).tobytes() == np.ascontiguousarray(host).tobytes()


@pytest.mark.parametrize("layout", ["offset", "strided"])
def test_a_part_of_a_larger_array_lies_as_unaligned_on_the_device(library, device, layout):
    """Guards: an input of layout offset was copied to an aligned address, where vector loads are right."""
    case = case_of(layout, "float16")

    given = Handover(library, device).arrays(case.inputs, case.buffers)["x"]

    address = given.data.ptr if library == "cupy" else given.data_ptr()
    assert address % 256 == case.inputs["x"].ctypes.data % 256
    assert to_numpy(given).tobytes() == np.ascontiguousarray(case.inputs["x"]).tobytes()


def test_an_output_on_the_device_is_judged_as_one_on_the_host(cupy):
    case = case_of("transposed", "float32")
    given = from_numpy(case.inputs["x"], "cupy")

    right = judge(case, given * 2, inputs={"x": given}, device=device_of(given))
    wrong = judge(case, given * 2 + 1, inputs={"x": given}, device=device_of(given))
    elsewhere = judge(case, to_numpy(given) * np.float32(2), inputs={"x": given}, device=device_of(given))

    assert (right.status, wrong.status) == ("passed", "failed")
    assert [finding.kind for finding in elsewhere.findings] == ["DeviceMismatch"]


def test_a_span_of_addresses_with_memory_at_few_of_them_cannot_go_there(cupy):
    with pytest.raises(CannotRunHere):
        from_numpy(case_of("huge", "float32").inputs["x"], "cupy")


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout not in ("huge", "reversed")])
def test_a_write_around_an_array_on_the_device_is_noticed(library, device, layout):
    case = case_of(layout, "float32")
    buffer = case.buffers["x"]
    copy = copy_to_device(buffer, library, device)
    assert np.array_equal(to_numpy(copy.array), case.originals["x"])

    copy.fetch()
    assert buffer.guard_damage() is None
    copy.memory[0] ^= 1
    copy.fetch()
    assert buffer.guard_damage() is not None
