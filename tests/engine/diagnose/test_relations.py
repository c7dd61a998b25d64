import numpy as np
import pytest

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.diagnose.constants import name_of
from pytest_gpuemu.engine.diagnose.evidence import wrong_outputs
from pytest_gpuemu.engine.diagnose.relations import find_relations
from pytest_gpuemu.engine.judge import judge

PLAIN = {
    "dims": {"M": [24], "N": [24]},
    "dtypes": ["float32"],
    "layouts": ["contiguous"],
    "values": ["normal"],
}
ADD = define_op(
    "offset_add",
    reference=lambda x, bias: x + bias,
    schema="x[M,N], bias[N] -> [M,N]",
    **PLAIN,
)


def clues_of(case, output):
    verdict = judge(case, output)
    (wrong,) = wrong_outputs(verdict)
    return find_relations(case, wrong, verdict.comparisons[0])


def relations(change, op=ADD, seed=5):
    """What is found where the right output was changed by a function of it and of the case."""
    case = make_case(op, seed)
    right = sum(case.originals.values()).astype(np.float32)
    with np.errstate(all="ignore"):
        return clues_of(case, np.ascontiguousarray(change(right.copy(), case), dtype=np.float32))


def kinds(change):
    return [clue.kind for clue in relations(change)]


def zero_tail(y, case):
    y[:, 16:] = 0
    return y


def nan_tail(y, case):
    y[:, 16:] = np.nan
    return y


def per_row(y, case):
    return y * (1 + np.arange(len(y), dtype=np.float32))[:, None]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda y, case: 2 * y, "ratio"),
        (lambda y, case: y + 3, "offset"),
        (lambda y, case: -y, "sign"),
        (lambda y, case: y.T, "transposed"),
        (lambda y, case: np.roll(y, 1, axis=0), "shifted"),
        (lambda y, case: y[:, ::-1], "reversed"),
        (lambda y, case: case.originals["x"], "input"),
        (lambda y, case: y.astype(np.float16), "rounded"),
        (zero_tail, "zeros"),
        (nan_tail, "nan made"),
        (per_row, "row ratio"),
        (lambda y, case: y * np.float32(1.0001), "slight"),
    ],
)
def test_a_relation_is_named(change, kind):
    assert kind in kinds(change)


ROUND = define_op(
    "to_int",
    reference=lambda x: np.rint(x),
    schema="x[M,N] -> y[M,N]",
    outputs={"y": {"dtype": "int32"}},
    **PLAIN,
)


def relations_of(op, kernel, seed=5):
    case = make_case(op, seed)
    return clues_of(case, kernel(case.inputs["x"]))


def test_integers_that_are_one_nearer_to_zero_are_rounded_towards_it():
    found = relations_of(ROUND, lambda x: np.trunc(x).astype(np.int32))

    clue = next(clue for clue in found if clue.kind == "off by one")
    assert clue.text == "each wrong element is one nearer to zero: rounded towards zero"


def test_rows_that_hold_their_values_in_another_order_are_told():
    rng = np.random.default_rng(0)

    assert "permuted" in kinds(lambda y, case: rng.permuted(y, axis=1))


def test_values_that_are_only_a_little_off_are_in_no_other_order():
    """Guards: in half precision each value is that of some other element, to within its rounding."""
    found = kinds(lambda y, case: y * (1 + np.float32(2e-6)))

    assert not {"permuted", "misplaced"} & set(found)


def test_values_of_other_elements_are_told():
    at = np.random.default_rng(0).integers(0, 24, (24, 24))

    assert "misplaced" in kinds(lambda y, case: np.take_along_axis(y[::-1], at, axis=1))


@pytest.mark.parametrize(("border", "kind"), [(0.5, "above value"), (-np.inf, None)])
def test_a_value_of_an_input_that_parts_wrong_from_right_is_told(border, kind):
    def above(y, case):
        return np.where(case.originals["x"] > border, y * 7 + 1, y)

    found = {"above value", "below value", "at value"} & set(kinds(above))

    assert found == ({kind} if kind else set())


def test_a_finite_number_in_the_place_of_infinity_is_told():
    op = define_op(
        "mask",
        reference=lambda x: np.where(x > 0, x, -np.inf),
        schema="x[M,N] -> y[M,N]",
        **PLAIN,
    )

    found = relations_of(op, lambda x: np.where(x > 0, x, np.float32(-1e9)))

    assert "sentinel" in [clue.kind for clue in found]


def test_small_errors_that_leave_no_digit_are_no_rounding():
    """Guards: a factor of 1 + w in place of w was told as rounding, beside one large element."""

    def beside_a_large_one(x, factor):
        y = x * factor
        y[0, 0] = 1e6
        return y

    op = define_op(
        "beside",
        reference=lambda x: beside_a_large_one(np.array(x), 1.0),
        schema="x[M,N] -> y[M,N]",
        **PLAIN,
    )

    coarse = relations_of(op, lambda x: beside_a_large_one(x, np.float32(3.0)))
    noise = 1 + 1e-4 * np.random.default_rng(0).normal(size=(24, 24)).astype(np.float32)
    fine = relations_of(op, lambda x: beside_a_large_one(x, noise))

    assert "slight" not in [clue.kind for clue in coarse]
    assert "slight" in [clue.kind for clue in fine]


def test_rounding_of_values_that_repeat_is_no_curve():
    """Guards: equal inputs have equal errors, which looked smooth beside each other."""
    op = define_op(
        "silu_times",
        reference=lambda x: x / (1 + np.exp(-x)),
        schema="x[M,N] -> y[M,N]",
        **PLAIN,
    )

    def rounded(x):
        coarse = np.float32(np.float16(1 + np.exp(-x)))
        return x / coarse

    def another_formula(x):
        return x / (1 + np.exp(np.float32(-1.01) * x))

    assert "smooth" not in [clue.kind for clue in relations_of(op, rounded)]
    assert "smooth" in [clue.kind for clue in relations_of(op, another_formula)]


def test_rows_of_zeros_that_are_wrong_are_told():
    op = define_op(
        "normed",
        reference=lambda x: x / np.maximum(np.abs(x).max(axis=1, keepdims=True), 1e-6) + 1,
        schema="x[M,N] -> y[M,N]",
        **PLAIN,
    )
    case = make_case(op, 5)
    case.inputs["x"][3:5] = 0
    case.originals["x"][3:5] = 0

    def without_eps(x):
        y = x / np.maximum(np.abs(x).max(axis=1, keepdims=True), np.float32(1e-6)) + 1
        return np.where(np.any(x != 0, axis=1, keepdims=True), y, np.float32(0))

    found = [clue.kind for clue in clues_of(case, without_eps(case.inputs["x"]))]

    assert "zero rows" in found
    assert "at value" not in found


def test_a_few_nan_among_the_wrong_elements_do_not_come_first():
    def with_one_nan(y, case):
        y = y * 2
        y[3, 4] = np.nan
        return y

    found = kinds(with_one_nan)

    assert "nan made" in found[1:]


def test_noise_has_no_relation():
    rng = np.random.default_rng(0)

    assert kinds(lambda y, case: rng.normal(size=y.shape) * 3) == []


def test_a_factor_is_named_by_the_dims_of_the_case():
    clue = relations(lambda y, case: y * 24)[0]

    assert clue.text == "output = reference * M = 24"
    assert clue.evidence["everywhere"]


def test_a_sign_that_is_wrong_in_some_elements_is_a_sign():
    def change(y, case):
        y[::2] *= -1
        return y

    assert kinds(change)[0] == "sign"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (2.0, "2"),
        (0.5, "1/2"),
        (1 / 97, "1/cols"),
        (97**0.5, "sqrt(cols)"),
        (97 / 96, "cols/(cols - 1)"),
        (97 / 128, "cols/128 (cols rounded up to a multiple of 128)"),
        (-1.0, "-1"),
        (-2.0, "-2"),
        (0.396, None),
        (1.0, None),
    ],
)
def test_a_number_is_named_by_the_simplest_expression(value, name):
    found = name_of(value, {"cols": 97}, {}, 1e-6)

    assert found == name or (name is not None and found is not None and found.startswith(name.split(" (")[0]))


def test_a_number_is_not_named_where_the_tolerance_cannot_tell_it_from_1():
    assert name_of(1.0005, {"cols": 2001}, {}, 1e-3) is None


def test_of_two_expressions_the_nearer_is_named():
    """Guards: 63/64 was told as (cols - 1)/cols = 62/63, which half-precision noise allows, too."""
    assert name_of(63 / 64, {"cols": 63}, {}, 2e-3).startswith("cols/64")
