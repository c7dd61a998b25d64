"""Buffers: every write outside of an array is noticed, and every element that was not written."""

import gc
import resource
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_gpuemu.engine.buffers import allocate, bits, poison_bits
from pytest_gpuemu.engine.dtypes import DTYPES, FLOATS, is_floating, numpy_dtype
from pytest_gpuemu.engine.errors import CannotRunHere
from pytest_gpuemu.engine.layouts import HUGE_ELEMENTS
from pytest_gpuemu.engine.op import LAYOUTS
from pytest_gpuemu.engine.plan import layout_fits

SMALL_LAYOUTS = [layout for layout in LAYOUTS if layout != "huge"]
linux = pytest.mark.skipif(sys.platform != "linux", reason="sparse mappings are Linux's")
shapes = st.lists(st.integers(0, 4), max_size=4).map(tuple)
seeds = st.integers(0, 2**64 - 1)


def filled(shape, dtype, layout, seed=0):
    buffer = allocate(shape, dtype, layout, seed)
    buffer.fill(np.ones(shape, numpy_dtype(dtype)))
    return buffer


@given(shape=shapes, dtype=st.sampled_from(DTYPES), layout=st.sampled_from(SMALL_LAYOUTS), seed=seeds)
def test_what_is_filled_in_is_what_the_view_holds(shape, dtype, layout, seed):
    if not layout_fits(layout, shape):
        return
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2
    if layout == "broadcast":
        values = np.ones(shape)
    buffer = allocate(shape, dtype, layout, seed)

    buffer.fill(values.astype(numpy_dtype(dtype)))

    assert buffer.view.shape == shape
    assert str(buffer.view.dtype) == dtype
    assert np.array_equal(buffer.view.astype(float), values)
    assert buffer.guard_damage() is None
    assert not buffer.modified().any()


@given(layout=st.sampled_from(SMALL_LAYOUTS), dtype=st.sampled_from(DTYPES), seed=seeds, data=st.data())
def test_one_byte_written_outside_of_the_elements_is_damage_and_one_within_is_a_change(
    layout, dtype, seed, data
):
    buffer = filled((2, 3, 2, 2), dtype, layout, seed)
    inside = np.zeros(buffer.base.shape, dtype=bool)
    within = buffer.placement.view(np.zeros_like(buffer.base), buffer.view.dtype)
    bits(within)[...] = 2 ** (8 * within.itemsize) - 1
    inside = within.base != 0
    at = data.draw(st.integers(0, buffer.base.size - 1))

    buffer.base[at] ^= 1

    if inside[at]:
        assert buffer.guard_damage() is None
        assert buffer.modified().any()
    else:
        assert buffer.guard_damage().nbytes == 1
        assert buffer.guard_damage().first == at - buffer.placement.lowest
        assert not buffer.modified().any()


@pytest.mark.parametrize("layout", SMALL_LAYOUTS)
def test_damage_says_on_which_side_it_lies(layout):
    buffer = filled((2, 3, 2, 2), "float32", layout)
    lowest, span = buffer.placement.lowest, buffer.placement.span

    buffer.base[lowest - 1] ^= 255
    buffer.base[lowest + span : lowest + span + 3] ^= 255
    damage = buffer.guard_damage()

    assert (damage.before, damage.between, damage.after, damage.first) == (1, 0, 3, -1)


def test_a_write_into_the_gap_between_elements_is_damage():
    buffer = filled((8,), "float32", "strided")
    buffer.base[buffer.placement.lowest + 4] ^= 1

    assert buffer.guard_damage().between == 1


def test_the_outermost_bytes_are_guarded_at_least_64_and_a_block_of_1024_floats_away():
    for layout in SMALL_LAYOUTS:
        buffer = filled((1, 2, 2, 2), "float32", layout)

        assert buffer.placement.lowest >= 4096
        assert buffer.base.size - buffer.placement.lowest - buffer.placement.span >= 4096


def test_a_write_to_an_element_modifies_that_one_and_damages_no_guard():
    buffer = filled((2, 3), "int32", "transposed")
    buffer.view[1, 2] = 7

    assert np.argwhere(buffer.modified()).tolist() == [[1, 2]]
    assert buffer.guard_damage() is None


def test_a_nan_that_changes_its_bits_is_a_change_and_one_that_stays_is_none():
    buffer = allocate((2,), "float32", "contiguous")
    buffer.fill(np.array([np.nan, np.nan], dtype=np.float32))
    assert not buffer.modified().any()

    bits(buffer.view)[1] ^= 1

    assert buffer.modified().tolist() == [False, True]


def test_restore_undoes_changes_inside_and_outside():
    buffer = filled((3, 4), "float16", "strided")
    buffer.view[...] = 5
    buffer.base[0] ^= 255

    buffer.restore()

    assert buffer.guard_damage() is None
    assert np.all(buffer.view == 1)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_element_is_unwritten_until_something_else_is_written_there(dtype, which):
    buffer = allocate((2, 5), dtype, "strided")
    buffer.poison(which)
    assert buffer.unwritten().all()

    poison = poison_bits(dtype, which)
    other = ~poison & type(poison)(1)  # NumPy 1 has no & of a uint64 and an int
    bits(buffer.view)[1, 3] = other

    assert np.argwhere(~buffer.unwritten()).tolist() == [[1, 3]]


@pytest.mark.parametrize("dtype", FLOATS)
def test_floating_poison_is_a_nan_that_computing_never_gives(dtype):
    for which in (0, 1):
        buffer = allocate((4,), dtype, "contiguous")
        buffer.poison(which)
        assert np.isnan(buffer.view.astype(np.float64)).all()

    buffer.view[...] = np.array([np.nan, -np.nan, 0, 1]).astype(numpy_dtype(dtype))

    assert buffer.unwritten().any() == (not buffer.is_poison_certain)


def test_the_two_poisons_differ_and_only_floats_with_several_nans_are_certain():
    certain = {dtype for dtype in DTYPES if allocate((1,), dtype, "contiguous").is_poison_certain}

    assert all(poison_bits(dtype, 0) != poison_bits(dtype, 1) for dtype in DTYPES)
    assert certain == set(FLOATS) - {"float8_e4m3fn"}


def test_a_filled_buffer_has_no_unwritten_elements():
    buffer = allocate((3,), "float32", "contiguous")
    buffer.fill(buffer.view.copy())

    assert not buffer.unwritten().any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_gaps_and_guards_hold_nan_or_the_given_index(dtype):
    gap = None if is_floating(dtype) else 1
    buffer = allocate((4,), dtype, "strided", gap=gap)
    elements = buffer.base[: buffer.placement.lowest].view(buffer.view.dtype)

    assert np.isnan(elements.astype(float)).all() if gap is None else np.all(elements == 1)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)])
@pytest.mark.parametrize("layout", ["contiguous", "offset"])
def test_arrays_of_no_dims_or_no_elements_are_guarded_too(shape, layout):
    buffer = filled(shape, "bfloat16", layout)
    buffer.base[buffer.placement.lowest - 1] ^= 1

    assert buffer.guard_damage().before == 1
    assert buffer.view.shape == shape


def test_the_view_keeps_its_memory_alive():
    view = filled((1000,), "float32", "strided").view
    gc.collect()

    assert np.all(view == 1)


def test_offset_starts_behind_an_aligned_address_and_contiguous_on_one():
    starts = {allocate((5,), "float16", "offset", seed).view.ctypes.data % 16 for seed in range(20)}

    assert allocate((5,), "float16", "contiguous").view.ctypes.data % 256 == 0
    assert len(starts) > 2


@linux
def test_a_huge_buffer_has_far_elements_in_little_memory():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    buffer = filled((64, 33), "float32", "huge")

    assert (buffer.view.strides[1] // 4) * 32 >= HUGE_ELEMENTS
    assert buffer.base.nbytes > 2**33
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
    assert np.all(buffer.view == 1)


@linux
def test_a_huge_buffer_notices_writes_beside_its_slices_and_within():
    buffer = filled((2, 3), "float32", "huge")
    buffer.base[buffer.placement.lowest + buffer.placement.apart - 1] ^= 1
    assert buffer.guard_damage().nbytes == buffer.guard_damage().between == 1

    buffer.restore()
    buffer.view[1, 2] = 9

    assert buffer.guard_damage() is None
    assert np.argwhere(buffer.modified()).tolist() == [[1, 2]]


def test_a_huge_buffer_cannot_be_had_where_there_are_no_sparse_mappings(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(CannotRunHere, match="layout 'huge' needs Linux's sparse mappings, this is win32"):
        allocate((2, 3), "float32", "huge")
