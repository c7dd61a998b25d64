"""One mutant: a campaign, the first failure of it, and its diagnosis as the report would have it.

Here: running the kernel as the plugin does, without pytest. Elsewhere: the mutants (benchmarks/detection).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.detection.campaign import op_of
from benchmarks.detection.corpus import Mutant
from benchmarks.diagnosis.classes import RIGHT

from pytest_gpuemu.engine.case import make_case
from pytest_gpuemu.engine.coverage import campaign_seeds
from pytest_gpuemu.engine.diagnose import investigate
from pytest_gpuemu.engine.diagnose.investigate import Observed
from pytest_gpuemu.engine.judge import judge
from pytest_gpuemu.engine.plan import Plan, parse_case_id
from pytest_gpuemu.engine.references import call_by_name, optional_params

CASES = 25
_MOST_CASES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was said of one mutant. verdict: "right", "silent", "wrong", or "raised" where the kernel did."""

    group: str
    kernel: str
    bug: str
    suspicion: str | None
    certainty: str | None
    verdict: str
    lines: list[tuple[str, str]]
    runs: int
    seconds: float


def observe(mutant: Mutant, case_id: str) -> Observed | None:
    """The mutant's output on a case, judged; None where it raises."""
    op = op_of(mutant)
    case = make_case(op, *parse_case_id(case_id))
    try:
        output = call_by_name(mutant.kernel, case.inputs, case.params, optional=optional_params(op))
    except Exception:  # noqa: BLE001 - a wrong kernel may raise anything
        return None
    return Observed(case, judge(case, output))


def measure(mutant: Mutant, group: str, master: int) -> Row:
    """Run CASES cases, or as many as it takes for a failure, and diagnose the first failure."""
    passed: list[Plan] = []
    failed: list[Plan] = []
    first: Observed | None = None
    runs = 0

    def run(case_id: str) -> Observed | None:
        nonlocal runs
        runs += 1
        return observe(mutant, case_id)

    for count, seed in enumerate(campaign_seeds(op_of(mutant), master, _MOST_CASES)):
        if count >= CASES and first is not None:
            break
        found = observe(mutant, str(seed))
        if found is None:
            continue
        if found.verdict.failed:
            first = first or found
            failed.append(found.case.plan)
        elif found.verdict.passed:
            passed.append(found.case.plan)
    started = time.perf_counter()
    if first is None:
        return _row(mutant, group, None, None, "raised", [], 0, 0.0)
    diagnosis = investigate(
        first.case, first.verdict, run, passed=passed, failed=failed, clock=time.thread_time
    )
    seconds = time.perf_counter() - started
    said = diagnosis.suspicion
    if said is None:
        return _row(mutant, group, None, None, "silent", diagnosis.lines(), runs, seconds)
    verdict = "right" if said.kind in RIGHT[mutant.bug] else "wrong"
    return _row(mutant, group, said.kind, said.certainty, verdict, diagnosis.lines(), runs, seconds)


def _row(
    mutant: Mutant,
    group: str,
    suspicion: str | None,
    certainty: str | None,
    verdict: str,
    lines: list[tuple[str, str]],
    runs: int,
    seconds: float,
) -> Row:
    return Row(
        group=group,
        kernel=mutant.name,
        bug=mutant.bug,
        suspicion=suspicion,
        certainty=certainty,
        verdict=verdict,
        lines=lines,
        runs=runs,
        seconds=seconds,
    )
