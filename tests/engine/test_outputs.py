"""What a kernel returned is matched with the op's outputs by name."""

from __future__ import annotations

import pytest

from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.errors import OutputError
from pytest_gpuemu.engine.outputs import outputs_by_name

ONE = define_op("one", reference=abs, schema="x[N] -> [N]")
TWO = define_op("two", reference=abs, schema="x[N] -> y[N], lse[]")


@pytest.mark.parametrize(
    ("op", "given", "expected"),
    [
        (ONE, "a", {"output": "a"}),
        (ONE, ("a",), {"output": "a"}),
        (ONE, {"output": "a"}, {"output": "a"}),
        (TWO, ("a", "b"), {"y": "a", "lse": "b"}),
        (TWO, ["a", "b"], {"y": "a", "lse": "b"}),
        (TWO, {"lse": "b", "y": "a"}, {"y": "a", "lse": "b"}),
    ],
)
def test_every_form_is_matched_in_the_record_s_order(op, given, expected):
    assert list(outputs_by_name(op, given).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("op", "given", "message"),
    [
        (ONE, ("a", "b"), "one: got a tuple of 2, but the op has one output, 'output'; return that one"),
        (ONE, {"out": 1}, "one: unknown output 'out'; did you mean 'output'?"),
        (TWO, "a", "two: got str, but the op has 2 outputs; return a tuple (y, lse) or a dict by name"),
        (TWO, None, "two: got None, but the op has 2 outputs"),
        (TWO, ("a", "b", "c"), "two: got 3 outputs, but the op has 2: y, lse"),
        (TWO, {"y": 1}, "two: no output 'lse' among ['y']"),
    ],
)
def test_what_does_not_match_is_named(op, given, message):
    with pytest.raises(OutputError) as raised:
        outputs_by_name(op, given)
    assert str(raised.value).startswith(message)
