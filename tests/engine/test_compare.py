"""Each rule of agreement, on the output that it accepts and on the nearest one that it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pytest_gpuemu.engine.compare import Rules, compare
from pytest_gpuemu.engine.dtypes import is_floating, numpy_dtype
from pytest_gpuemu.engine.op import Tolerance

INF, NAN = np.inf, np.nan


class Bounds:
    """Error bounds that are given, and that remember what was asked for."""

    note = None

    def __init__(self, errors=0.0, spread=0.0, method="trace"):
        self.errors, self.moved, self.asked = errors, spread, []
        self.bound = SimpleNamespace(method=method)
        self.shape = ()

    def traced(self, name):
        self.asked.append("trace")
        return np.broadcast_to(np.asarray(self.errors, float), self.shape)

    def conventional(self, name):
        return None

    def widened(self, name):
        errors = self.traced(name)
        self.asked.append("spread")
        return np.where(errors > 0, np.maximum(errors, self.moved), errors)


def compared(output, reference, dtype, bounds=None, **rules):
    output = np.atleast_1d(np.asarray(output, float)).astype(numpy_dtype(dtype))
    kind = float if is_floating(dtype) else None
    reference = np.atleast_1d(np.asarray(reference, kind))
    bounds = bounds or Bounds()
    bounds.shape = reference.shape
    return compare("y", output, reference, Rules(dtype=dtype, **rules), bounds)


def found(output, reference, dtype, errors=0.0, **rules):
    """What becomes of one element: "agrees", "exceeds" or "undetermined"."""
    stats = compared(output, reference, dtype, Bounds(errors), **rules).stats
    if stats.num_undetermined:
        return "undetermined"
    return "exceeds" if stats.num_exceeding else "agrees"


def case(rule, output, reference, dtype, expected, **keys):
    return pytest.param(output, reference, dtype, keys, expected, id=f"{rule}-{expected}-{dtype}-{output}")


SUBNORMAL = 2.0**-127

CASES = [
    # fp16 has a gap of 2 from 2048 on: half of it is 1.
    case("half an ulp", 2048, 2049, "float16", "agrees"),
    case("half an ulp", 2050, 2049, "float16", "agrees"),
    case("half an ulp", 2050, 2048.875, "float16", "exceeds"),
    case("K times E besides", 2050, 2048.875, "float16", "agrees", errors=0.0625),
    case("K times E besides", 2050, 2048.875, "float16", "exceeds", errors=0.0624),
    case("faithful: a whole ulp", 2050, 2048.125, "float16", "agrees", rounding="faithful"),
    case("faithful: a whole ulp", 2050, 2047.875, "float16", "exceeds", rounding="faithful"),
    case("half an ulp of bfloat16", 256, 257, "bfloat16", "agrees"),
    case("half an ulp of bfloat16", 256, 257.125, "bfloat16", "exceeds"),
    case("half an ulp of fp8", 16, 17, "float8_e4m3fn", "agrees"),
    case("half an ulp of fp8", 16, 17.5, "float8_e4m3fn", "exceeds"),
    case("float64 has its own ulp", 1 + 2.0**-52, 1, "float64", "exceeds"),
    case("float64 has its own ulp", 1 + 2.0**-52, 1, "float64", "agrees", errors=2.0**-53),
    case("signed zeros", -0.0, 0.0, "float32", "agrees"),
    case("NaN", NAN, NAN, "float32", "agrees"),
    case("NaN", 0.0, NAN, "float32", "exceeds"),
    case("NaN", NAN, 0.0, "float32", "exceeds"),
    case("infinity", INF, INF, "float32", "agrees"),
    case("infinity", -INF, INF, "float32", "exceeds"),
    case("infinity", NAN, INF, "float32", "exceeds"),
    case("infinity", 65504, INF, "float16", "exceeds"),
    case("infinity", INF, 1e30, "float32", "exceeds"),
    # The largest float16 is 65504, and from 65520 on rounding to nearest gives infinity.
    case("overflow", INF, 65520, "float16", "agrees"),
    case("overflow", INF, 65519.9, "float16", "exceeds"),
    case("overflow", INF, 65519.75, "float16", "agrees", errors=0.125),
    case("overflow", INF, 65519.5, "float16", "exceeds", errors=0.125),
    case("overflow", -INF, 65520, "float16", "exceeds"),
    case("overflow", -INF, -65520, "float16", "agrees"),
    case("overflow", 65504, 65520, "float16", "agrees"),
    case("overflow", 65504, 65521, "float16", "exceeds"),
    case("overflow", INF, 65505, "float16", "agrees", rounding="faithful"),
    case("overflow", INF, 65504, "float16", "exceeds", rounding="faithful"),
    case("overflow of float32", INF, 2.0**128, "float32", "agrees"),
    case("overflow of float32", INF, 2.0**128 - 2.0**104, "float32", "exceeds"),
    # float8_e4m3fn ends at 448 and has no infinity; its last gap is 32.
    case("no infinity", NAN, 464, "float8_e4m3fn", "agrees"),
    case("no infinity", NAN, 463, "float8_e4m3fn", "exceeds"),
    case("no infinity", 448, 1e9, "float8_e4m3fn", "agrees"),
    case("no infinity", -448, 1e9, "float8_e4m3fn", "exceeds"),
    case("no infinity", 416, 1e9, "float8_e4m3fn", "exceeds"),
    case("no infinity", -448, -INF, "float8_e4m3fn", "agrees"),
    case("no infinity", NAN, INF, "float8_e4m3fn", "agrees"),
    case("no infinity", 448, NAN, "float8_e4m3fn", "exceeds"),
    case("saturate", 448, 1e9, "float8_e4m3fn", "agrees", rounding="saturate"),
    case("saturate", NAN, 1e9, "float8_e4m3fn", "exceeds", rounding="saturate"),
    case("saturate", 57344, INF, "float8_e5m2", "agrees", rounding="saturate"),
    case("saturate", INF, INF, "float8_e5m2", "exceeds", rounding="saturate"),
    case("saturate", INF, 1e9, "float8_e5m2", "exceeds", rounding="saturate"),
    case("saturate", 57344, 1e9, "float8_e5m2", "exceeds"),
    case("flushed subnormal", 0.0, SUBNORMAL, "float32", "agrees"),
    case("flushed subnormal", -0.0, -SUBNORMAL, "bfloat16", "agrees"),
    case("flushed subnormal", 0.0, 2.0**-126, "float32", "exceeds"),
    case("flushed subnormal", 2.0**-140, SUBNORMAL, "float32", "exceeds"),
    case("flushed subnormal", 0.0, SUBNORMAL, "float32", "exceeds", compute="float64"),
    case("float16 keeps its subnormals", 0.0, 2.0**-20, "float16", "exceeds"),
    case("no bound", 5.0, 1.0, "float32", "undetermined", errors=INF),
    case("no bound", NAN, 1.0, "float32", "undetermined", errors=INF),
    case("no bound", INF, 1.0, "float32", "undetermined", errors=INF),
    case("no bound, but beyond the range", INF, 1e300, "float32", "agrees", errors=INF),
    case("no bound, but equal", 1.0, 1.0, "float32", "agrees", errors=INF),
    case("integers", 7, 7, "int32", "agrees"),
    case("integers", 8, 7, "int32", "exceeds"),
    case("integers wrap", 44, 300, "int8", "agrees"),
    case("integers wrap", 127, 300, "int8", "exceeds"),
    case("integers saturate", 127, 300, "int8", "agrees", rounding="saturate"),
    case("integers saturate", 44, 300, "int8", "exceeds", rounding="saturate"),
    case("integers below zero", 0, -5, "uint8", "agrees", rounding="saturate"),
    case("an undecided step", 8, 7, "int32", "agrees", errors=1.0),
    case("an undecided step", 9, 7, "int32", "exceeds", errors=1.0),
    case("an undecided index", 9, 7, "int64", "undetermined", errors=INF),
    case("a float reference is rounded", 3, 2.5, "int8", "agrees"),
    case("a float reference is rounded", 3, 2.4, "int8", "exceeds"),
    case("a float reference is rounded", 3, 2.0, "int8", "exceeds"),
    case("bools", 1, True, "bool", "agrees"),
    case("bools", 0, True, "bool", "exceeds"),
    case("an undecided bool", 0, True, "bool", "undetermined", errors=1.0),
]


@pytest.mark.parametrize(("output", "reference", "dtype", "keys", "expected"), CASES)
def test_a_rule_accepts_and_refuses(output, reference, dtype, keys, expected):
    assert found(output, reference, dtype, **keys) == expected


def test_64_bit_integers_are_compared_exactly():
    """Guards: float64 holds no difference between neighbours beyond 2**53."""
    output, reference = np.array([2**62 + 1]), np.array([2**62])
    comparison = compare("y", output, reference, Rules(dtype="int64"), _zero_bounds(1))
    assert comparison.stats.num_exceeding == 1


def _zero_bounds(size):
    bounds = Bounds()
    bounds.shape = (size,)
    return bounds


class TestTheLadder:
    def test_a_correctly_rounded_output_asks_for_no_bound(self):
        reference = np.linspace(-3, 3, 50)
        bounds = Bounds(errors=1.0)

        comparison = compared(reference.astype(np.float16), reference, "float16", bounds)

        assert (comparison.method, bounds.asked) == ("half-ulp", [])

    def test_the_trace_is_asked_before_the_spread(self):
        bounds = Bounds(errors=0.5)
        assert compared(2.0, 1.5, "float32", bounds).method == "trace"
        assert bounds.asked == ["trace"]

    def test_the_spread_widens_what_the_trace_alone_fails(self):
        assert found(3.0, 1.5, "float32", errors=0.5) == "exceeds"
        comparison = compared(3.0, 1.5, "float32", Bounds(errors=0.5, spread=0.75))
        assert (comparison.stats.num_exceeding, comparison.method) == (0, "spread")

    def test_the_spread_never_widens_an_exact_result(self):
        assert compared(3.0, 1.5, "float32", Bounds(errors=0.0, spread=9.0)).stats.num_exceeding == 1

    def test_a_fallback_is_not_widened_by_the_spread_that_it_has_already(self):
        bounds = Bounds(errors=0.5, spread=9.0, method="fallback")
        comparison = compared(3.0, 1.5, "float32", bounds)
        assert (comparison.stats.num_exceeding, comparison.method) == (1, "fallback")


class TestAGivenTolerance:
    @pytest.mark.parametrize(
        ("tolerance", "output", "expected"),
        [
            (Tolerance(atol=0.5), 4.5, "agrees"),
            (Tolerance(atol=0.5), 4.75, "exceeds"),
            (Tolerance(rtol=0.25), 5.0, "agrees"),
            (Tolerance(rtol=0.25), 5.25, "exceeds"),
            (Tolerance(ulp=2), 4 + 2 * 2.0**-21, "agrees"),
            (Tolerance(ulp=2), 4 + 3 * 2.0**-21, "exceeds"),
            (Tolerance(), 4.0, "agrees"),
            (Tolerance(), 4 + 2.0**-21, "exceeds"),
        ],
    )
    def test_it_alone_decides(self, tolerance, output, expected):
        assert found(output, 4.0, "float32", errors=100.0, given=tolerance) == expected

    def test_it_never_forbids_correct_rounding(self):
        """Guards: an absolute tolerance below half an ulp at a large magnitude fails a correct kernel."""
        assert found(2048, 2049, "float16", given=Tolerance(atol=1e-3)) == "agrees"

    def test_it_never_lets_a_finite_value_stand_for_an_infinity(self):
        assert found(1e30, INF, "float32", given=Tolerance(rtol=1e-3)) == "exceeds"

    def test_an_overflow_that_no_bound_excludes_is_undetermined(self):
        assert found(INF, 1.0, "float32", errors=INF, given=Tolerance(atol=1e-3)) == "undetermined"
        assert found(INF, 1.0, "float32", errors=1.0, given=Tolerance(atol=1e-3)) == "exceeds"

    def test_its_source_is_kept(self):
        given = Tolerance(atol=1.0, source="[ops.tolerances]")
        assert compared(1.0, 1.0, "float32", given=given).tolerance == "[ops.tolerances]"


def test_scale_row_allows_the_rounding_of_the_largest_element_of_the_row():
    reference = np.array([[1000.0, 1e-4], [1e-4, 1e-4]])
    unit = 1000 * 2.0**-24  # 5.96e-05; K times that besides half an ulp

    within = compared(np.add(reference, [[0, 1.9 * unit], [0, 0]]), reference, "float32", scale="row")
    beyond = compared(np.add(reference, [[0, 2.1 * unit], [0, 0]]), reference, "float32", scale="row")
    other_row = compared(np.add(reference, [[0, 0], [0, 1.9 * unit]]), reference, "float32", scale="row")

    assert [x.stats.num_exceeding for x in (within, beyond, other_row)] == [0, 1, 1]


class TestWhatIsMeasured:
    def test_the_distribution_of_the_errors(self):
        reference = np.array([1.0, 2.0, 4.0, 8.0, 0.0])
        output = np.add(reference, [0.0, 0.25, 0.5, 0.0, 0.125])

        stats = compared(output, reference, "float32", given=Tolerance(atol=0.3)).stats

        assert (stats.count, stats.num_exceeding) == (5, 1)
        assert (stats.max_abs, stats.mean_abs) == (0.5, 0.175)
        assert (stats.p50_abs, stats.p90_abs, stats.p99_abs) == (0.125, 0.5, 0.5)
        assert (stats.max_rel, stats.mean_rel) == (0.125, 0.0625)
        # The gap of float32 is 2**-22 at 2, 2**-21 at 4, and 2**-25 at the 0.3 that is allowed at 0.
        assert stats.max_ulp == 0.125 * 2.0**25

    def test_elements_that_are_not_judged_or_not_finite_do_not_count_in_it(self):
        stats = compared([9.0, NAN, 1.5], [1.0, NAN, 1.0], "float32", Bounds([INF, 0.0, 1.0])).stats
        assert (stats.num_undetermined, stats.num_exceeding, stats.max_abs) == (1, 0, 0.5)

    def test_the_worst_element_is_that_of_the_largest_error_against_its_tolerance(self):
        reference = np.array([[100.0, 1.0], [1.0, 1.0]])
        output = np.add(reference, [[20.0, 0.5], [0.0, 0.25]])

        worst = compared(output, reference, "float32", given=Tolerance(rtol=0.1)).worst

        assert (worst.index, worst.output, worst.reference) == ((0, 1), 1.5, 1.0)
        assert (worst.error, worst.allowed, worst.ulp) == (0.5, 0.1, 0.5 * 2.0**23)

    def test_an_error_beside_nothing_is_measured_in_ulps_of_what_is_allowed_there(self):
        """Guards: 1e-3 for 1e-12 was off by billions of ulp, of a reference that may as well be 0."""
        bounds = Bounds(np.array([2.0**-11, 2.0**-11]))
        comparison = compared([2.0**-8, 2.0**-11], [1e-12, 1e-12], "float32", bounds)
        assert comparison.worst.allowed == pytest.approx(2.0**-10, rel=1e-6)
        off = 2.0**-8 - 1e-12
        assert comparison.worst.ulp == comparison.stats.max_ulp == off * 2.0 ** (10 + 23)

    def test_a_nan_is_worse_than_any_number(self):
        worst = compared([1e9, NAN], [1.0, 1.0], "float32").worst
        assert worst.index == (1,)
        assert np.isnan(worst.output)

    def test_the_mask_has_the_output_s_shape(self):
        comparison = compared(np.eye(2), np.zeros((2, 2)), "float32")
        assert comparison.exceeding.tolist() == [[True, False], [False, True]]

    @pytest.mark.parametrize("shape", [(), (0, 3)])
    def test_a_0d_and_an_empty_output_are_compared(self, shape):
        output = np.ones(shape, np.float32)
        bounds = Bounds()
        bounds.shape = shape
        comparison = compare("y", output, np.zeros(shape), Rules(dtype="float32"), bounds)
        assert comparison.stats.num_exceeding == output.size
        assert comparison.worst is None if output.size == 0 else comparison.worst.index == ()
