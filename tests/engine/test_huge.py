"""The huge layout: drawn in few cases, found by kernels that keep offsets in 32 bits, and cheap in memory."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest

from pytest_gpuemu.engine.arrays import from_numpy
from pytest_gpuemu.engine.buffers import allocate
from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import Coverage, campaign_seeds
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.dtypes import DTYPES
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.output_buffers import make_outputs
from pytest_gpuemu.engine.plan import plan_case

linux = pytest.mark.skipif(sys.platform != "linux", reason="the huge layout needs Linux's sparse mappings")
MIB = 2**20


def op(schema="x[M,N] -> [M,N]", **keys):
    return define_op("mine", reference=lambda *inputs: 2 * inputs[0], schema=schema, **keys)


DOUBLE = op(dtypes=["float16", "float32"])
HUGE = op(layouts=["huge"], dims={"M": [2, 5], "N": [3, 37]}, dtypes=["float32"], values=["normal"])


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def huge_cases(mine, count=200):
    plans = [plan_case(mine, seed) for seed in campaign_seeds(mine, 1, count)]
    return [i for i, plan in enumerate(plans) if "huge" in plan.layouts.values()]


def doubled(x, offset_type):
    """A kernel with flat addressing: every element is read at the address plus an offset of that type."""
    rows, cols = (np.arange(size, dtype=offset_type) for size in x.shape)
    steps = np.array([stride // x.itemsize for stride in x.strides]).astype(offset_type)
    offsets = ((rows * steps[0])[:, None] + (cols * steps[1])[None, :]).astype(np.int64)
    low = int(offsets.min())
    nbytes = (int(offsets.max()) - low + 1) * x.itemsize
    memory = (ctypes.c_char * nbytes).from_address(x.ctypes.data + low * x.itemsize)
    return 2 * np.frombuffer(memory, x.dtype)[offsets - low]


@linux
def test_a_kernel_with_offsets_of_32_bits_fails_and_one_with_64_bits_passes():
    for seed in range(5):
        case = make_case(HUGE, seed)
        assert judge(case, doubled(case.inputs["x"], np.int64)).passed
        assert judge(case, doubled(case.inputs["x"], np.int32)).failed


@linux
def test_a_default_campaign_finds_offsets_of_32_bits_and_nothing_else_does():
    wrong = []
    for seed in campaign_seeds(DOUBLE, 3, 25):
        case = make_case(DOUBLE, seed)
        assert judge(case, doubled(case.inputs["x"], np.int64)).passed
        if judge(case, doubled(case.inputs["x"], np.int32)).failed:
            wrong.append(case.plan.layouts["x"])

    assert wrong == ["huge"]


def test_the_huge_layout_is_one_case_in_thirty_two_behind_the_first_twenty():
    assert huge_cases(DOUBLE) == [19, 51, 83, 115, 147, 179]
    assert 20 < sum("huge" in plan_case(DOUBLE, seed).layouts.values() for seed in range(2000)) < 70


def test_one_small_input_of_several_dims_is_huge():
    mine = op("w[N], a[M,N], b[M,N], i[M] -> [M,N]", inputs={"i": {"kind": "index", "of": "N"}})
    seen = set()
    for seed in range(4000):
        plan = plan_case(mine, seed)
        found = [name for name, layout in plan.layouts.items() if layout == "huge"]
        seen.update(found)
        assert len(found) <= 1
        assert all(np.prod(plan.shapes[name]) <= 2**14 for name in found)
        if found == ["w"]:  # a vector only where no other has two elements, or all are large
            assert not 1 < np.prod(plan.shapes["a"]) <= 2**10

    assert seen == {"a", "b", "w"}


def test_an_op_that_has_no_strides_gets_no_huge_layout():
    assert huge_cases(op(library="jax")) == []
    assert huge_cases(op(layouts=["contiguous", "transposed"])) == []
    assert huge_cases(op(inputs={"x": {"layouts": ["contiguous"]}})) == []
    assert huge_cases(op("x[] -> []")) == []


def test_chosen_by_name_it_is_drawn_as_any_other():
    chosen = op(layouts=["contiguous", "huge"], dims={"M": (2, 5)})

    assert len(huge_cases(chosen, 100)) > 25
    assert "huge" in dict(Coverage(chosen).counts)["layout of x"]
    assert "huge" not in dict(Coverage(DOUBLE).counts)["layout of x"]


@linux
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_last_slice_is_beyond_int32_elements_and_uint32_bytes_and_a_wrapped_offset_is_mapped(dtype):
    buffer = allocate((3, 5), dtype, "huge")
    elements = buffer.view.strides[0] // buffer.view.itemsize * 2

    assert elements > 2**31
    assert buffer.view.strides[0] * 2 > 2**32
    wrapped = buffer.placement.lowest + (elements - 2**32) * buffer.view.itemsize
    assert wrapped >= 0
    assert buffer.base[wrapped] == 0


@linux
def test_building_and_judging_a_huge_case_touches_few_pages():
    make_case(HUGE, 1)
    before = resident_bytes()

    case = make_case(HUGE, 2)
    make_outputs(case)["output"][...] = 2 * case.inputs["x"]
    passed = judge(case)
    case.inputs["x"][0, 0] += 1
    modified = judge(case, 2 * case.originals["x"])
    case.buffers["x"].restore()

    assert passed.passed
    assert [finding.kind for finding in modified.findings] == ["InputModified"]
    assert resident_bytes() - before < 4 * MIB
    assert case.buffers["x"].base.nbytes > 2**34


@linux
def test_torch_holds_it_and_a_copy_of_its_storage_onto_itself_touches_nothing():
    """Triton's interpreter makes such a copy of the storage of each argument: it took all the memory."""
    torch = pytest.importorskip("torch")
    case = make_case(HUGE, 3)
    tensor = from_numpy(case.inputs["x"], "torch")
    before = resident_bytes()

    row = tensor[1]
    storage = row.untyped_storage().cpu()
    assert storage.copy_ is tensor.untyped_storage().copy_  # else the next line would copy 8 GiB
    row.untyped_storage().copy_(storage)

    assert torch.equal(tensor * 2, torch.from_numpy(2 * case.originals["x"]))
    assert judge(case, tensor * 2, inputs={"x": tensor}).passed
    assert resident_bytes() - before < 16 * MIB


@linux
def test_an_ordinary_tensor_keeps_the_copy_of_its_storage():
    torch = pytest.importorskip("torch")
    tensor = from_numpy(np.ones(8, np.float32), "torch")

    tensor.untyped_storage().copy_(torch.zeros(8).untyped_storage())

    assert tensor.tolist() == [0.0] * 8


@linux
def test_no_copy_of_it_is_made_for_a_device():
    pytest.importorskip("torch")
    case = make_case(HUGE, 3)

    with pytest.raises(CannotRunHere, match=r"layout 'huge' spans [0-9]+ GiB of addresses .* cuda cannot"):
        from_numpy(case.inputs["x"], "torch", "cuda")
    with pytest.raises(CannotRunHere, match="jax"):
        from_numpy(case.inputs["x"], "jax")
