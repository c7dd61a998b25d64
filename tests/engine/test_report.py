"""A failed case as a user reads it."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.case import case_from_arrays, make_case
from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.diagnose import Clue, Diagnosis, Suspicion
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.report import describe_failure, describe_pattern

COMMANDS = [
    'pytest "test_k.py::test_mine[seed=7]"',
    "pytest --gpuemu-reproduce=7",
    "pytest --gpuemu-minimize=7",
]


def double(x):
    return 2 * x


def report_of(output, x, commands=(), reference=double, schema="x[R,C] -> [R,C]", **keys):
    op = define_op("mine", reference=reference, schema=schema, **keys)
    case = case_from_arrays(op, {"x": x}, {p.name: p.choices[0] for p in op.params}, seed=7)
    verdict = judge(case, output)
    assert verdict.failed
    return describe_failure(case, verdict, commands=commands)


def line(lines, label):
    (found,) = [text[10:] for text in lines if text.startswith(f"  {label:<7} ")]
    return found


def test_the_whole_report():
    x = np.arange(1, 9, dtype=np.float16).reshape(2, 4)
    output = 2 * x
    output[1, 2:] = 0

    lines = report_of(output, x, COMMANDS, params={"scale": 0.5}, reference=lambda x, scale: 2 * x)

    assert lines == [
        "mine fails for seed 7: 2 of 8 elements (25.0%) exceed their tolerance",
        "  input   float16 [2, 4], strides (8, 2) bytes, layout contiguous, values given",
        "  params  scale=0.5",
        "  worst   output[1, 2] = 0.0, reference 14.0: off by 14 (1792 ulp), allowed 0.0039 (derived)",
        "          output[1, 3] = 0.0, reference 16.0: off by 16, allowed 0.0078",
        "  pattern every exceeding element is in row 1 (the last) and at column 2 or above (of 4)",
        "  errors  max 16 (1792 ulp), mean 3.75 (352 ulp), p50 0, p99 16",
        "  ulps    6 of 8 elements up to 0.5, 2 up to 2^11",
        '  re-run  pytest "test_k.py::test_mine[seed=7]"   (anywhere: pytest --gpuemu-reproduce=7)',
        "  shrink  pytest --gpuemu-minimize=7",
    ]


def test_a_drawn_case_tells_its_layout_and_values():
    op = define_op(
        "mine",
        reference=lambda x, i: x[i],
        schema="x[N], i[K] -> [K]",
        inputs={"i": {"kind": "index", "of": "N"}},
        dims={"N": [9], "K": [4]},
        dtypes=["bfloat16"],
        layouts=["reversed"],
        values=["normal"],
    )
    op = narrow_op(op, dims={"K": [4]})
    case = make_case(op, 1)
    output = case.originals["x"][case.originals["i"]]

    lines = describe_failure(case, judge(case, output + 1))

    inputs = [text for text in lines if text.startswith("  input")]
    assert inputs[0] == "  input   x: bfloat16 [9], strides (-2) bytes, layout reversed, values normal"
    assert inputs[1].startswith("  input   i: int64 [4], strides (")
    assert inputs[1].endswith(", index")
    assert line(lines, "narrow") == "dims={'K': [4]}"


def test_the_source_of_a_given_tolerance_is_named():
    x = np.ones((1, 2), np.float32)
    lines = report_of(2 * x + 1, x, tolerance={"atol": 0.5})
    assert line(lines, "worst").endswith("allowed 0.5 (marker)")


def test_a_nan_has_no_distance():
    x = np.ones((1, 2), np.float32)
    assert line(report_of(np.float32([[2, np.nan]]), x), "worst") == (
        "output[0, 1] = nan, reference 2.0: allowed 1.2e-07 (derived)"
    )
    x = np.float32([[np.nan, 1]])
    assert line(report_of(np.float32([[2, 2]]), x), "worst") == (
        "output[0, 0] = 2.0, reference nan: not the same (derived)"
    )


def test_errors_without_a_size_are_counted_by_what_they_are():
    """Guards: the line said `errors  max 0 (0 ulp)` where every wrong element was a NaN."""
    x = np.array([[1, 2, np.nan, np.inf]], np.float32)
    lines = report_of(np.float32([[np.nan, np.nan, 3, 8]]), x)
    assert line(lines, "errors") == (
        "none is finite: 2 are NaN where the reference is finite, 1 is finite where the reference is NaN, "
        "1 is finite where the reference is inf"
    )
    lines = report_of(np.float32([[np.nan, 5, np.nan, np.inf]]), x)
    assert line(lines, "errors").startswith("max 1 ")


def test_an_error_beyond_every_digit_is_not_counted_in_ulps():
    """Guards: 1e-3 for 2e-30 was `off by 0.001 (4258812341354496 ulp)`."""
    x = np.full((1, 2), 1e-30, np.float32)
    lines = report_of(np.float32([[1e-3, 2e-30]]), x)
    assert "off by 0.001 (over 2^24 ulp), allowed" in line(lines, "worst")
    assert line(lines, "errors").startswith("max 0.001 (over 2^24 ulp), mean 0.0005 (over 2^24 ulp)")


def test_integers_are_shown_as_integers():
    x = np.array([[1, 2]], np.int8)
    lines = report_of(np.array([[2, 5]], np.int8), x, inputs={"x": {"dtype": "int8"}})
    assert line(lines, "worst") == "output[0, 1] = 5, reference 4: off by 1, allowed 0 (exact)"
    assert "ulp" not in line(lines, "errors")


def test_an_index_is_shown_with_what_it_leads_to():
    def values_at(outputs, inputs, params):
        return {"output": np.asarray(inputs["x"][0, outputs["output"]])}

    lines = report_of(
        np.int64(1),
        np.float32([[5, 3]]),
        reference=lambda x: np.argmax(x),
        schema="x[R,C] -> []",
        canonical=values_at,
    )
    assert (
        line(lines, "worst") == "output = 1, which leads to 3.0, reference 5.0: off by 2, allowed 0 (exact)"
    )


def test_at_most_five_elements_are_listed():
    x = np.ones((4, 4), np.float32)
    output = 2 * x
    output[:2] = np.arange(8).reshape(2, 4)
    listed = [text for text in report_of(output, x) if "reference 2.0" in text]
    assert len(listed) == 5
    assert "output[1, 3] = 7.0" in listed[0]


def test_other_findings_follow_the_first_and_name_their_output():
    x = np.ones((1, 2), np.float32)
    keys = {"schema": "x[R,C] -> y[R,C], s[]", "reference": lambda x: (2 * x, x.sum())}
    lines = report_of((2 * x + 1, np.float32(9)), x, **keys)
    assert lines[0].endswith("seed 7: y: 2 of 2 elements (100.0%) exceed their tolerance")
    assert line(lines, "also") == "s: 1 of 1 elements (100.0%) exceed their tolerance"


def test_undetermined_elements_are_counted():
    """exp overflows float32 on the way to a finite result."""
    x = np.float32([[100, 1]])
    lines = report_of(np.float32([[np.inf, 5]]), x, reference=lambda x: np.log(np.exp(x)))
    assert line(lines, "besides").startswith("1 of 2 elements (50.0%) of output are undetermined")


def test_hints_are_shown():
    x = np.linspace(1, 2, 50).astype(np.float16).reshape(5, 10)
    lines = report_of(x * x * x, x, reference=lambda x: x * x * x)
    assert line(lines, "hint") == 'passes under compute="storage"'


def test_a_traceback_is_indented_below_its_line():
    def broken(y):
        raise ValueError("odd")

    x = np.ones((1, 2), np.float32)
    op = define_op(
        "mine",
        reference=double,
        schema="x[R,C] -> [R,C]",
        tolerance={"atol": 9},
        invariants=[lambda y: broken(y) if y[0, 0] > 2 else True],
    )
    case = case_from_arrays(op, {"x": x})
    lines = describe_failure(case, judge(case, 2 * x + 1))
    assert "raised ValueError: odd" in lines[0]
    assert all("\n" not in text for text in lines)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ([[0, 0, 0], [1, 1, 1], [0, 0, 0]], "in row 1"),
        ([[0, 0, 0], [0, 0, 0], [1, 1, 1]], "in row 2 (the last)"),
        ([[0, 1, 0], [0, 1, 0]], "in column 1"),
        ([[0, 1, 1], [0, 1, 1]], "at column 1 or above (of 3)"),
        ([[0, 0, 0], [1, 0, 1], [0, 0, 0]], "in row 1"),
        ([[[0, 1], [0, 1]], [[0, 1], [0, 1]]], "at index 1 of axis 2 (the last)"),
        ([0, 0, 1, 1], "at index 2 or above (of 4)"),
    ],
)
def test_a_simple_place_is_named(mask, expected):
    assert describe_pattern(np.array(mask, bool)) == f"every exceeding element is {expected}"


@pytest.mark.parametrize(
    "mask", [[[1, 0], [0, 1]], [[1, 1], [1, 1]], [[1, 0], [0, 0]], [[1, 1, 0], [0, 1, 1]]]
)
def test_no_pattern_is_made_up(mask):
    assert describe_pattern(np.array(mask, bool)) is None


def test_a_diagnosis_is_told_behind_the_numbers_and_in_place_of_the_pattern():
    x = np.ones((2, 4), np.float32)
    op = define_op("mine", reference=double, schema="x[R,C] -> [R,C]")
    case = case_from_arrays(op, {"x": x}, {}, seed=7)
    verdict = judge(case, np.array([[2, 2, 2, 2], [2, 2, 1, 1]], np.float32))
    diagnosis = Diagnosis(
        where=(Clue(kind="tail", text="behind column 2", output="output"),),
        how=(Clue(kind="ratio", text="half the reference", output="output"),),
        suspicion=Suspicion(kind="scale", text="a scale is missing"),
    )

    lines = describe_failure(case, verdict, diagnosis=diagnosis)

    labels = [text[2:10].rstrip() for text in lines if text[2:3] != " "]
    assert labels[-5:] == ["errors", "ulps", "where", "how", "suspect"]
    assert "pattern" not in labels
    assert line(lines, "suspect") == "a scale is missing"
