"""A planted bug is found by computing the reference with that bug in it; a right output has none."""

import numpy as np
import pytest
from wrong_kernels import (
    failing,
    observe,
    relu_of_contiguous,
    softmax_with_padding,
    softmax_without_rescale,
    sum_of_last_block,
    sum_without_partial_block,
)

from pytest_gpuemu.engine.define import define_op, narrow_op
from pytest_gpuemu.engine.diagnose import diagnose
from pytest_gpuemu.engine.diagnose.evidence import wrong_outputs
from pytest_gpuemu.engine.diagnose.search import find_shown
from pytest_gpuemu.engine.ops import BUILTIN_OPS

PLAIN = {"dtypes": ["float32"], "values": ["normal"], "layouts": ["contiguous"]}


def shown(op, kernel, case_id):
    observed = observe(op, kernel, case_id)
    return find_shown(observed.case, wrong_outputs(observed.verdict), 5.0)


def own_op(reference, kernel_inputs="x[M,N], y[M,N] -> [M,N]", **keys):
    return define_op(
        "own", reference=reference, schema=kernel_inputs, dims={"M": [12], "N": [48]}, **{**PLAIN, **keys}
    )


@pytest.mark.parametrize(
    ("name", "kernel", "kind", "words"),
    [
        ("sum", sum_of_last_block, "accumulator", "holds its last block"),
        ("sum", sum_without_partial_block, "loop bound", "last partial block"),
        ("softmax", softmax_with_padding, "tail", "from cols = 70 up to 96"),
        ("softmax", softmax_without_rescale, "rescale", "blocks of 32"),
    ],
)
def test_a_bug_of_blocks_is_found_with_its_block(name, kernel, kind, words):
    op = narrow_op(BUILTIN_OPS[name], **PLAIN)

    found = shown(op, kernel, failing(op, kernel, "rows=9,cols=70"))

    assert {one.kind for one in found if one.agreement.is_enough} == {kind}
    assert any(words in one.text for one in found)


def test_ignored_strides_are_found_by_reading_the_memory_so():
    op = narrow_op(BUILTIN_OPS["relu"], dtypes=["float32"], values=["normal"], layouts=["strided"])

    found = shown(op, relu_of_contiguous, "3~rows=9,cols=20")

    assert found[0].kind == "strides"
    assert found[0].text == "input is read as if it were contiguous"


@pytest.mark.parametrize(
    ("reference", "kernel", "kind"),
    [
        (lambda x, y: x - y, lambda x, y: y - x, "operand"),
        (lambda x, y: x * y, lambda x, y: x * x, "operand"),
        (lambda x, y: x + y, lambda x, y: x, "operand"),
        (lambda x, y: np.tanh(x + y), lambda x, y: np.tanh(x - y), "sign"),
        (lambda x, y: 0.5 * np.exp(x) + y, lambda x, y: np.exp(x) + y, "factor"),
        (lambda x, y: np.exp(0.7 * x) + y, lambda x, y: np.exp(np.float32(0.65) * x) + y, "constant"),
        (lambda x, y: x / np.sqrt(y * y + 1e-3), lambda x, y: x / (np.abs(y) + np.float32(1e-3)), "eps"),
        (lambda x, y: x + y[::-1], lambda x, y: x + y, "axis"),
        (lambda x, y: np.exp(x) + y, lambda x, y: np.exp(x.astype(np.float16)).astype(np.float32) + y, None),
    ],
)
def test_a_bug_of_arithmetic_is_found(reference, kernel, kind):
    found = shown(own_op(reference), kernel, 11)

    if kind is None:  # exp in float16 rounds twice, so that neither rounding alone gives its output
        assert {one.kind for one in found} <= {"precision"}
    else:
        assert kind in {one.kind for one in found if one.agreement.is_enough}


def test_a_param_that_is_ignored_is_found():
    op = own_op(lambda x, y, alpha: x + alpha * y, params={"alpha": [2.5]})

    found = shown(op, lambda x, y, alpha: x + y, 11)

    assert any(one.kind == "param" and "alpha=2.5 is ignored" in one.text for one in found)


def test_garbage_agrees_with_no_suspected_bug():
    rng = np.random.default_rng(0)

    found = shown(own_op(lambda x, y: x + y), lambda x, y: rng.normal(size=x.shape).astype(np.float32), 11)

    assert found == []


def test_a_reference_that_cannot_be_followed_is_no_obstacle():
    """np.asarray and item assignment leave the tracked arrays: inputs and params are still asked."""

    def reference(x, y):
        out = np.zeros(x.shape)
        out[...] = np.asarray(x) - np.asarray(y)
        return out

    assert "operand" in {one.kind for one in shown(own_op(reference), lambda x, y: y - x, 11)}


def test_a_diagnosis_from_one_verdict_names_its_cause_and_where():
    op = narrow_op(BUILTIN_OPS["sum"], **PLAIN)
    observed = observe(op, sum_of_last_block, "3~rows=9,cols=70")

    diagnosis = diagnose(observed.case, observed.verdict)

    assert diagnosis.suspicion.kind == "accumulator"
    assert diagnosis.suspicion.certainty == "shown"
    assert [clue.kind for clue in diagnosis.where] == ["all"]
    assert ("where", "every element is wrong (9)") in diagnosis.lines()
    assert diagnosis.plain()["suspicion"]["kind"] == "accumulator"
