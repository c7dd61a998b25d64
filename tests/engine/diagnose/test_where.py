import numpy as np
import pytest

from pytest_gpuemu.engine.diagnose.where import find_places


def kinds(mask, **arrays):
    return [clue.kind for clue in find_places("output", mask, **arrays)]


def mask_of(shape, *index):
    mask = np.zeros(shape, dtype=bool)
    mask[index] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        (np.ones((3, 5), bool), "all"),
        (mask_of((4, 70), slice(None), slice(64, None)), "tail"),
        (mask_of((4, 70), slice(None), slice(0, 32)), "head"),
        (mask_of((4, 70), 2), "line"),
        (mask_of((4, 70), 3), "last"),
        (mask_of((4, 70), slice(None), 0), "first"),
        (mask_of((4, 70), slice(None), slice(16, 32)), "range"),
        (mask_of((4, 70), slice(None), slice(1, None, 8)), "periodic"),
        (np.eye(9, dtype=bool), "diagonal"),
        (np.triu(np.ones((9, 9), bool), 1), "tail"),
        (np.triu(np.ones((9, 9), bool)), "upper triangle"),
        (np.tril(np.ones((9, 9), bool)), "lower triangle"),
        (mask_of((2, 3, 70), 1), "last"),
    ],
)
def test_a_place_is_named(mask, kind):
    assert kind in kinds(mask)


def test_the_tail_beyond_a_block_says_where_the_block_ends():
    (clue,) = find_places("output", mask_of((4, 70), slice(None), slice(64, None)))

    assert clue.text == "every wrong element is in the tail from column 64, a multiple of 64, of 70"
    assert clue.evidence["block"] == 64
    assert clue.evidence["filled"] == 1.0


def test_the_last_elements_in_memory_order_are_a_flat_tail():
    mask = np.zeros((5, 60), dtype=bool)
    mask.reshape(-1)[128:] = True

    clue = find_places("output", mask)[0]

    assert clue.kind == "flat tail"
    assert clue.text == (
        "the wrong elements are the last 172 of 300 in memory order, from 128, a multiple of 128"
    )


def test_scattered_elements_have_no_place():
    mask = np.random.default_rng(0).random((50, 50)) < 0.3

    assert kinds(mask) == []


def test_no_wrong_element_has_no_place():
    assert find_places("output", np.zeros((3, 3), bool)) == []


def test_wrong_elements_that_should_all_be_nan_are_told_first():
    reference = np.arange(12.0).reshape(3, 4)
    reference[:, 2] = np.nan
    mask = np.isnan(reference)

    assert kinds(mask, output=np.zeros((3, 4)), reference=reference) == ["reference nan", "line"]


def test_wrong_elements_that_are_all_nan_are_told_first():
    output = np.arange(12.0).reshape(3, 4)
    output[1, 1:3] = np.nan

    assert kinds(np.isnan(output), output=output, reference=np.ones((3, 4)))[0] == "output nan"
