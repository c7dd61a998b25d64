"""`python -m benchmarks.detection`: run the corpus and print what was found.

--cases 200      cases a campaign
--masters 3      master seeds for each control (mutants take the first)
--only softmax   kernels whose name contains the word
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.detection.campaign import Campaign, run_campaign
from benchmarks.detection.kernels import CONTROLS, MUTANTS

BUDGETS = (8, 30, 200)


def campaign_of(kind: str, cases: int, job: tuple[int, int]) -> Campaign:
    warnings.filterwarnings("ignore")
    kernels = CONTROLS if kind == "control" else MUTANTS
    return run_campaign(kernels[job[0]], job[1], cases)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--masters", type=int, default=3)
    parser.add_argument("--first-master", type=int, default=1)
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    start = time.perf_counter()
    controls = [
        (i, master)
        for i, control in enumerate(CONTROLS)
        for master in range(arguments.first_master, arguments.first_master + arguments.masters)
        if arguments.only in control.name
    ]
    mutants = [(i, arguments.first_master) for i, m in enumerate(MUTANTS) if arguments.only in m.name]
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(partial(campaign_of, "mutant", arguments.cases), mutants))
        clean = list(pool.map(partial(campaign_of, "control", arguments.cases), controls))

    by_class: dict[str, list[Campaign]] = defaultdict(list)
    for (i, _), campaign in zip(mutants, found, strict=True):
        by_class[MUTANTS[i].bug].append(campaign)
        if campaign.found_at is None:
            print(f"SURVIVES  {MUTANTS[i].name} [{MUTANTS[i].bug}]")
        elif campaign.found_at > BUDGETS[1]:
            print(
                f"late      {MUTANTS[i].name} [{MUTANTS[i].bug}]: case {campaign.found_at}, {campaign.message}"
            )
    statuses: Counter[str] = Counter()
    judged = undetermined = 0
    for (i, master), campaign in zip(controls, clean, strict=True):
        statuses.update(campaign.statuses)
        judged += campaign.judged
        undetermined += campaign.undetermined
        if campaign.found_at is not None:
            print(f"ALARM     {CONTROLS[i].name}, master {master}, seed {campaign.seed}: {campaign.message}")
    print(f"\n{'bug class':<24} mutants " + "".join(f"{f'<= {n}':>8}" for n in BUDGETS) + "  median")
    for bug, campaigns in [*sorted(by_class.items()), ("all", found)]:
        hits = [c.found_at for c in campaigns if c.found_at is not None]
        within = "".join(f"{sum(h <= n for h in hits):>8}" for n in BUDGETS)
        print(f"{bug:<24} {len(campaigns):>7} {within}  {statistics.median(hits) if hits else '-':>6}")
    alarms = sum(campaign.found_at is not None for campaign in clean)
    cases = sum(campaign.cases for campaign in clean)
    print(
        f"\ncontrols: {alarms} of {len(clean)} campaigns failed ({cases} cases, {dict(statuses)}); "
        f"{undetermined / max(judged, 1):.2%} of the elements undetermined; "
        f"{time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
