"""The fuzz generators of the API reference."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from pytest_gpuemu import (
    ConfigError,
    FuzzConfig,
    SeededFuzzer,
    fuzz_dtypes,
    fuzz_dtypes_seeded,
    fuzz_layouts,
    fuzz_layouts_seeded,
    fuzz_shapes,
    fuzz_shapes_seeded,
    generate_random_tensor,
)


def test_shapes_lie_in_their_ranges_and_reach_both_ends():
    shapes = list(islice(fuzz_shapes_seeded(1, min_dims=2, max_dims=3, min_size=3, max_size=20), 500))

    assert {len(shape) for shape in shapes} == {2, 3}
    sizes = {size for shape in shapes for size in shape}
    assert sizes == set(range(3, 21))
    with pytest.raises(ConfigError, match="min_size = 5, max_size = 4: an empty range"):
        fuzz_shapes(min_size=5, max_size=4)


def test_named_lists_give_their_product():
    assert list(fuzz_shapes(batch=[1, 2], seq=[64])) == [(1, 64), (2, 64)]


@pytest.mark.parametrize("draw", [fuzz_shapes_seeded, fuzz_dtypes_seeded, fuzz_layouts_seeded])
def test_a_seed_gives_the_same_again_and_another_seed_another(draw):
    assert list(islice(draw(3), 50)) == list(islice(draw(3), 50))
    assert list(islice(draw(3), 50)) != list(islice(draw(4), 50))


def test_dtypes_are_included_and_excluded():
    assert set(islice(fuzz_dtypes(include=["int8", "bool"], exclude=["bool"]), 20)) == {"int8"}
    assert "float8_e5m2" in set(islice(fuzz_dtypes_seeded(1), 200))
    with pytest.raises(ConfigError, match="'fp16' is not a dtype"):
        fuzz_dtypes(include=["fp16"])
    with pytest.raises(ConfigError, match="no dtype is left"):
        fuzz_dtypes(include=["int8"], exclude=["int8"])


def test_layouts_of_a_shape_come_with_their_strides():
    pairs = list(fuzz_layouts((3, 5)))

    assert ((3, 5), (20, 4)) in pairs
    assert all(shape == (3, 5) for shape, _ in pairs)
    assert any(strides[1] < 0 or strides[0] < 0 for _, strides in pairs)
    assert {"contiguous", "transposed"} <= set(islice(fuzz_layouts(), 200))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "bool"])
def test_a_random_tensor_fills_its_domain(dtype):
    low, high = (-4.0, 4.0) if dtype != "bool" else (0.0, 1.0)
    tensor = generate_random_tensor(5, (40, 50), dtype, (low, high))

    assert (tensor.shape, str(tensor.dtype)) == ((40, 50), dtype)
    values = tensor.astype(np.float64)
    assert low <= values.min() < low + 0.25 * (high - low)
    assert high - 0.25 * (high - low) <= values.max() <= high
    assert tensor.tobytes() == generate_random_tensor(5, (40, 50), dtype, (low, high)).tobytes()


def test_an_empty_domain_is_said():
    with pytest.raises(ConfigError, match=r"domain = \(1.0, 1.0\) is empty"):
        generate_random_tensor(1, (2,), "float32", (1.0, 1.0))


def test_a_fuzzer_draws_the_same_cases_again():
    config = FuzzConfig(
        max_size=9, dtypes=["float16", "float32"], layouts=["contiguous", "strided", "broadcast"]
    )
    first, second = SeededFuzzer(7, config), SeededFuzzer(7, config)

    cases = [(first.next_test_case(), second.next_test_case()) for _ in range(20)]

    for one, other in cases:
        assert (one.seed, one.shape, one.dtype, one.layout) == (
            other.seed,
            other.shape,
            other.dtype,
            other.layout,
        )
        assert one.inputs["input"].tobytes() == other.inputs["input"].tobytes()
        assert one.inputs["input"].shape == one.shape
    assert {one.layout for one, _ in cases} == {"contiguous", "strided", "broadcast"}


def test_a_fuzzer_runs_an_op_and_reports_what_broke():
    def breaks(x):
        if x.ndim == 2:
            raise ValueError("two dims")
        return x

    config = FuzzConfig(iterations=30, max_size=5, max_dims=2)
    results = SeededFuzzer(7, config).run(breaks)

    assert (results.total, results.passed + results.failed) == (30, 30)
    assert 0 < results.failed < 30
    assert str(results.failures[0].failures[0]) == "ValueError: two dims"
    assert SeededFuzzer(7, config).run(lambda x: x).failed == 0
    with np.errstate(all="ignore"):
        assert SeededFuzzer(7, config).run(np.log).failures[0].failures[0].kind == "NaNDetected"


def test_lists_of_sizes_make_the_shape():
    config = FuzzConfig(batch_sizes=[2], seq_lengths=[3], hidden_dims=[4], edge_cases=[[1]])

    shapes = {SeededFuzzer(seed, config).next_test_case().shape for seed in range(100)}

    assert shapes == {(2, 3, 4), (1,)}


def test_named_dtypes_come_once_each():
    assert list(fuzz_dtypes(dtypes=["float16", "int8"])) == ["float16", "int8"]
    with pytest.raises(ConfigError, match="'fp16' is not a dtype"):
        fuzz_dtypes(dtypes=["fp16"])


def test_a_fuzzer_without_a_seed_takes_that_of_its_config():
    config = FuzzConfig(seed=9, max_size=20)

    assert SeededFuzzer(config=config).next_test_case().seed == SeededFuzzer(9).next_test_case().seed
    assert SeededFuzzer().seed != SeededFuzzer().seed


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (FuzzConfig(min_dims=3, max_dims=2), "min_dims = 3, max_dims = 2: an empty range"),
        (FuzzConfig(dtypes=["fp16"]), "'fp16' is not a dtype"),
        (FuzzConfig(layouts=["contigous"]), "'contigous' is not a layout; did you mean 'contiguous'"),
        (FuzzConfig(layouts=[]), "layouts is empty"),
    ],
)
def test_a_config_that_no_case_fits_is_said_at_once(config, text):
    with pytest.raises(ConfigError, match=text):
        SeededFuzzer(1, config)


def test_a_config_alone_may_stand_first():
    config = FuzzConfig(seed=9, max_size=20)

    assert SeededFuzzer(config).next_test_case().seed == SeededFuzzer(9, config).next_test_case().seed


def test_a_tensor_takes_one_size_and_a_dtype_of_numpy():
    assert generate_random_tensor(1, 3).tolist() == generate_random_tensor(1, (3,), np.float32).tolist()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: generate_random_tensor(1, (2, -3)), r"shape = \(2, -3\): sizes are whole numbers >= 0"),
        (lambda: generate_random_tensor(1, -3), "shape = -3: sizes"),
        (lambda: fuzz_dtypes("float32"), r"'float32' is one dtype, and a list is expected: \['float32'\]"),
        (lambda: SeededFuzzer(1).run(3), "op_fn = 3 is not callable"),
        (lambda: SeededFuzzer(1, FuzzConfig(iterations=0)).run(abs), "iterations = 0: expected >= 1"),
    ],
)
def test_what_would_draw_or_test_nothing_is_said(call, text):
    with pytest.raises(ConfigError, match=text):
        call()
