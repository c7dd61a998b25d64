"""The verdict on a case: what a right output passes, and what each wrong one is called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays, make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.dtypes import numpy_dtype
from pytest_gpuemu.engine.errors import OutputError, ReferenceFailed
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.output_buffers import make_outputs
from pytest_gpuemu.engine.verdict import FAILED, PASSED, UNDETERMINED


def double(x):
    return 2 * x


def op_of(reference=double, schema="x[N] -> [N]", **keys):
    keys = {"dtypes": ["float32"], "dims": {"N": [6]}, "values": ["uniform"], **keys}
    return define_op("mine", reference=reference, schema=schema, **keys)


def case_of(x=(1.0, 2.0, 3.0), reference=double, dtype=np.float32, **keys):
    return case_from_arrays(op_of(reference, **keys), {"x": np.array(x, dtype=dtype)}, seed=7)


def kinds(verdict):
    return [finding.kind for finding in verdict.findings]


def float32(*values):
    return np.array(values, dtype=np.float32)


class TestValues:
    def test_a_right_output_passes(self):
        verdict = judge(case_of(), float32(2, 4, 6))
        assert (verdict.status, verdict.passed, verdict.op, verdict.seed) == (PASSED, True, "mine", 7)
        assert verdict.comparisons[0].stats.count == 3

    def test_a_wrong_element_fails_with_its_index_and_values(self):
        verdict = judge(case_of(), float32(2, 4, 7))

        assert (verdict.status, kinds(verdict)) == (FAILED, ["ToleranceExceeded"])
        (finding,) = verdict.findings
        assert finding.message == "1 of 3 elements (33.3%) exceed their tolerance"
        assert (finding.output, finding.index, finding.expected, finding.actual) == ("output", (2,), 6.0, 7.0)

    @pytest.mark.parametrize(
        ("value", "kind"), [(np.nan, "NaNDetected"), (np.inf, "InfDetected"), (0.0, "ToleranceExceeded")]
    )
    def test_the_kind_tells_what_the_worst_element_is(self, value, kind):
        assert kinds(judge(case_of(), float32(2, value, 7))) == [kind]

    def test_a_nan_where_the_reference_is_nan_passes(self):
        assert judge(case_of([np.nan, 1.0]), float32(np.nan, 2)).passed
        assert kinds(judge(case_of([np.nan, 1.0]), float32(0, 2))) == ["ToleranceExceeded"]

    def test_the_output_may_come_from_any_library(self):
        torch = pytest.importorskip("torch")
        assert judge(case_of(), torch.tensor([2.0, 4.0, 6.0])).passed
        assert judge(case_of(), torch.tensor([2.0, 4.0, 7.0])).failed

    def test_float64_outputs_are_judged_in_float64(self):
        case = case_of([1 / 3], lambda x: x * x, dtype=np.float64, dtypes=["float64"])
        assert judge(case, np.array([1 / 3]) * (1 / 3)).passed
        assert judge(case, np.array([np.float32(1 / 3)], dtype=np.float64) ** 2).failed

    def test_a_given_tolerance_counts_and_is_named(self):
        case = case_of(tolerance={"atol": 0.5})
        verdict = judge(case, float32(2.5, 4, 6))
        assert verdict.passed
        assert verdict.comparisons[0].tolerance == "marker"
        assert judge(case, float32(2.75, 4, 6)).failed

    def test_a_fraction_may_exceed(self):
        half = case_of([1.0, 2.0], tolerance={"atol": 0.5, "fraction": 0.5})
        assert judge(half, float32(9, 4)).passed
        assert judge(half, float32(9, 9)).failed

    def test_the_best_of_several_references_counts(self):
        case = case_of([1.0, 2.0], [double, lambda x: 3 * x])
        assert judge(case, float32(3, 6)).passed
        assert judge(case, float32(2, 4)).passed

    def test_the_references_are_never_mixed_within_a_case(self):
        """Guards: an element may not pick the first reference and its neighbour the second."""
        assert judge(case_of([1.0, 2.0], [double, lambda x: 3 * x]), float32(2, 6)).failed

    def test_several_outputs_are_judged_apart(self):
        case = case_of([1.0, 2.0], lambda x: (2 * x, x.sum()), schema="x[N] -> y[N], s[]")

        verdict = judge(case, {"s": np.float32(4), "y": float32(2, 4)})

        assert [(finding.kind, finding.output) for finding in verdict.findings] == [
            ("ToleranceExceeded", "s")
        ]

    def test_mostly_undetermined_is_no_pass(self):
        """exp overflows float32 for 3 of 4 elements, on the way to a finite result."""
        case = case_of([90.0, 91.0, 92.0, 1.0], lambda x: np.log(np.exp(x)))
        verdict = judge(case, float32(np.inf, np.inf, np.inf, 1))
        assert (verdict.status, verdict.comparisons[0].stats.num_undetermined) == (UNDETERMINED, 3)
        assert not verdict.passed

    def test_a_failure_beside_undetermined_elements_is_a_failure(self):
        case = case_of([90.0, 91.0, 92.0, 1.0], lambda x: np.log(np.exp(x)))
        assert judge(case, float32(np.inf, np.inf, np.inf, 2)).failed

    def test_a_tie_is_judged_by_the_value_that_the_index_leads_to(self):
        def values_at(outputs, inputs, params):
            return {"output": np.asarray(inputs["x"][outputs["output"]])}

        keys = {"schema": "x[N] -> []", "canonical": values_at, "outputs": {"output": {"dtype": "int64"}}}
        case = case_of([1.0, 5.0, 5.0], lambda x: np.argmax(x), **keys)

        assert judge(case, np.int64(1)).passed
        assert judge(case, np.int64(2)).passed
        assert judge(case, np.int64(0)).failed
        verdict = judge(case, np.int64(9))
        assert "cannot be interpreted: IndexError" in verdict.findings[0].message

    def test_an_index_beside_a_nan_is_judged_and_not_undetermined(self):
        """Guards: NaN leaves the reference's own index without a bound, and any index passed."""
        case = case_from_arrays(BUILTIN_OPS["argmax"], {"input": np.array([[1, np.nan, 3]], np.float32)})
        assert judge(case, np.array([1])).passed
        assert judge(case, np.array([2])).failed


class TestShapeAndDtype:
    def test_a_wrong_shape_is_named(self):
        verdict = judge(case_of(), float32(2, 4))
        assert kinds(verdict) == ["ShapeMismatch"]
        assert verdict.findings[0].message == "output has shape [2], expected [3]"

    def test_switched_off_it_still_compares_what_has_as_many_elements(self):
        case = case_of(checks={"shape": False})
        assert judge(case, np.array([[2, 4, 6]], np.float32)).passed
        assert judge(case, np.array([[2, 4, 7]], np.float32)).failed
        assert kinds(judge(case, float32(2, 4))) == ["ShapeMismatch"]

    def test_a_wrong_dtype_is_named_with_the_way_out(self):
        verdict = judge(case_of(), np.array([2.0, 4.0, 6.0]))
        assert kinds(verdict) == ["DTypeMismatch"]
        assert verdict.findings[0].message == (
            "output has dtype float64, expected float32 "
            '(another is meant? outputs={"output": {"dtype": "float64"}})'
        )

    def test_switched_off_or_declared_it_passes(self):
        output = np.array([2.0, 4.0, 6.0])
        assert judge(case_of(checks={"dtype": False}), output).passed
        assert judge(case_of(outputs={"output": {"dtype": "float64"}}), output).passed

    def test_any_integer_type_will_do_where_none_is_declared(self):
        case = case_of(reference=lambda x: np.argmax(x), schema="x[N] -> []")
        assert judge(case, np.int32(2)).passed
        assert kinds(judge(case, np.float32(2))) == ["DTypeMismatch"]

    def test_an_output_that_cannot_be_read_says_what_it_got(self):
        with pytest.raises(OutputError, match=r"returned None.*fuzz_case\.outputs"):
            judge(case_of(), None)
        with pytest.raises(OutputError, match="got a tuple of 2"):
            judge(case_of(), (float32(1), float32(1)))

    def test_a_reference_that_fails_is_no_fault_of_the_kernel_s(self):
        with pytest.raises(ReferenceFailed):
            judge(case_of(reference=lambda x: 1 / 0), float32(2, 4, 6))


class TestMemory:
    def test_a_modified_input_is_named_with_old_and_new(self):
        case = make_case(op_of(), 1)
        x = case.inputs["x"]
        output = np.ascontiguousarray(2 * x)
        old = x[2].item()
        x[2] = 77

        verdict = judge(case, output)

        assert kinds(verdict) == ["InputModified"]
        assert f"input x: 1 of 6 elements (16.7%) were modified: x[2] {old!r} -> 77.0" in str(
            verdict.findings
        )

    def test_the_judge_reads_the_originals_and_not_what_the_kernel_left(self):
        case = make_case(op_of(checks={"inputs_unmodified": False}), 1)
        output = np.ascontiguousarray(2 * case.inputs["x"])
        case.inputs["x"][...] = 0
        assert judge(case, output).passed

    def test_an_op_in_place_may_overwrite_its_input_and_return_nothing(self):
        case = make_case(op_of(inplace={"output": "x"}), 1)
        case.inputs["x"][...] *= 2
        assert judge(case, None).passed

    def test_inputs_in_another_library_are_checked_there(self):
        case = make_case(op_of(), 1)
        copy = {"x": case.inputs["x"].copy()}
        copy["x"][0] += 1
        output = 2 * case.originals["x"]
        assert judge(case, output).passed
        assert kinds(judge(case, output, inputs=copy)) == ["InputModified"]

    def test_the_case_s_own_outputs_are_judged_where_nothing_is_returned(self):
        case = make_case(op_of(), 1)
        make_outputs(case)["output"][...] = 2 * case.inputs["x"]
        assert judge(case).passed

    def test_an_element_that_was_never_written_is_told_from_a_wrong_one(self):
        case = make_case(op_of(), 1)
        make_outputs(case)["output"][:-1] = 2 * case.inputs["x"][:-1]

        verdict = judge(case)

        assert kinds(verdict) == ["Unwritten", "NaNDetected"]
        assert (
            verdict.findings[0].message
            == "output: 1 of 6 elements (16.7%) were never written, first output[5]"
        )

    def test_a_nan_that_was_written_is_not_unwritten(self):
        case = make_case(op_of(), 1)
        output = make_outputs(case)["output"]
        output[...] = 2 * case.inputs["x"]
        output[3] = np.nan
        assert kinds(judge(case)) == ["NaNDetected"]

    @pytest.mark.parametrize("role", ["inputs", "outputs"])
    def test_a_write_beyond_the_end_is_found_in_the_guard_band(self, role):
        case = make_case(op_of(layouts=["contiguous"]), 1)
        output = make_outputs(case)["output"]
        output[...] = 2 * case.inputs["x"]
        array = case.inputs["x"] if role == "inputs" else output
        assert judge(case).passed

        np.lib.stride_tricks.as_strided(array, (7,))[6] = 1.0

        verdict = judge(case)
        assert kinds(verdict) == ["GuardOverwritten"]
        assert "bytes outside of it were overwritten: 4 after its last element" in verdict.findings[0].message

    def test_an_output_that_is_the_input_aliases(self):
        case = make_case(op_of(reference=lambda x: x), 1)
        verdict = judge(case, case.inputs["x"])
        assert kinds(verdict) == ["Aliased"]
        assert 'inplace={"output": "x"}' in verdict.findings[0].message
        assert judge(case, case.inputs["x"].copy()).passed

    def test_an_output_on_another_device_is_named(self):
        verdict = judge(case_of(), float32(2, 4, 6), device="cuda:0")
        assert [f.message for f in verdict.findings] == ["output lies on cpu, the inputs on cuda:0"]

    @pytest.mark.parametrize(
        ("check", "spoil"),
        [
            ("inputs_unmodified", lambda case, output: case.inputs["x"].fill(0)),
            ("guard", lambda case, output: np.lib.stride_tricks.as_strided(output, (7,)).fill(0)),
            ("values", lambda case, output: output.fill(0)),
            ("written", lambda case, output: output[:2].view(np.uint32).fill(0x7FD5A5A5)),
        ],
    )
    def test_each_check_is_switched_off_by_its_name(self, check, spoil):
        others = {"values": False} if check in ("written", "guard") else {}
        for checks, expected in ((others, FAILED), ({**others, check: False}, PASSED)):
            case = make_case(op_of(layouts=["contiguous"], checks=checks), 1)
            output = make_outputs(case)["output"]
            output[...] = 2 * case.inputs["x"]
            spoil(case, output)
            assert judge(case).status == expected


class TestInvariants:
    def test_one_that_the_output_breaks_is_a_finding_of_its_own(self):
        case = case_of([0.5, 0.75], tolerance={"atol": 10}, invariants=["within(0, 4)"])
        verdict = judge(case, float32(1, 20))
        assert kinds(verdict) == ["ToleranceExceeded", "InvariantViolation"]
        verdict = judge(case, float32(1, 11.5))
        assert verdict.passed  # its tolerance is the element's: 4 + 10

    def test_rounding_of_each_element_is_allowed_for(self):
        """Guards: three times a third in float16 is not 1."""

        def share(x):
            return x / x.sum()

        case = case_of([1, 1, 1], share, dtype=np.float16, dtypes=["float16"], invariants=["sums_to(1)"])
        exact = share(case.originals["x"].astype(np.float64))
        output = exact.astype(np.float16)
        assert output.astype(np.float64).sum() != 1.0
        assert judge(case, output).passed

        assert "InvariantViolation" in kinds(judge(case, (exact * 1.01).astype(np.float16)))

    def test_one_that_the_reference_breaks_itself_is_not_held_against_the_kernel(self):
        case = case_of([np.inf, 1.0], invariants=["finite"])
        assert judge(case, float32(np.inf, 2)).passed

    def test_a_callable_sees_the_output(self):
        case = case_of(invariants=[lambda y: bool((y < 5).all())])
        assert kinds(judge(case, float32(2, 4, 6))) == []  # the reference breaks it as well
        case = case_of([1.0, 2.0], tolerance={"atol": 10}, invariants=[lambda y: bool((y < 5).all())])
        assert kinds(judge(case, float32(2, 6))) == ["InvariantViolation"]


class TestHints:
    def test_tf32_operands_pass_under_tf32(self):
        def matmul(a, b):
            return a @ b

        op = define_op(
            "mine", reference=matmul, schema="a[M,K], b[K,N] -> [M,N]", dtypes=["float32"], dims={"K": [32]}
        )
        rng = np.random.default_rng(0)
        a, b = (rng.normal(size=(32, 32)).astype(np.float32) for _ in range(2))
        case = case_from_arrays(op, {"a": a, "b": b})

        def to_tf32(x):
            return (x.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)

        verdict = judge(case, to_tf32(a) @ to_tf32(b))

        assert 'passes under compute="tf32"' in verdict.hints
        assert judge(case, to_tf32(a) @ to_tf32(b), hints=False).hints == ()
        assert judge(case, a @ b).hints == ()

    def test_rounding_between_steps_passes_under_storage(self):
        case = case_of(np.linspace(1, 2, 50), lambda x: x * x * x, dtype=np.float16, dtypes=["float16"])
        x = case.originals["x"]
        assert judge(case, x * x * x).hints == ('passes under compute="storage"',)

    def test_a_truncated_output_passes_under_faithful(self):
        case = case_of(np.linspace(1, 2, 50), lambda x: x / 3, dtype=np.float16, dtypes=["float16"])
        exact = case.originals["x"].astype(np.float64) / 3
        rounded = exact.astype(np.float16)
        down = np.where(rounded > exact, np.nextafter(rounded, np.float16(0)), rounded)
        assert any(hint.endswith('passes under rounding="faithful"') for hint in judge(case, down).hints)

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_operands_of_16_bits_lose_nothing_under_tf32(self, dtype):
        """Guards: the tolerance grew by a bfloat16's rounding of every operand, and a sum with a bias added
        twice passed under it.
        """
        op = define_op(
            "mine", reference=lambda a, b: a @ b, schema="a[M,K], b[K,N] -> [M,N]", dims={"K": [256]}
        )
        rng = np.random.default_rng(0)
        a, b = (rng.normal(size=(256, 256)).astype(numpy_dtype(dtype)) for _ in range(2))
        case = case_from_arrays(op, {"a": a, "b": b})
        right = (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype)
        wrong = (right.astype(np.float32) + 1).astype(a.dtype)

        assert judge(case, right).passed
        assert judge(case, wrong).failed
        assert judge(case, wrong).hints == ()
        tf32 = case_from_arrays(replace(op, compute="tf32"), {"a": a, "b": b})
        assert judge(tf32, right).passed
        assert judge(tf32, wrong).failed

    def test_an_output_that_is_rounded_elsewhere_is_not_called_truncated(self):
        """Guards: where few elements exceed, all of them may be nearer to zero by chance."""
        x = np.linspace(1, 2, 50).astype(np.float16)
        exact = x.astype(np.float64) ** 3
        short = np.flatnonzero(
            (x * x * x < exact) & (np.abs(x * x * x - exact) > 0.5 * np.spacing(x * x * x))
        )

        for chosen in ([int(short[0])], [int(short[0]), *range(9)]):
            case = case_of(x[chosen], lambda x: x * x * x, dtype=np.float16, dtypes=["float16"])
            x16 = case.originals["x"]
            assert judge(case, x16 * x16 * x16).hints == ('passes under compute="storage"',)

    def test_only_an_overflow_is_clamped(self):
        """Guards: a maximum that begins with -FLT_MAX gives that for a row of -inf."""
        keys = {"reference": lambda x: x.max(axis=-1), "schema": "x[M,N] -> [M]"}
        lowest = np.finfo(np.float32).min
        rows = case_of([[-np.inf, -np.inf], [1, 2]], **keys)
        assert judge(rows, float32(lowest, 2)).hints == ()

        squares = case_of([300.0, 2.0], lambda x: x * x, dtype=np.float16, dtypes=["float16"])
        assert judge(squares, np.array([65504, 4], np.float16)).hints == (
            'overflow is clamped to the largest value: passes under rounding="saturate"',
        )

    def test_what_the_reference_gives_exactly_is_off_in_no_form(self):
        """Guards: an element that was never written held a number below the rounding of the others."""

        def half(x):
            return np.where(x < 0, 0.0, np.exp(x))

        case = case_of([1.0, 2.0, -1.0], half)
        output = np.exp(case.originals["x"])
        output[2] = 2e-9
        assert judge(case, output).hints == ()

    def test_nothing_helps_where_more_is_wrong_than_the_values(self):
        """Guards: a hint named what the case does not pass under, since an element is not written either."""
        case = case_of(np.linspace(1, 2, 50), lambda x: x / 3, dtype=np.float16, dtypes=["float16"])
        exact = case.originals["x"].astype(np.float64) / 3
        rounded = exact.astype(np.float16)
        down = np.where(rounded > exact, np.nextafter(rounded, np.float16(0)), rounded)

        spoilt = judge(case, down, inputs={"x": case.originals["x"] + np.float16(1)})

        assert judge(case, down).hints != ()
        assert kinds(spoilt) == ["ToleranceExceeded", "InputModified"]
        assert spoilt.hints == ()

    def test_a_less_stable_form_passes_under_scale_row(self):
        """The small element is what is left of the large one, as in x - (m + log(sum))."""

        def parts(x):
            return np.concatenate([1000 * x, x / 1000])

        keys = {"reference": parts, "schema": "x[N] -> [2*N]"}
        x = float32(1.3)
        large = np.float32(1000) * x
        output = np.concatenate([large, (large + x / np.float32(1000)) - large])

        assert any(
            hint.endswith('passes under scale="row"') for hint in judge(case_of(x, **keys), output).hints
        )
        assert judge(case_of(x, **keys, scale="row"), output).passed

    def test_a_given_tolerance_below_the_output_s_rounding_is_named(self):
        case = case_of(
            [2049.0],
            lambda x: x + 0,
            dtype=np.float32,
            outputs={"output": {"dtype": "float16"}},
            tolerance={"atol": 1e-3},
        )
        verdict = judge(case, np.array([2052], np.float16))
        assert verdict.hints[0].startswith("half an ulp here is 1: your atol=0.001 forbids correct rounding")

    def test_a_given_tolerance_that_is_much_looser_than_the_derived_one_is_named(self):
        case = case_of(tolerance={"atol": 1.0})
        assert any(
            "times looser than the derived one" in hint for hint in judge(case, float32(2, 4, 9)).hints
        )

    def test_a_given_tolerance_that_is_too_tight_is_named(self):
        case = case_of(
            [1.0, 1e-3],
            lambda x: x.sum(keepdims=True) - 1.0,
            schema="x[N] -> [...]",
            tolerance={"rtol": 1e-6},
        )
        output = np.float32([np.float32(1.001) - np.float32(1)])
        assert "passes under the derived tolerance: leave tolerance= out" in judge(case, output).hints

    def test_a_bound_that_is_only_a_fallback_says_so(self):
        def hides(x):
            return np.array([float(value) ** 2 for value in x])

        verdict = judge(case_of(reference=hides), float32(1, 4, 99))
        assert any("could not be followed" in hint for hint in verdict.hints)


def test_elements_of_which_the_trace_finds_another_value_than_the_reference_are_undetermined():
    """Guards: x W y over an infinite y is NaN summed at once and an infinity summed from the left; both are
    right, and the second failed.
    """

    def bilinear(x, w, y):
        return np.einsum("rk,kl,rl->r", x, w, y)

    op = define_op("bilinear", reference=bilinear, schema="x[R,K], w[K,L], y[R,L] -> [R]", dtypes=["float32"])
    x = np.array([[1, 2], [1, 2], [1, 2]], np.float32)
    w = np.array([[1, 1], [-1, -3]], np.float32)
    y = np.array([[1, np.inf], [1, 1], [1, 0.5]], np.float32)
    case = case_from_arrays(op, {"x": x, "w": w, "y": y})
    verdict = judge(case, ((x @ w) * y).sum(axis=1))
    assert verdict.passed
    assert verdict.comparisons[0].stats.num_undetermined == 1
    assert judge(case, ((x @ w) * y).sum(axis=1) + np.array([0, 1, 0], np.float32)).failed
