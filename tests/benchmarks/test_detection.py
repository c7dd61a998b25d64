"""The detection corpus: every mutant is an edit of its control, and the report counts what the rows say."""

from __future__ import annotations

import pytest
from benchmarks.detection.campaign import distribution_of, run_campaign
from benchmarks.detection.corpus import Mutant
from benchmarks.detection.kernels import CONTROLS, FRESH_MUTANTS, MUTANTS
from benchmarks.detection.kernels.reductions import SUM
from benchmarks.detection.page import classes_table, controls_lines, detectors_table
from benchmarks.detection.rows import Row


@pytest.mark.parametrize("mutant", [*MUTANTS, *FRESH_MUTANTS], ids=lambda mutant: mutant.name)
def test_a_mutant_is_its_control_with_one_place_changed(mutant):
    assert mutant.control in CONTROLS
    assert mutant.kernel is not mutant.control.kernel


def test_an_edit_of_a_text_that_is_not_there_is_refused():
    mutant = Mutant(SUM, "accumulator", "nothing", "no such text", "")

    with pytest.raises(ValueError, match="row_sum: 'no such text' occurs 0 times, not once"):
        mutant.kernel  # noqa: B018


def test_names_tell_mutants_apart():
    names = [mutant.name for mutant in (*MUTANTS, *FRESH_MUTANTS)]
    assert len(set(names)) == len(names)


def test_a_campaign_finds_a_wrong_sum_and_passes_a_right_one():
    wrong = next(mutant for mutant in MUTANTS if mutant.name == "row_sum: mask dropped")

    assert run_campaign(SUM, 1, 10).found_at is None
    assert run_campaign(wrong, 1, 10).found_at is not None


def test_a_case_counts_under_an_extreme_distribution_of_any_input():
    assert distribution_of({"input": "normal", "weight": "large"}) == "large"
    assert distribution_of({"input": "normal", "weight": "sparse"}) == "normal"


def row(group, kernel, found_at, **changes):
    given = {
        "sources": "",
        "detector": "pytest-gpuemu",
        "bug": "" if group == "control" else "tail mask",
        "master": 1,
        "budget": 200,
        "cases": found_at or 200,
        "seed": None,
        "message": "off",
        "seconds": 0.0,
    }
    return Row(group=group, kernel=kernel, found_at=found_at, **{**given, **changes})


def test_the_report_counts_finds_within_each_budget():
    rows = [
        row("tuned beside", "sum: a", 8),
        row("tuned beside", "sum: b", 9),
        row("written after", "max: c", None),
        row("control", "sum", 31),
        row("control", "max", None),
    ]

    assert detectors_table(rows)[-1] == (
        "| **pytest-gpuemu** | 1 / 2 / 2 of 2 | 0 / 0 / 0 of 1 | 0 / 0 / 1 of 2 | 2 of 3 | 8.5 |"
    )
    assert classes_table(rows, "tuned beside")[-1] == "| **all** | 2 | 1 | 2 | 2 | 8.5 |"
    assert "- alarm: sum, seed None: off" in controls_lines(rows)


def test_the_report_has_a_dash_where_a_detector_did_not_run_so_many_cases():
    rows = [row("tuned beside", "sum: a", 8, budget=30)]

    assert "| 1 / 1 / - of 1 |" in detectors_table(rows)[-1]
