"""The candidates of a dim, and the class of a size."""

import pytest

from pytest_gpuemu.engine.op import Range
from pytest_gpuemu.engine.sizes import candidates, is_allowed, size_class


@pytest.mark.parametrize(
    ("size", "name"),
    [
        (0, "0"),
        (1, "1"),
        (2, "small"),
        (15, "small"),
        (16, "aligned"),
        (17, "off by one"),
        (31, "off by one"),
        (33, "off by one"),
        (48, "aligned"),
        (50, "odd"),
        (299, "odd"),
        (300, "large"),
        (4096, "large"),
        (4097, "long"),
    ],
)
def test_a_size_has_a_class(size, name):
    assert size_class(size) == name


def test_a_range_has_its_ends_and_the_boundaries_between_as_candidates():
    assert {30, 31, 32, 33, 63, 64, 65, 68, 69} <= set(candidates(Range(30, 69)))
    assert candidates(Range(5, 5)) == (5,)
    assert candidates((9, 3, 9)) == (3, 9)


def test_a_dim_without_candidates_begins_at_one():
    assert candidates(None)[0] == 1
    assert is_allowed(None, 1)
    assert not is_allowed(None, 0)


def test_a_size_is_allowed_within_a_list_or_a_range():
    assert is_allowed((1, 5), 5)
    assert not is_allowed((1, 5), 3)
    assert is_allowed(Range(1, 5), 3)
    assert not is_allowed(Range(1, 5), 6)
