"""One campaign of one kernel through the engine: after how many cases is it failed, if ever?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from benchmarks.detection.corpus import Control, Mutant

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import narrow_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.references import call_by_name, optional_params


@dataclass(frozen=True)
class Campaign:
    """What a campaign of one kernel came to. found_at counts from 1; None: every case passed."""

    cases: int
    found_at: int | None
    seed: int | None
    message: str
    statuses: dict[str, int]
    judged: int
    undetermined: int


def op_of(kernel: Control | Mutant, **narrowing: object) -> Op:
    return narrow_op(BUILTIN_OPS[kernel.op], **{**kernel.narrowing, **narrowing})


def run_campaign(kernel: Control | Mutant, master: int, cases: int, **narrowing: object) -> Campaign:
    """Judge the kernel's output for each seed of the campaign, up to the first failure."""
    op = op_of(kernel, **narrowing)
    run = kernel.kernel
    statuses: Counter[str] = Counter()
    judged = undetermined = 0
    for number, seed in enumerate(campaign_seeds(op, master, cases), start=1):
        case = make_case(op, seed)
        try:
            output = call_by_name(run, case.inputs, case.params, optional=optional_params(op))
        except Exception as error:  # noqa: BLE001  (a kernel that raises has failed, whatever it raises)
            return Campaign(number, number, seed, f"raised {error!r}", dict(statuses), judged, undetermined)
        verdict = judge(case, output)
        statuses[verdict.status] += 1
        judged += sum(comparison.stats.count for comparison in verdict.comparisons)
        undetermined += sum(comparison.stats.num_undetermined for comparison in verdict.comparisons)
        if verdict.failed:
            text = f"{verdict.findings[0].kind}: {verdict.findings[0].message}"
            return Campaign(number, number, seed, text, dict(statuses), judged, undetermined)
    return Campaign(cases, None, None, "", dict(statuses), judged, undetermined)
