import numpy as np

from pytest_gpuemu.engine.diagnose.slices import slice_to_show


def test_the_slice_holds_the_wrong_elements_and_their_edge():
    mask = np.zeros((3, 4, 50, 60), dtype=bool)
    mask[2, 1, 32:, :] = True

    shown = slice_to_show("output", mask)

    assert shown is not None
    part = shown.of(mask)
    assert part.any()
    assert not part.all()


def test_axes_without_a_pattern_are_held_at_the_index_with_most_wrong_elements():
    mask = np.zeros((2, 30, 40), dtype=bool)
    mask[:, 8:, :] = np.arange(40) >= 32
    mask[0, 9, 39] = False

    shown = slice_to_show("output", mask)

    assert (shown.rows, shown.columns, dict(shown.at)) == (1, 2, {0: 1})
    assert shown.text == "[1, :, :]"
    assert shown.of(mask).shape == (30, 40)


def test_a_vector_is_one_row():
    mask = np.arange(10) > 6

    shown = slice_to_show("output", mask)

    assert shown.rows is None
    assert shown.text == ""
    assert shown.of(mask).shape == (1, 10)


def test_nothing_wrong_or_no_axis_shows_nothing():
    assert slice_to_show("output", np.zeros((3, 3), bool)) is None
    assert slice_to_show("output", np.array(True)) is None
