"""Further runs of the kernel: what they add to one failure, and what they may cost."""

import numpy as np
from wrong_kernels import observe, softmax, softmax_with_padding, sum_of_last_block

from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import narrow_op
from pytest_gpuemu.engine.diagnose import investigate
from pytest_gpuemu.engine.ops import BUILTIN_OPS


class Lab:
    """A kernel, a campaign of it, and a count of its further runs."""

    def __init__(self, name, kernel, cases=25, **narrowing):
        self.op = narrow_op(BUILTIN_OPS[name], dims={"rows": (1, 40), "cols": (1, 200)}, **narrowing)
        self.kernel = kernel
        self.runs = []
        self.passed, self.failed = [], []
        for seed in campaign_seeds(self.op, 1, cases):
            observed = observe(self.op, kernel, seed)
            (self.failed if observed.verdict.failed else self.passed).append(observed)

    def run(self, case_id, prepare=None):
        self.runs.append(case_id)
        return observe(self.op, self.kernel, case_id, prepare)

    def diagnosis(self, **budget):
        first = self.failed[0]
        return investigate(
            first.case,
            first.verdict,
            self.run,
            passed=[one.case.plan for one in self.passed],
            failed=[one.case.plan for one in self.failed],
            **{"time_s": 60.0, **budget},
        )


def test_cause_and_condition_of_a_leaking_tail_are_named():
    diagnosis = Lab("softmax", softmax_with_padding).diagnosis()

    assert diagnosis.suspicion.kind == "tail"
    assert diagnosis.when.terms == ("cols % 32 != 0",)
    labels = [label for label, _ in diagnosis.lines()]
    assert labels.index("when") < labels.index("suspect")


def test_an_overwritten_accumulator_needs_more_than_one_block():
    diagnosis = Lab("sum", sum_of_last_block).diagnosis()

    assert diagnosis.suspicion.kind == "accumulator"
    assert diagnosis.when.terms == ("cols > 32",)


def test_elements_that_are_never_written_are_told_from_wrong_ones():
    def without_last_column(input):
        output = np.empty_like(input, order="C", subok=False)
        output[:, :-1] = softmax(input)[:, :-1]
        return output

    diagnosis = Lab("softmax", without_last_column).diagnosis()

    assert diagnosis.suspicion.kind == "unwritten"


def test_without_a_campaign_further_cases_are_drawn():
    lab = Lab("softmax", softmax_with_padding)
    first = lab.failed[0]

    diagnosis = investigate(first.case, first.verdict, lab.run, time_s=60.0)

    assert diagnosis.when.terms == ("cols % 32 != 0",)
    assert len(lab.runs) <= 40


def test_no_more_runs_are_made_than_allowed():
    lab = Lab("softmax", softmax_with_padding)

    lab.diagnosis(max_cases=3)

    assert len(lab.runs) <= 3


def test_without_time_no_run_is_begun():
    lab = Lab("softmax", softmax_with_padding)

    lab.diagnosis(time_s=0.0)

    assert lab.runs == []


def test_a_kernel_that_cannot_be_run_again_still_has_a_diagnosis():
    lab = Lab("sum", sum_of_last_block)
    first = lab.failed[0]

    diagnosis = investigate(first.case, first.verdict, lambda case_id, prepare=None: None)

    assert diagnosis.shown is not None
    assert diagnosis.when is None
