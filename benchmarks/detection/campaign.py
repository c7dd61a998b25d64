"""One campaign of one kernel through the engine: after how many cases is it failed, if ever?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.detection.corpus import Control, Mutant

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.define import narrow_op
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.ops import BUILTIN_OPS
from pytest_gpuemu.engine.references import call_by_name, optional_params

# An output that cannot be judged is expected here: sums overflow in some order, or are not finite.
EXTREME = ("large", "wide", "nonfinite", "nonfinite_rows", "tiny")


@dataclass
class Campaign:
    """What a campaign of one kernel came to. found_at counts from 1; None: every case passed.

    dtypes counts the cases by their first input's dtype; undetermined holds, by value distribution (see
    distribution_of), how many elements there were and how many of them could not be judged.
    """

    cases: int = 0
    found_at: int | None = None
    seed: int | None = None
    message: str = ""
    statuses: Counter[str] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    undetermined: dict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))


def op_of(kernel: Control | Mutant, **narrowing: object) -> Op:
    return narrow_op(BUILTIN_OPS[kernel.op], **{**kernel.narrowing, **narrowing})


def distribution_of(values: Mapping[str, str]) -> str:
    """The distribution that a case counts under: an extreme one where any input has it, else the first's."""
    given = list(values.values())
    return next((name for name in EXTREME if name in given), given[0])


def run_campaign(kernel: Control | Mutant, master: int, cases: int) -> Campaign:
    """Judge the kernel's output for each seed of the campaign, up to the first failure."""
    op, run, campaign = op_of(kernel), kernel.kernel, Campaign()
    first = op.inputs[0].name
    for seed in campaign_seeds(op, master, cases):
        campaign.cases += 1
        case = make_case(op, seed)
        campaign.dtypes[case.plan.dtypes[first]] += 1
        try:
            output = call_by_name(run, case.inputs, case.params, optional=optional_params(op))
        except Exception as error:  # noqa: BLE001  (a kernel that raises has failed, whatever it raises)
            campaign.found_at, campaign.seed, campaign.message = campaign.cases, seed, f"raised {error!r}"
            return campaign
        verdict = judge(case, output)
        campaign.statuses[verdict.status] += 1
        share = campaign.undetermined[distribution_of(case.plan.values)]
        for comparison in verdict.comparisons:
            share[0] += comparison.stats.count
            share[1] += comparison.stats.num_undetermined
        if verdict.failed:
            found = verdict.findings[0]
            campaign.found_at, campaign.seed = campaign.cases, seed
            campaign.message = f"{found.kind}: {found.message}"
            return campaign
    return campaign
