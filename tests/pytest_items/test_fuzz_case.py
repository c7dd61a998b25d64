"""fuzz_case: what a test can read of its case, and how its output is judged."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from suites import DOUBLE, failed_ids, run

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import CannotRunHere, ConfigError, KernelMismatch
from pytest_gpuemu.engine.plan import plan_case
from pytest_gpuemu.pytest_items.fuzz_case import BoundCase, FuzzCase, bind, release

pytest_plugins = ["pytester"]

TWO = {
    "reference": lambda a, b, alpha: (alpha * (a + b), a.sum(axis=1)),
    "schema": "a[M,K], b[M,K] -> y[M,K], total[M]",
    "dims": {"M": [3], "K": [5]},
    "dtypes": ["float32"],
    "layouts": ["contiguous", "strided"],
    "values": ["integers"],
    "params": {"alpha": [0.5, 2.0]},
}


def case_of(keys, seed=1, **more):
    op = define_op("an_op", **{**keys, **more})
    case = FuzzCase()
    bind(case, BoundCase(op, plan_case(op, seed), lambda: ["pytest x", "pytest --gpuemu-reproduce=1"]))
    return case


def two_outputs(a, b, alpha):
    return np.float32(alpha) * (a + b), a.sum(axis=1, dtype=np.float32)


def test_it_tells_its_case():
    case = case_of(TWO)

    assert (case.seed, case.op_name, case.shape, case.dtype) == (1, "an_op", (3, 5), "float32")
    assert list(case.inputs) == ["a", "b"]
    assert case.layout == case.layouts["a"]
    assert case.values == {"a": "integers", "b": "integers"}
    assert case.params["alpha"] in (0.5, 2.0)
    assert repr(case) == "<fuzz_case an_op seed=1>"
    assert {name: array.shape for name, array in case.outputs.items()} == {"y": (3, 5), "total": (3,)}


def test_the_reference_is_float64_and_a_dict_where_there_are_several_outputs():
    case, one = case_of(TWO), case_of(DOUBLE)

    np.testing.assert_array_equal(case.reference["total"], case.inputs["a"].astype(np.float64).sum(axis=1))
    np.testing.assert_array_equal(one.reference, 2.0 * one.inputs["x"].astype(np.float64))


def test_several_outputs_are_taken_as_a_tuple_a_dict_or_the_buffers():
    case = case_of(TWO)
    y, total = two_outputs(**case.inputs, **case.params)

    case.check((y, total))
    case.check({"total": total, "y": y})
    case.outputs["y"][...], case.outputs["total"][...] = y, total
    case.check()
    with pytest.raises(KernelMismatch):
        case.check((y, total + 1))


def test_run_returns_what_the_kernel_did_and_fails_where_it_is_wrong():
    case = case_of(TWO)

    y, _ = case.run(two_outputs)

    assert y.shape == (3, 5)
    with pytest.raises(KernelMismatch) as raised:
        case.run(lambda a, b, alpha: two_outputs(a, b, -alpha))
    assert "pytest --gpuemu-reproduce=1" in str(raised.value)
    assert raised.value.verdict.failed


def test_an_output_left_unwritten_is_found():
    case = case_of(TWO)
    y, total = two_outputs(**case.inputs, **case.params)
    case.outputs["y"][...] = y
    case.outputs["total"][:-1] = total[:-1]

    with pytest.raises(KernelMismatch, match=r"written|poison"):
        case.check()


def test_it_has_no_case_before_the_first():
    case = FuzzCase()

    with pytest.raises(ConfigError, match="fixtures are set up once, before its first case"):
        case.inputs  # noqa: B018
    bind(case, case_of(DOUBLE)._at.bound)
    release(case)
    assert repr(case) == "<fuzz_case>"


def test_torch_tensors_share_the_cases_memory_and_strides():
    torch = pytest.importorskip("torch")
    case = case_of(TWO)

    given = case.to("torch")

    assert all(isinstance(x, torch.Tensor) for x in given.inputs.values())
    for name, array in case.inputs.items():
        assert tuple(s * 4 for s in given.inputs[name].stride()) == array.strides
    y, total = two_outputs(**case.inputs, **case.params)
    given.outputs["y"].copy_(torch.from_numpy(y))
    given.outputs["total"].copy_(torch.from_numpy(total))
    given.check()
    given.check((torch.from_numpy(y), torch.from_numpy(total)))
    given.inputs["a"].add_(1)
    with pytest.raises(KernelMismatch, match="input a: 15 of 15 elements"):
        given.check((torch.from_numpy(y), torch.from_numpy(total)))


def of_parts(layout, library="torch"):
    """A case whose input is a part of a larger tensor."""
    keys = {"reference": lambda x: 2 * x, "schema": "x[M,N] -> [M,N]", "dims": {"M": [3], "N": [5]}}
    return case_of({**keys, "dtypes": ["float32"], "layouts": [layout], "library": library})


@pytest.mark.parametrize("layout", ["offset", "strided"])
@pytest.mark.parametrize("library", ["torch", "numpy"])
def test_a_torch_kernel_that_ignores_the_storage_offset_fails(layout, library):
    """Guards: every tensor's storage began with its first element, so such kernels passed all cases."""
    torch = pytest.importorskip("torch")

    def from_the_storage_s_start(x):
        return 2 * torch.as_strided(x, x.shape, x.stride(), 0)

    case = of_parts(layout, library)
    given = case if library == "torch" else case.to("torch")
    x, out = given.inputs["x"], given.outputs["output"]

    assert x.storage_offset() > 0
    given.run(lambda x: 2 * torch.as_strided(x, x.shape, x.stride(), x.storage_offset()))
    with pytest.raises(KernelMismatch, match="15 of 15 elements"):
        given.run(from_the_storage_s_start)
    assert (out.storage_offset() > 0) == (
        case._at.bound.plan.output_layouts["output"] in ("offset", "strided")
    )


@pytest.mark.parametrize("layout", ["contiguous", "transposed", "broadcast"])
def test_the_storage_of_a_whole_tensor_begins_with_it(layout):
    pytest.importorskip("torch")
    assert of_parts(layout).inputs["x"].storage_offset() == 0


def test_a_write_before_a_part_in_its_storage_is_a_write_into_the_guard_band():
    torch = pytest.importorskip("torch")
    case = of_parts("offset")

    def overruns(x):
        torch.as_strided(x, (1,), (1,), x.storage_offset() - 1).fill_(1.0)
        return 2 * x

    with pytest.raises(KernelMismatch, match="outside"):
        case.run(overruns)


def test_jax_arrays_are_judged_as_numpy_ones():
    pytest.importorskip("jax")
    case = case_of(DOUBLE)

    given = case.to("jax")

    given.check(given.inputs["x"] * np.float32(2))
    with pytest.raises(KernelMismatch):
        given.check(given.inputs["x"] * np.float32(3))


def test_a_device_that_is_not_there_is_could_not_run():
    pytest.importorskip("torch")

    with pytest.raises(CannotRunHere):
        case_of(DOUBLE).to("torch", device="cuda:7").inputs  # noqa: B018


def test_the_markers_library_hands_over_its_arrays(pytester):
    pytest.importorskip("torch")
    pytester.makepyfile(
        test_k="""
        from kernels import *
        import torch

        @double(library="torch")
        def test_right(fuzz_case):
            assert isinstance(fuzz_case.inputs["x"], torch.Tensor)
            fuzz_case.run(lambda x: x * 2)

        @double(library="torch")
        def test_right_in_a_buffer(fuzz_case):
            fuzz_case.outputs["output"].copy_(fuzz_case.inputs["x"] * 2)
            fuzz_case.check()

        @double(library="torch")
        def test_random(fuzz_case):
            fuzz_case.run(lambda x: x * 2 + (torch.rand(()) > 0.5))
        """
    )

    result = run(pytester)

    assert {name.partition("[")[0] for name in failed_ids(result)} == {"test_k.py::test_random"}
    assert 0 < len(failed_ids(result)) < 8
    assert "nondeterministic" not in result.stdout.str()


def test_an_output_that_cannot_be_read_says_what_it_is(pytester):
    pytester.makepyfile(
        test_k="""
        from kernels import *

        @double
        def test_x(fuzz_case):
            fuzz_case.check(object())
        """
    )

    result = run(pytester, cases=2)

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*OutputError: *object*"])


@pytest.fixture
def copying(monkeypatch):
    """torch tensors of a memory of their own, as on a GPU."""
    pytest.importorskip("torch")
    monkeypatch.setattr("pytest_gpuemu.engine.handover.is_copied", lambda library, device: True)


def beyond(tensor):
    """The element that follows the tensor's last in its storage."""
    return tensor.as_strided((1,), (1,), tensor.storage_offset() + tensor.numel())


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        (lambda x, y: y.copy_(2 * x), None),
        (lambda x, y: (y.copy_(2 * x), beyond(y).fill_(1.0)), "GuardOverwritten"),
        (lambda x, y: (y.copy_(2 * x), beyond(x).fill_(1.0)), "GuardOverwritten"),
        (lambda x, y: (y.copy_(2 * x), x.add_(1.0)), "InputModified"),
        (lambda x, y: y[1:].copy_(2 * x[1:]), "Unwritten"),
    ],
    ids=["right", "beyond an output", "beyond an input", "an input", "a row left out"],
)
def test_memory_that_is_copied_to_a_device_is_watched_there(copying, kernel, kind):
    case = case_of(DOUBLE, library="torch", schema="x[N] -> y[N]", dims={"N": [24]})
    kernel(case.inputs["x"], case.outputs["y"])

    with nullcontext() if kind is None else pytest.raises(KernelMismatch) as error:
        case.check()
    assert kind is None or error.value.verdict.findings[0].kind == kind


def test_an_input_that_is_returned_from_a_device_is_aliased(copying):
    case = case_of(
        TWO, library="torch", reference=lambda a, b: (a, b.sum(axis=1)), params={}, values=["uniform"]
    )

    with pytest.raises(KernelMismatch, match="shares memory with the input a"):
        case.check((case.inputs["a"][:], case.inputs["b"].sum(1)))


def test_an_output_computed_in_place_is_one_tensor_on_a_device(copying):
    case = case_of(
        DOUBLE,
        library="torch",
        schema="x[M,N] -> y[M,N]",
        inplace={"y": "x"},
        layouts=["contiguous", "strided"],
    )
    assert case.outputs["y"].data_ptr() == case.inputs["x"].data_ptr()
    case.inputs["x"].mul_(2.0)
    case.check()
