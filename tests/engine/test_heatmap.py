"""The picture of where an output is wrong, and what its cells say."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.diagnose.diagnosis import Slice
from pytest_gpuemu.engine.heatmap import MAX_ROWS, HeatMap, draw, heat_map

WHOLE = Slice(output="y", rows=0, columns=1)


def mask(*lines):
    return np.array([[sign == "#" for sign in line] for line in lines])


def sizes_of(shown):
    """The number of elements of each cell."""
    rows, columns = len(shown.wrong), len(shown.wrong[0])
    return [shown.size_of(row, column) for row in range(rows) for column in range(columns)]


def test_a_small_output_is_drawn_element_by_element():
    exceeding = mask("....", "..##")

    assert draw(heat_map(WHOLE, exceeding)) == [
        "y, 2 x 4: 2 of 8 elements exceed",
        "0 ....",
        "1 ..##",
        "  . within tolerance  # exceeds  (a cell is one element)",
    ]


def test_a_cell_says_how_many_of_its_elements_are_wrong():
    exceeding = np.zeros((4, 32), bool)
    exceeding[:, 8:16] = True  # all of a cell
    exceeding[0, 16:19] = True  # 3 of 32
    exceeding[:2, 24:32] = True  # 16 of 32
    exceeding[2:, 24:30] = True  # and 12 more

    lines = draw(heat_map(WHOLE, exceeding, rows=1, columns=4))

    assert lines == [
        "y, 4 x 32: 63 of 128 elements exceed",
        "0 .#:*",
        "  . none  : under 1/3  * not all  # all  (a cell is 4 x 8 elements: how many of them exceed)",
    ]


def test_the_slice_and_its_like_are_named():
    exceeding = np.zeros((3, 2, 5), bool)
    exceeding[1] = mask("#....", ".#...")
    shown = Slice(output="y", rows=1, columns=2, at={0: 1})

    first = draw(heat_map(shown, exceeding))[0]

    assert first == "y[1, :, :] (1 of 3 such parts), 2 x 5: 2 of 10 elements exceed"


def test_a_long_output_of_one_axis_is_cut_into_rows_of_a_power_of_two():
    exceeding = np.arange(70) >= 64
    lines = draw(heat_map(Slice(output="y", rows=None, columns=0), exceeding, rows=10, columns=40))

    assert lines[0] == "y, 70 elements in rows of 32: 6 of 70 elements exceed"
    assert lines[1:4] == [" 0 " + "." * 32, "32 " + "." * 32, "64 ######"]


def test_a_short_output_of_one_axis_is_one_row():
    lines = draw(heat_map(Slice(output="y", rows=None, columns=0), np.arange(5) == 3))

    assert lines[:2] == ["y, 1 x 5: 1 of 5 elements exceed", "0 ...#."]


def test_blocks_and_styles_are_for_terminals_that_have_them():
    painted = draw(
        heat_map(WHOLE, mask("..##", "...#")), blocks=True, paint=lambda text, style: f"<{style} {text}>"
    )

    assert painted[1:3] == ["0 <none ··><all ██>", "1 <none ···><all █>"]


@given(
    shape=st.tuples(st.integers(1, 70), st.integers(1, 300)),
    columns=st.integers(8, 100),
    seed=st.integers(0, 99),
    share=st.sampled_from([0.0005, 0.5, 1.0]),
)
def test_no_wrong_element_is_lost_and_the_map_fits(shape, columns, seed, share):
    """One wrong element of many must show: a cell of them is never drawn as right."""
    exceeding = np.random.default_rng(seed).random(shape) < share

    shown = heat_map(WHOLE, exceeding, columns=columns)
    lines = draw(shown)

    assert sum(map(sum, shown.wrong)) == exceeding.sum()
    sizes = [
        shown.size_of(row, column) for row, cells in enumerate(shown.wrong) for column in range(len(cells))
    ]
    assert sum(sizes) == exceeding.size
    assert len(lines) <= MAX_ROWS + 2
    drawn = [line.split(" ")[-1] for line in lines[1:-1]]
    assert max(map(len, drawn)) <= columns
    wrong_cells = sum(bool(count) for row in shown.wrong for count in row)
    assert sum(len(text) - text.count(".") for text in drawn) == wrong_cells


@pytest.mark.parametrize("size", [1, 12, 100, 101, 128, 1000, 65537])
def test_a_folded_output_has_all_its_elements(size):
    exceeding = np.ones(size, bool)

    shown = heat_map(Slice(output="y", rows=None, columns=0), exceeding)

    assert sum(map(sum, shown.wrong)) == size
    sizes = [
        shown.size_of(row, column) for row, cells in enumerate(shown.wrong) for column in range(len(cells))
    ]
    assert sum(sizes) == size
    assert len(draw(shown)) <= MAX_ROWS + 2


def test_a_map_survives_json():
    shown = heat_map(WHOLE, mask("..##", "...#"))

    assert HeatMap.from_plain(json.loads(json.dumps(shown.plain()))) == shown


def test_an_empty_output_has_none():
    assert heat_map(WHOLE, np.zeros((0, 4), bool)) is None
