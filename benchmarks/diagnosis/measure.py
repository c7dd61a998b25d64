"""One mutant: a campaign, the first failure of it, and its diagnosis as the report would have it.

Here: running the kernel as the plugin does, without pytest. Elsewhere: the mutants (benchmarks/detection).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from benchmarks.detection.campaign import op_of
from benchmarks.detection.corpus import Mutant
from benchmarks.diagnosis.classes import is_right

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.diagnose import investigate
from pytest_gpuemu.engine.diagnose.investigating import Observed
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import Plan, parse_case_id
from pytest_gpuemu.engine.references import call_by_name, optional_params

CASES, MOST_CASES = 12, 200
SMALL_BYTES = 2**19


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was said of one mutant. verdict: "right", "silent", "wrong", or "not found".

    seconds are of this thread's own time, without the campaign; runs counts further kernel runs.
    """

    group: str
    kernel: str
    bug: str
    suspicion: str | None
    certainty: str | None
    verdict: str
    lines: list[tuple[str, str]]
    runs: int
    seconds: float


def observe(
    mutant: Mutant,
    op: Op,
    case_id: str,
    prepare: Callable[[], object] | None = None,
    *,
    hints: bool = False,
) -> Observed | None:
    """The mutant's output on a case, judged; None where it raises. prepare() is called before it runs."""
    case = make_case(op, *parse_case_id(case_id))
    prepared = None if prepare is None else prepare()
    try:
        output = call_by_name(mutant.kernel, case.inputs, case.params, optional=optional_params(op))
    except Exception:  # noqa: BLE001 - a wrong kernel may raise anything
        return None
    del prepared
    return Observed(case, judge(case, output, hints=hints))


@dataclass(slots=True)
class Campaign:
    """The cases of a campaign, and the first failure."""

    op: Op
    passed: list[Plan] = field(default_factory=list)
    failed: list[Plan] = field(default_factory=list)
    first: str | None = None


def run_campaign(mutant: Mutant, op: Op, master: int) -> Campaign:
    """CASES cases, or as many as it takes for a failure, at most MOST_CASES."""
    campaign = Campaign(op)
    for count, seed in enumerate(campaign_seeds(op, master, MOST_CASES)):
        if count >= CASES and campaign.first is not None:
            break
        found = observe(mutant, op, str(seed))
        if found is None:
            continue
        if found.verdict.failed:
            campaign.first = campaign.first or str(seed)
            campaign.failed.append(found.case.plan)
        elif found.verdict.passed:
            campaign.passed.append(found.case.plan)
    return campaign


def measure(mutant: Mutant, group: str, master: int) -> Row:
    """A campaign of small cases, or of any where these find nothing; its first failure is diagnosed."""
    campaign = run_campaign(mutant, op_of(mutant, max_bytes=SMALL_BYTES), master)
    if campaign.first is None:
        campaign = run_campaign(mutant, op_of(mutant), master)
    op, runs = campaign.op, 0
    row = partial(Row, group=group, kernel=mutant.name, bug=mutant.bug)

    def run(case_id: str, prepare: Callable[[], object] | None = None) -> Observed | None:
        nonlocal runs
        runs += 1
        return observe(mutant, op, case_id, prepare)

    first = None if campaign.first is None else observe(mutant, op, campaign.first, hints=True)
    if first is None or not first.verdict.failed:
        return row(suspicion=None, certainty=None, verdict="not found", lines=[], runs=0, seconds=0.0)
    started = time.thread_time()
    diagnosis = investigate(
        first.case,
        first.verdict,
        run,
        passed=campaign.passed,
        failed=campaign.failed,
        clock=time.thread_time,
    )
    seconds = time.thread_time() - started
    said = diagnosis.suspicion
    verdict = "silent" if said is None else "right" if is_right(mutant, said.kind) else "wrong"
    return row(
        suspicion=None if said is None else said.kind,
        certainty=None if said is None else said.certainty,
        verdict=verdict,
        lines=diagnosis.lines(),
        runs=runs,
        seconds=seconds,
    )
