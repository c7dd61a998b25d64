"""The line of the distribution of errors in ulps."""

from __future__ import annotations

import json

import numpy as np

from pytest_gpuemu.engine.ulps import UlpHistogram, edges_of, ulp_histogram
from pytest_gpuemu.engine.verdict import Comparison, ErrorStats


def histogram_of(output, reference, dtype="float32"):
    output = np.asarray(output, dtype)
    stats = ErrorStats(count=output.size, num_exceeding=output.size)
    return ulp_histogram(
        Comparison(
            name="y",
            shape=output.shape,
            dtype=dtype,
            stats=stats,
            worst=None,
            tolerance="derived",
            method="trace",
            output=output,
            reference=np.asarray(reference, np.float64),
        )
    )


def test_each_element_is_counted_by_its_error():
    """An ulp at 1.0 in float32 is 2**-23: errors of 0, 0.4, 3, 50 and 2**23 ulps."""
    ulp = 2.0**-23
    reference = 1.0 + np.array([0.0, 0.4, 3.0, 50.0, 0.0]) * ulp
    output = [1.0, 1.0, 1.0, 1.0, 2.0]

    found = histogram_of(output, reference)

    counted = {edge: count for edge, count in zip(found.edges, found.counts, strict=False) if count}
    assert counted == {0.5: 2, 10.0: 1, 100.0: 1, 1e7: 1}
    assert found.line == "2 of 5 elements up to 0.5, 1 up to 10, 1 up to 100, 1 up to 1e+07"


def test_what_is_not_finite_is_counted_apart_unless_it_agrees():
    inf, nan = np.inf, np.nan

    found = histogram_of([inf, nan, inf, nan, 1.0], [inf, nan, 1.0, 1.0, 1.0])

    assert found.not_finite == 2
    assert found.line == "3 of 5 elements up to 0.5, 2 not finite"


def test_close_groups_are_joined_until_the_line_is_short():
    counts = (100, 1, 2, 3, 50, 1, 1, 1, 1, 0, 9)

    line = UlpHistogram(edges=edges_of("float32"), counts=counts, not_finite=0).line

    assert line.startswith("100 of 169 elements up to 0.5, ")
    assert line.endswith(", 9 over 2^24")
    assert line.count(",") <= 6
    assert sum(int(part.split()[0]) for part in line.split(", ")) == 169


def test_integers_have_no_ulps():
    assert histogram_of([1, 2], [1, 3], "int32") is None


def test_a_histogram_survives_json():
    found = histogram_of([1.0, 2.0], [1.0, 1.0])

    assert UlpHistogram.from_plain({**json.loads(json.dumps(found.plain()))}) == found


def test_what_has_no_right_digit_is_one_group():
    """A significand of float16 has 11 bits, of bfloat16 8."""
    assert histogram_of([1.0, 3000.0, 5000.0], [1.0, 1.0, 1.0], "float16").line == (
        "1 of 3 elements up to 0.5, 2 over 2^11"
    )
    assert edges_of("bfloat16") == (0.5, 1.0, 10.0, 100.0, 256.0)


def test_beside_a_reference_of_about_0_the_unit_is_that_of_what_is_allowed():
    """Off by 3 * 2**-20 where 2**-20 is allowed: 3 * 2**23 ulps of 2**-20."""
    comparison = Comparison(
        name="y",
        shape=(1,),
        dtype="float32",
        stats=ErrorStats(count=1, num_exceeding=1),
        worst=None,
        tolerance="derived",
        method="trace",
        output=np.array([3 * 2.0**-20], np.float32),
        reference=np.array([1e-30]),
        exceeding=np.array([True]),
        allowed=np.array([2.0**-20]),
    )

    assert ulp_histogram(comparison).line == "1 of 1 elements over 2^24"
