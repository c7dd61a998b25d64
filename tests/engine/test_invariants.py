"""Each invariant accepts what it should and refuses the nearest that it should not."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_gpuemu.engine.errors import ConfigError
from pytest_gpuemu.engine.invariants import parse_invariant

INF, NAN = np.inf, np.nan


def objection(given, output, allowed=0.0, params=None, outputs=None):
    invariant = parse_invariant(given)
    outputs = outputs or {"y": np.asarray(output, float)}
    slack = {name: np.full(array.shape, allowed) for name, array in outputs.items()}
    return invariant.check(outputs, {}, params or {}, *([slack] if invariant.tolerant else []))


@pytest.mark.parametrize(
    ("given", "output", "allowed", "message"),
    [
        ("within(0, 1)", [0.0, 1.0], 0, None),
        ("within(0, 1)", [0.0, 1.25], 0.25, None),
        ("within(0, 1)", [0.0, 1.25], 0.125, "within(0, 1): y[1] = 1.25 (1 of 2 elements)"),
        ("within(0, 1)", [-0.5, 1.0], 0, "within(0, 1): y[0] = -0.5 (1 of 2 elements)"),
        ("within(0, 1)", [NAN, 1.0], 0, None),
        ("within(0, 1)", [INF, 1.0], 0, "within(0, 1): y[0] = inf (1 of 2 elements)"),
        ("within(-1, 1)", [-1.0], 0, None),
        ("at_least(2)", [2.0], 0, None),
        ("at_least(2)", [1.5], 0, "at_least(2): y[0] = 1.5 (1 of 1 elements)"),
        ("at_most(2)", [2.0], 0, None),
        ("at_most(2)", [2.5], 0, "at_most(2): y[0] = 2.5 (1 of 1 elements)"),
        ("nonnegative", [-0.0, 3.0], 0, None),
        ("nonnegative()", [-1.0], 0, "nonnegative(): y[0] = -1.0 (1 of 1 elements)"),
        ("finite", [1e300], 0, None),
        ("finite", [[1.0, NAN]], 0, "finite(): y[0, 1] = nan (1 of 2 elements)"),
        ("finite()", [-INF], 0, "finite(): y[0] = -inf (1 of 1 elements)"),
        ("sums_to(1)", [[0.25, 0.75], [0.5, 0.5]], 0, None),
        ("sums_to(1)", [[0.25, 0.75], [0.5, 0.75]], 0.125, None),
        (
            "sums_to(1)",
            [[0.25, 0.75], [0.5, 0.75]],
            0.0625,
            "sums_to(1, dim=-1): the sum of y[1, :] is 1.25 (1 of 2 sums)",
        ),
        (
            "sums_to(1, dim=0)",
            [[0.25, 0.5], [0.5, 0.5]],
            0,
            "sums_to(1, dim=0): the sum of y[:, 0] is 0.75 (1 of 2 sums)",
        ),
        ("sums_to(1)", [[NAN, 0.5]], 0, None),
        ("sums_to(1)", np.zeros((3, 0)), 0, None),
    ],
)
def test_an_invariant_given_as_text(given, output, allowed, message):
    assert objection(given, output, allowed) == message


def test_the_axis_may_be_a_param_s():
    output = [[1.0, 1.0], [0.0, 0.0]]
    assert objection("sums_to(1, dim='dim')", output, params={"dim": 0}) is None
    assert objection("sums_to(1, dim='dim')", output, params={"dim": 1}) is not None


def test_it_is_of_the_first_output_or_of_the_named_one():
    outputs = {"y": np.array([0.5]), "lse": np.array([7.0])}
    assert objection("within(0, 1)", None, outputs=outputs) is None
    assert objection("within(0, 1, of='lse')", None, outputs=outputs).startswith(
        "within(0, 1, of='lse'): lse[0]"
    )
    with pytest.raises(ConfigError, match="of the output 'ls'; did you mean 'lse'"):
        objection("finite(of='ls')", None, outputs=outputs)


class TestACallable:
    def test_true_and_none_are_no_objection(self):
        assert objection(lambda y: True, [1.0]) is None
        assert objection(lambda y: None, [1.0]) is None
        assert objection(lambda y: np.isfinite(y), [1.0, 2.0]) is None

    def test_false_names_the_function(self):
        def rises(y):
            return bool((np.diff(y) >= 0).all())

        assert objection(rises, [1.0, 0.0]) == "rises is not fulfilled"

    def test_an_array_says_where(self):
        def small(y):
            return np.abs(y) < 2

        assert (
            objection(small, [[1.0, 1.0], [1.0, 3.0]]) == "small is not fulfilled at [1, 1] (1 of 4 places)"
        )

    def test_its_own_message_is_kept(self):
        def balanced(y):
            return f"sum is {y.sum()}"

        assert objection(balanced, [1.0]) == "balanced: sum is 1.0"

    def test_what_it_raises_is_an_objection_with_its_traceback(self):
        def broken(y):
            return y["lse"]

        text = objection(broken, [1.0])
        assert text.startswith("broken raised IndexError")
        assert 'return y["lse"]' in text

    def test_a_number_is_no_answer(self):
        assert "neither a bool, an array of bools, nor a message" in objection(lambda y: 0.5, [1.0])

    def test_it_may_ask_for_inputs_and_params(self):
        invariant = parse_invariant(lambda y, inputs, params: bool(y[0] == inputs["x"][0] * params["a"]))
        assert invariant.check({"y": np.array([6.0])}, {"x": np.array([3.0])}, {"a": 2}) is None

    def test_several_outputs_come_as_a_dict(self):
        outputs = {"y": np.array([1.0]), "lse": np.array([7.0])}
        assert objection(lambda found: bool(found["lse"][0] == 7), None, outputs=outputs) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("witin(0, 1)", "'witin(0, 1)': unknown invariant 'witin'; did you mean 'within'?"),
        ("within(0)", "'within(0)': missing a required argument: 'high'"),
        ("within(0, 1, 2)", "'within(0, 1, 2)': too many positional arguments"),
        ("within(0, x)", "'within(0, x)': malformed node or string"),
        ("0 <= y", "'0 <= y' is not an invariant; write one of within(low"),
        ("within(0,", "'within(0,' is not an invariant; write one of within(low"),
        (3, "3 is not an invariant; give a callable, or write one of within(low"),
    ],
)
def test_what_is_no_invariant_says_how_one_is_written(given, message):
    with pytest.raises(ConfigError) as raised:
        parse_invariant(given)
    assert message in str(raised.value)
