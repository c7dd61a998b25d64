"""The generator: its published sequences, and bulk draws that are the single draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_gpuemu.engine.errors import SeedError
from pytest_gpuemu.engine.rng import SeededRng, derive_seed, generate_seed

# Sequences printed by the gpuemu 0.1.0 package, which we did not write.
VECTORS = json.loads((Path(__file__).parent / "vectors" / "rng.json").read_text())
BY_SEED = pytest.mark.parametrize("vector", VECTORS["rng"], ids=lambda vector: vector["seed"])
SEEDS = st.integers(0, 2**64 - 1)
BULK = st.sampled_from([None, 0, 1, 399, 400, 401, 511, 512, 1000, 2048])  # None: one single draw


@BY_SEED
def test_single_draws_are_the_published_ones(vector):
    seed = int(vector["seed"])
    single, f32, f64, ranged, chosen = (SeededRng(seed) for _ in range(5))

    assert [single.gen_u64() for _ in range(16)] == [int(x) for x in vector["gen_u64"]]
    assert [f32.gen_f32() for _ in range(8)] == vector["gen_f32"]
    assert [f64.gen_f64() for _ in range(8)] == vector["gen_f64"]
    assert [ranged.gen_range(-5, 100) for _ in range(8)] == vector["gen_range(-5,100)"]
    assert [chosen.choice("abcde") for _ in range(8)] == vector["choice(abcde)"]


@BY_SEED
def test_shuffle_and_randn_are_the_published_ones(vector):
    items = list(range(10))
    SeededRng(int(vector["seed"])).shuffle(items)
    normal = SeededRng(int(vector["seed"])).randn((8,))

    assert items == vector["shuffle(range(10))"]
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal, vector["randn(8), approximate to 1e-6"], rtol=0, atol=1e-6)


@BY_SEED
def test_the_published_draw_number_100000_is_reached_in_bulk(vector):
    assert int(SeededRng(int(vector["seed"])).gen_u64s(100_000)[-1]) == int(vector["gen_u64 number 100000"])


@pytest.mark.parametrize("vector", VECTORS["derive"], ids=lambda one: f"{one['seed']}-{one['domain']}")
def test_derived_seeds_are_the_published_ones(vector):
    assert derive_seed(int(vector["seed"]), vector["domain"]) == int(vector["seed_out"])


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n=st.integers(0, 5000))
def test_bulk_draws_are_the_single_draws(seed, n):
    single = SeededRng(seed)

    assert SeededRng(seed).gen_u64s(n).tolist() == [single.gen_u64() for _ in range(n)]


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS,
    counts=st.lists(BULK, max_size=6),
)
def test_bulk_draws_may_be_mixed_with_single_draws(seed, counts):
    """Guards: a bulk draw left the state of the wrong lane behind."""
    mixed, single = SeededRng(seed), SeededRng(seed)

    for count in [*counts, None]:
        drawn = [mixed.gen_u64()] if count is None else mixed.gen_u64s(count).tolist()
        assert drawn == [single.gen_u64() for _ in range(len(drawn))]


@pytest.mark.parametrize("n", [2**16 - 1, 2**16, 2**16 + 1, 1_000_003])
def test_long_bulk_draws_end_where_short_ones_do(n):
    at_once, in_parts = SeededRng(7), SeededRng(7)
    parts = [in_parts.gen_u64s(count) for count in (n // 3, n // 5, n - n // 3 - n // 5)]

    assert np.array_equal(at_once.gen_u64s(n), np.concatenate(parts))
    assert at_once.gen_u64() == in_parts.gen_u64()


def test_bulk_floats_are_the_single_floats():
    single = SeededRng(3)

    assert SeededRng(3).gen_f64s(500).tolist() == [single.gen_f64() for _ in range(500)]


def test_deriving_does_not_depend_on_what_was_drawn():
    fresh, used = SeededRng(5), SeededRng(5)
    used.gen_u64s(500)

    assert used.derive("values").gen_u64() == fresh.derive("values").gen_u64()
    assert fresh.derive("values").seed == derive_seed(5, "values")


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_outside_64_bits_is_refused(seed):
    """Guards: it was cut to 64 bits, so that two names stood for one case."""
    with pytest.raises(SeedError, match=f"{seed} is not a seed"):
        SeededRng(seed)
    with pytest.raises(SeedError):
        derive_seed(seed, "values")


def test_an_empty_range_or_list_is_refused():
    with pytest.raises(ValueError, match=r"no integer is in \[3, 3\)"):
        SeededRng(0).gen_range(3, 3)
    with pytest.raises(ValueError, match="nothing to choose from"):
        SeededRng(0).choice([])


def test_fresh_seeds_are_below_2_to_the_48():
    seeds = {generate_seed() for _ in range(64)}

    assert max(seeds) < 2**48
    assert len(seeds) > 1
    assert max(seeds) >= 2**32  # 64 draws that all miss the upper 16 bits: one chance in 2**1024
