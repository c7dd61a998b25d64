"""What several runs of a kernel tell: on outputs that must pass, and on the nearest that must not."""

from __future__ import annotations

import gc

import ml_dtypes
import numpy as np
import pytest

from pytest_gpuemu.engine import judge
from pytest_gpuemu.engine.buffers import bits, poison_bits
from pytest_gpuemu.engine.case import case_from_arrays, make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.output_buffers import make_outputs
from pytest_gpuemu.engine.second_run import (
    change_one_element,
    differ,
    keep,
    name_cached,
    name_stale,
    what_differs,
)
from pytest_gpuemu.engine.stale_memory import make_stale


def op_of(**keys):
    keys = {"dtypes": ["float32"], "dims": {"N": [6]}, "values": ["uniform"], **keys}
    return define_op("mine", reference=lambda x: 2 * x, schema="x[N] -> y[N]", **keys)


def kept(*values, dtype=np.float32):
    return keep({"y": np.array(values, dtype=dtype)})


def poisoned(array, index, which):
    array = np.array(array, np.float32)
    bits(array)[index] = poison_bits("float32", which)
    return keep({"y": array})


class TestKeep:
    @pytest.mark.parametrize(
        "dtype", [np.float64, np.float16, ml_dtypes.bfloat16, np.int8, bool, np.complex128]
    )
    def test_a_kept_output_is_a_copy_of_the_same_bits(self, dtype):
        array = np.arange(6).reshape(2, 3).T.astype(dtype)
        one = keep({"y": array})["y"]
        if dtype is not np.complex128:
            np.testing.assert_array_equal(one.array(), array.copy())
        assert not np.shares_memory(one.masked, array)

    def test_no_array_that_a_kept_output_holds_has_the_values_that_passed(self):
        one = keep({"y": np.full(1000, 1.5, np.float32)})["y"]
        held = [x for x in gc.get_referents(one) if isinstance(x, np.ndarray)]
        assert held
        assert not any((x.view(np.float32) == 1.5).any() for x in held)

    def test_an_output_knows_its_library_and_device(self):
        torch = pytest.importorskip("torch")
        one = keep({"y": torch.ones(3)})["y"]
        assert (one.library, one.device, one.nbytes) == ("torch", "cpu", 12)


class TestDiffer:
    def test_one_bit_of_one_element_is_a_difference(self):
        assert not differ(kept(1, 2), kept(1, 2))
        assert differ(kept(1, 2), kept(1, np.nextafter(np.float32(2), np.float32(3))))

    def test_the_sign_of_a_zero_is_a_difference_and_that_of_a_nan_is_none(self):
        """Guards: vectorized loops give a NaN the sign or payload of either operand."""
        assert differ(kept(0.0), kept(-0.0))
        assert not differ(kept(np.nan), keep({"y": -np.array([np.nan], np.float32)}))
        assert differ(kept(np.nan), kept(1.0))

    def test_another_shape_or_dtype_is_a_difference(self):
        assert differ(kept(1, 2), kept(1))
        assert differ(kept(1, 2), kept(1, 2, dtype=np.float64))


class TestWhatDiffers:
    def test_other_bits_are_nondeterministic_with_their_distance_in_ulp(self):
        next_to_2 = np.nextafter(np.float32(2), np.float32(3))

        (finding,) = what_differs(op_of(), kept(1, 2, 3), kept(1, next_to_2, 3), kept(1, 2, 3))

        assert finding.kind == "Nondeterministic"
        assert (finding.output, finding.index, finding.expected, finding.actual) == (
            "y",
            (1,),
            2.0,
            next_to_2,
        )
        assert finding.message == (
            "y: 1 of 3 elements (33.3%) differ between two runs of the same case, by up to 1 ulp: "
            f'y[1] is 2.0, then {next_to_2.item()!r} (meant so? checks={{"deterministic": False}})'
        )

    def test_the_index_is_that_of_the_largest_distance_in_ulp(self):
        """1000.0 moved by 2 ulp is further in the output's units, 1.0 moved by 8 further in ulp."""
        first, second = np.array([1000, 1], np.float32), np.array([1000, 1], np.float32)
        bits(second)[...] += np.array([2, 8], np.uint32)
        (finding,) = what_differs(op_of(), keep({"y": first}), keep({"y": second}))
        assert finding.index == (1,)
        assert "by up to 8 ulp" in finding.message

    def test_an_element_that_holds_each_run_s_poison_was_never_written(self):
        second, third = poisoned([1, 2, 3], 2, 1), poisoned([1, 2, 3], 2, 0)

        (finding,) = what_differs(op_of(), kept(1, 2, 3), second, third)

        assert (finding.kind, finding.index) == ("Unwritten", (2,))
        assert finding.message == (
            "y: 1 of 3 elements (33.3%) were never written: they hold whatever the memory held before, "
            "first y[2]"
        )

    def test_a_nan_that_is_no_poison_was_written(self):
        (finding,) = what_differs(op_of(), kept(1, 2), kept(1, np.nan), kept(1, np.nan))
        assert finding.kind == "Nondeterministic"
        assert "does it read what was never written?" in finding.message

    def test_the_same_poison_in_both_runs_was_copied_and_not_left(self):
        second, third = poisoned([1, 2], 1, 1), poisoned([1, 2], 1, 1)
        assert [f.kind for f in what_differs(op_of(), kept(1, 2), second, third)] == ["Nondeterministic"]

    def test_a_true_that_was_never_written_shows_in_the_second_poison(self):
        """Guards: a bool has no pattern of its own for poison, so one run cannot tell."""
        first, second, third = (kept(*x, dtype=bool) for x in ((1, 1), (1, 0), (1, 1)))
        assert [f.kind for f in what_differs(op_of(), first, second, third)] == ["Unwritten"]

    @pytest.mark.parametrize(
        ("checks", "kinds"),
        [
            ({}, ["Unwritten", "Nondeterministic"]),
            ({"written": False}, ["Nondeterministic"]),
            ({"deterministic": False}, ["Unwritten"]),
            ({"written": False, "deterministic": False}, []),
        ],
    )
    def test_each_check_is_switched_off_by_its_name(self, checks, kinds):
        second, third = poisoned([1, 5, 3], 2, 1), poisoned([1, 2, 3], 2, 0)
        found = what_differs(op_of(checks=checks), kept(1, 2, 3), second, third)
        assert [finding.kind for finding in found] == kinds

    def test_another_shape_in_the_second_run_is_named(self):
        (finding,) = what_differs(op_of(), kept(1, 2), kept(1))
        assert finding.message == "y is float32 [2], and float32 [1] in a second run of the same case"


class TestChangedInputs:
    @pytest.mark.parametrize(
        "layout", ["contiguous", "strided", "transposed", "offset", "reversed", "broadcast"]
    )
    def test_one_element_changes_in_the_same_memory_and_the_originals_follow(self, layout):
        op = define_op("mine", reference=lambda x: x, schema="x[M,N] -> y[M,N]", layouts=[layout])
        for seed in range(5):
            case = make_case(op, seed)
            view, before, address = case.inputs["x"], case.originals["x"], case.inputs["x"].ctypes.data
            view[...] = 0  # as a kernel may

            (change,) = change_one_element(case)

            assert case.inputs["x"] is view
            assert view.ctypes.data == address
            np.testing.assert_array_equal(bits(case.originals["x"]), bits(view.copy()))
            changed = bits(case.originals["x"]) != bits(before)
            assert changed[change.index]
            assert layout == "broadcast" or np.count_nonzero(changed) == 1
            assert case.buffers["x"].guard_damage() is None
            assert not case.buffers["x"].modified().any()

    def test_the_new_value_lies_in_the_input_s_domain(self):
        op = op_of(inputs={"x": {"low": 0.5, "high": 0.75}})
        for seed in range(20):
            (change,) = change_one_element(make_case(op, seed))
            assert 0.5 <= change.new <= 0.75
            assert change.new != change.old

    def test_a_0d_input_changes_too(self):
        """Guards: its index had one dim, and the second run of cross_entropy_backward raised IndexError."""
        op = define_op("mine", reference=lambda x, s: s * x, schema="x[N], s[] -> y[N]", dims={"N": [6]})
        case = make_case(op, 1)
        before = case.originals["s"].copy()

        changes = change_one_element(case)

        assert {change.input: len(change.index) for change in changes} == {"x": 1, "s": 0}
        assert case.inputs["s"].shape == ()
        assert case.inputs["s"] != before

    def test_inputs_whose_elements_depend_on_each_other_keep_their_values(self):
        op = define_op(
            "mine",
            reference=lambda x, p: x[p],
            schema="x[N], p[N] -> y[N]",
            inputs={"p": {"kind": "permutation"}},
            dims={"N": [6]},
        )
        case = make_case(op, 1)
        order = case.originals["p"].copy()
        assert [change.input for change in change_one_element(case)] == ["x"]
        np.testing.assert_array_equal(case.inputs["p"], order)

    def test_output_buffers_are_poisoned_again(self):
        case = make_case(op_of(), 1)
        make_outputs(case)["y"][...] = 2 * case.inputs["x"]
        change_one_element(case)
        assert case.output_buffers["y"].unwritten().all()

    def test_a_caller_s_own_arrays_are_left_alone(self):
        case = case_from_arrays(op_of(), {"x": np.ones(6, np.float32)})
        assert change_one_element(case) == []
        np.testing.assert_array_equal(case.inputs["x"], np.ones(6))

    def test_the_output_of_the_run_before_is_a_cached_one(self):
        case = make_case(op_of(), 1)
        earlier = np.ascontiguousarray(2 * case.inputs["x"])
        changes = change_one_element(case)
        verdict = judge.judge(case, earlier)

        named = name_cached(verdict, keep({"y": earlier}), keep({"y": earlier}), changes)

        assert [finding.kind for finding in named.findings] == ["Cached", "ToleranceExceeded"]
        assert named.findings[0].message.startswith(
            "y is, bit for bit, what the run before gave, though the inputs changed in the same memory "
            f"({changes[0]})"
        )

    def test_another_wrong_output_is_wrong_and_not_cached(self):
        case = make_case(op_of(), 1)
        earlier = np.ascontiguousarray(2 * case.inputs["x"])
        changes = change_one_element(case)
        other = earlier + np.float32(1)
        named = name_cached(judge.judge(case, other), keep({"y": earlier}), keep({"y": other}), changes)
        assert [finding.kind for finding in named.findings] == ["ToleranceExceeded"]
        assert named.hints[-1].startswith("found when the case ran again in the same memory with x[")

    def test_an_output_that_the_change_leaves_as_it_was_passes(self):
        op = define_op(
            "zero",
            reference=lambda x: 0 * x,
            schema="x[N] -> y[N]",
            dims={"N": [6]},
            values=["uniform"],
            dtypes=["float32"],
        )
        case = make_case(op, 1)
        zeros = np.zeros(6, np.float32)
        changes = change_one_element(case)
        assert name_cached(judge.judge(case, zeros), keep({"y": zeros}), keep({"y": zeros}), changes).passed

    def test_a_case_that_passed_before_and_fails_at_the_end_says_so_first(self):
        case = make_case(op_of(), 1)
        right = np.ascontiguousarray(2 * case.inputs["x"])
        assert name_stale(judge.judge(case, right)).findings == ()
        assert [f.kind for f in name_stale(judge.judge(case, right + 1)).findings] == [
            "Cached",
            "ToleranceExceeded",
        ]


class TestStaleMemory:
    """Small arrays, whose blocks an allocator takes from its own lists; large ones it may get elsewhere."""

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize("count", [4, 129, 1024])
    def test_an_array_that_numpy_allocates_next_holds_the_poison(self, count, which):
        output = keep({"y": np.zeros(count, np.float32)})

        between = make_stale(output.values(), which)
        fresh = np.empty(count, np.float32)

        assert between
        assert np.mean(bits(fresh) == poison_bits("float32", which)) > 0.9

    @pytest.mark.parametrize("which", [0, 1])
    @pytest.mark.parametrize("count", [1024, 4096])
    def test_a_tensor_that_torch_allocates_next_holds_the_poison(self, count, which):
        torch = pytest.importorskip("torch")
        output = keep({"y": torch.zeros(count)})

        between = make_stale(output.values(), which)
        first, second = torch.empty(count).numpy(), torch.empty(count).numpy()

        assert between
        shares = [np.mean(bits(fresh) == poison_bits("float32", which)) for fresh in (first, second)]
        assert max(shares) > 0.9

    def test_outputs_without_elements_need_none(self):
        assert make_stale(keep({"y": np.zeros(0, np.float32)}).values(), 0) == []
