"""The benchmark of minimizing: its exhaustive search finds what there is, its table says what was found."""

from __future__ import annotations

import pytest
from benchmarks.detection.corpus import kernel_with
from benchmarks.detection.kernels import MUTANTS
from benchmarks.minimize.__main__ import details, inserted, table
from benchmarks.minimize.best import smallest_failing
from benchmarks.minimize.failing import failure_of, pairs_of
from benchmarks.minimize.measure import Pair, Row

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.minimize import signature_of_error
from pytest_gpuemu.engine.plan import parse_case_id, plan_case

FAILURE = signature_of_error("it fails")
OP = define_op(
    "r", reference=lambda x: x, schema="x[M,N] -> [M,N]", dtypes=["float32"], layouts=["contiguous"]
)


@pytest.mark.parametrize(("least", "smallest"), [(1, 1), (7, 7), (200, 200)])
def test_the_exhaustive_search_finds_the_smallest_shape_or_keeps_the_found(least, smallest):
    def fails(case_id):
        dims = plan_case(OP, *parse_case_id(case_id)).dims
        return FAILURE if dims["M"] * dims["N"] >= least else None

    alike, at_all, _ = smallest_failing(OP, plan_case(OP, 1, "M=10,N=20"), fails, FAILURE)

    assert (alike, at_all) == (smallest, smallest)


def test_what_fails_otherwise_is_told_apart():
    def fails(case_id):
        dims = plan_case(OP, *parse_case_id(case_id)).dims
        return FAILURE if dims["M"] >= 3 else signature_of_error("something else")

    alike, at_all, _ = smallest_failing(OP, plan_case(OP, 1, "M=10,N=20"), fails, FAILURE)

    assert (alike, at_all) == (3, 1)


def test_a_kernel_of_two_mutants_has_both_bugs():
    first, second = next(
        pair for pair in pairs_of(MUTANTS) if pair[0].op == "max" and pair[0].bug == "tail mask"
    )
    op = define_op("max", reference=lambda x: x.max(axis=-1), schema="x[rows,cols] -> [rows]")

    assert first.control is second.control
    assert kernel_with(first, second) is not first.kernel
    assert failure_of(op, kernel_with(first, second), "3~rows=2,cols=5,values=one_signed") == failure_of(
        op, first.kernel, "3~rows=2,cols=5,values=one_signed"
    )


def test_the_table_counts_and_the_details_name_what_could_be_better():
    row = {"bug": "b", "original": 100, "by_itself": 9, "tried": 5, "is_complete": True, "case_id": "1~M=2"}
    rows = [
        Row(mutant="good", asked=2, best=2, at_all=2, runs=10, **row),
        Row(mutant="bad", asked=6, best=3, at_all=1, runs=30, **row),
    ]
    pairs = [Pair(first="a", second="b", keeps=False, runs=9, case_id="2~M=1")]

    lines = table(rows, pairs)

    assert "| as small as the smallest that an exhaustive search found to fail alike | 1 |" in lines
    assert "| elements against the smallest, mean of the ratios | 1.50 |" in lines
    assert "| kernel runs, median | 20 |" in lines
    assert details(rows, pairs) == [
        "larger than need be: 6 for 3 elements, bad: 1~M=2",
        "another bug: a became b: 2~M=1",
    ]


def test_the_lines_are_written_between_the_marks_of_a_page():
    begin, end = "<!-- measured by `python -m benchmarks.minimize` -->", "<!-- end of measured -->"
    page = f"before\n\n{begin}\n\nold\n\n{end}\nafter\n"

    assert inserted(page, ["new"], " --every 9") == page.replace("old", "new").replace(
        "minimize`", "minimize --every 9`"
    )
