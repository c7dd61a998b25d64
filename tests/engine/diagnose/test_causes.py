"""What where, how and when lead to, and when nothing is named."""

from dataclasses import replace

import numpy as np
import pytest

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.define import define_op
from pytest_gpuemu.engine.diagnose.causes import NAMES, Needs, Seen, suspect
from pytest_gpuemu.engine.diagnose.causes.names import PRIORITY
from pytest_gpuemu.engine.diagnose.diagnosis import Clue, Condition
from pytest_gpuemu.engine.diagnose.evidence import Agreement
from pytest_gpuemu.engine.diagnose.search import Shown
from pytest_gpuemu.engine.verdict import Comparison, ErrorStats, Verdict

OP = define_op("row_sum", reference=lambda x: x.sum(axis=1), schema="x[M,N] -> [M]")
PLAN = make_case(OP, 3).plan
STRONG = Agreement(explained=1.0, kept=1.0, bits=200.0)


def clue(kind, **evidence):
    return Clue(kind=kind, text=kind, output="output", evidence=evidence)


def shown(kind, agreement=STRONG, **keys):
    return Shown(kind=kind, text=f"the {kind}", agreement=agreement, has_unknown=False, **keys)


def seen(role="first", verdict=None, **keys):
    return Seen(plan=PLAN, verdict=verdict or Verdict(op="row_sum", seed=3), role=role, **keys)


def condition(kind, term):
    counts = {"failing_with": 9, "failing_without": 0, "passing_with": 0, "passing_without": 9}
    return Condition(terms=(term,), kinds=(kind,), **counts, confirmed_by=4)


def kind_of(cases, needs=None, when=None):
    suspicion = suspect(cases, needs or Needs(), when)
    return None if suspicion is None else suspicion.kind


def test_nothing_is_named_where_nothing_is_known():
    assert kind_of([seen()]) is None


def test_small_errors_of_ordinary_values_are_precision_and_of_no_others():
    slight = [clue("slight", share=1e-3, count=90, positive=0.4)]

    assert kind_of([seen(how=slight), seen("plain", how=slight)], Needs(plain=True)) == "precision"
    assert kind_of([seen(how=slight)], Needs(plain=False)) is None


@pytest.mark.parametrize(("count", "positive"), [(90, 1.0), (90, 0.0), (3, 0.4)])
def test_small_errors_of_one_sign_or_of_few_elements_are_no_rounding(count, positive):
    """Guards: an eps in a logarithm that is averaged was told as low precision."""
    slight = [clue("slight", share=1e-3, count=count, positive=positive)]

    assert kind_of([seen(how=slight), seen("plain", how=slight)], Needs(plain=True)) is None


def test_sizes_of_another_case_are_told_with_that_case():
    """Guards: a report on [902, 1024] said `N = 161`, which was the size of a case seen later."""
    plan = replace(PLAN, dims={"M": 4, "N": 161})
    elsewhere = Shown(kind="axis", text="divided by N = 161", agreement=STRONG, has_unknown=False)
    own = replace(elsewhere, text=f"divided by N = {PLAN.dims['N']}")
    other = replace(seen("plain", shown=[elsewhere]), plan=plan)

    told = suspect([replace(seen(), searched=False), other, replace(other, role="further")], Needs(), None)
    assert told.text.endswith("divided by N = 161 (in a case with M = 4, N = 161)")
    told = suspect([seen(shown=[own]), other], Needs(), None)
    assert told.text.endswith(own.text)


def test_a_bug_that_was_computed_goes_before_what_clues_suggest():
    case = seen(how=[clue("shifted")], shown=[shown("accumulator")])

    assert kind_of([case]) == "accumulator"


def test_a_bug_that_one_case_of_four_agrees_with_is_chance():
    cases = [seen(shown=[shown("eps")]), seen("further"), seen("further"), seen("further")]

    assert kind_of(cases) is None


@pytest.mark.parametrize(("aligned", "kind"), [(False, "tail"), (True, "init")])
def test_lanes_beyond_the_end_need_sizes_that_are_no_multiple(aligned, kind):
    case = seen(shown=[shown("init"), shown("tail")])

    assert kind_of([case], Needs(plain=True, aligned=aligned)) == kind


def test_a_size_that_is_no_multiple_is_a_tail_where_the_reference_sums_along_it():
    when, needs = condition("multiple", "N % 32 != 0"), Needs(plain=True, aligned=False)

    assert kind_of([seen(summed=frozenset({"N"}))], needs, when) == "tail"
    assert kind_of([seen(summed=frozenset({"M"}))], needs, when) is None


def test_the_last_elements_along_a_summed_dim_are_no_tail_in_a_sum():
    when, needs = condition("multiple", "N % 32 != 0"), Needs(plain=True, aligned=False)
    case = seen(summed=frozenset({"N"}), where=[clue("tail")])

    assert kind_of([case], needs, when) is None


@pytest.mark.parametrize(("term", "kind"), [("is_causal == True", "causal"), ("dilation == 2", "param")])
def test_a_param_of_a_confirmed_condition_is_the_suspect(term, kind):
    assert kind_of([seen()], Needs(plain=True), condition("param", term)) == kind


def test_more_rows_than_8_bits_count_are_an_index_where_indices_point_into_them():
    when = condition("above", "V > 128")

    assert kind_of([seen(pointed_at=frozenset({"V"}))], when=when) == "index"
    assert kind_of([seen()], when=when) is None


def unwritten_from(first):
    mask = np.arange(40000) >= first
    comparison = Comparison(
        name="output",
        shape=mask.shape,
        dtype="float32",
        stats=ErrorStats(count=mask.size, num_exceeding=int(mask.sum())),
        worst=None,
        tolerance="derived",
        method="half-ulp",
        exceeding=mask,
    )
    verdict = Verdict(op="row_sum", seed=3, comparisons=(comparison,))
    return kind_of([seen(verdict=verdict)], Needs(plain=True, unwritten="output: 9 were never written"))


def test_elements_that_are_unwritten_from_a_power_of_two_on_are_an_overflow_of_their_offset():
    assert unwritten_from(2**15) == "index overflow"
    assert unwritten_from(2**15 + 1) == "unwritten"


def test_a_wrong_stride_of_the_output_explains_what_is_unwritten():
    case = seen(shown=[shown("axis", explains_unwritten=True)])

    assert kind_of([case], Needs(plain=True, unwritten="output: 9 were never written")) == "axis"


def test_what_differs_between_runs_is_no_race_where_strides_are_wrong():
    differs = "output: 3 of 9 elements differ"

    assert kind_of([seen()], Needs(plain=False, nondeterministic=differs)) == "race"
    assert (
        kind_of([seen()], Needs(plain=False, alone=frozenset({"layout"}), nondeterministic=differs))
        == "strides"
    )


def test_every_cause_that_can_be_computed_has_its_place_among_the_others():
    """Guards: a new kind of suspected bug raised where it was compared with another."""
    assert set(PRIORITY) <= set(NAMES)
    assert {"padding", "unstable", "head mapping", "init"} <= set(PRIORITY)
