"""Layouts: the strides of each, and that no two elements share memory unless the layout says so."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.layouts import place
from pytest_gpuemu.engine.op import LAYOUTS
from pytest_gpuemu.engine.plan import layout_fits

GUARD = 256
shapes = st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple)
seeds = st.integers(0, 2**64 - 1)


def offsets(placement):
    """The byte at which each element begins."""
    steps = placement.strides
    return np.array(
        [placement.first + sum(map(int.__mul__, index, steps)) for index in np.ndindex(placement.shape)],
        dtype=np.int64,
    )


@given(shape=shapes, layout=st.sampled_from(LAYOUTS), itemsize=st.sampled_from([1, 2, 4, 8]), seed=seeds)
def test_elements_lie_apart_aligned_and_between_the_guards(shape, layout, itemsize, seed):
    if not layout_fits(layout, shape):
        return
    placement = place(shape, itemsize, layout, GUARD, seed)
    at = offsets(placement)

    assert placement.total % 8 == 0
    if prod(shape):
        assert np.all(at % itemsize == 0)
        assert at.min() == placement.lowest >= GUARD
        assert at.max() + itemsize == placement.lowest + placement.span <= placement.total - GUARD
        shared = max(shape) if layout == "broadcast" else 1
        assert len(set(at.tolist())) >= prod(shape) / shared
    if layout != "broadcast":
        assert len(set(at.tolist())) == prod(shape)


@given(seed=seeds)
def test_strides_are_those_of_the_layout(seed):
    def strides(layout, shape=(2, 3, 4, 5)):
        return place(shape, 4, layout, GUARD, seed).strides

    assert strides("contiguous") == strides("offset") == (240, 80, 20, 4)
    assert sorted(strides("transposed")) != list(reversed(strides("transposed")))
    assert strides("transposed", (3, 5)) == (4, 12)
    assert strides("channels_last") == (240, 4, 60, 12)
    assert any(abs(step) > dense for step, dense in zip(strides("strided"), (240, 80, 20, 4), strict=True))
    assert any(step < 0 for step in strides("reversed"))
    assert {abs(step) for step in strides("reversed")} == {240, 80, 20, 4}
    assert strides("broadcast").count(0) == 1


def test_seeds_reach_the_variants_of_a_layout():
    def strides(layout, shape):
        return {place(shape, 1, layout, GUARD, seed).strides for seed in range(200)}

    assert strides("broadcast", (2, 3)) == {(0, 1), (1, 0)}
    assert strides("reversed", (2, 3)) == {(-3, 1), (3, -1), (-3, -1)}
    assert {(6, 2), (9, 3), (4, 1), (6, 1)} <= strides("strided", (2, 3))
    assert len(strides("transposed", (2, 3, 4))) == 5  # every order of the axes but C's
    assert {place((3,), 2, "offset", GUARD, seed).lowest % 16 for seed in range(50)} >= {2, 6, 8, 14, 0}


def test_a_huge_layout_has_an_element_beyond_2_31_elements():
    for shape in ((2,), (3, 5), (1, 7, 2)):
        placement = place(shape, 4, "huge", GUARD, 1)
        last = offsets(placement).max() - placement.lowest

        assert last // 4 >= 2**31
        assert offsets(placement).min() == placement.lowest


@pytest.mark.parametrize(
    ("layout", "shape", "fits"),
    [
        ("contiguous", (), True),
        ("offset", (0,), True),
        ("strided", (), False),
        ("strided", (1,), True),
        ("transposed", (3,), False),
        ("transposed", (3, 1), True),
        ("channels_last", (2, 3, 4), False),
        ("channels_last", (1, 2, 3, 4), True),
        ("reversed", (1, 1), False),
        ("reversed", (1, 2), True),
        ("broadcast", (0, 2), False),
        ("huge", (1,), False),
        ("huge", (5000,), False),
        ("huge", (5000, 2), True),
    ],
)
def test_a_layout_fits_a_shape_that_has_the_axes_for_it(layout, shape, fits):
    assert layout_fits(layout, shape) is fits
