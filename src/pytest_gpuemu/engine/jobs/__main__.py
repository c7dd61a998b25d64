"""A judging worker: `python -m pytest_gpuemu.engine.jobs MEMORY_MB ROOT [CONFIG]`, started by workers.py.

Here: which function does which job. Elsewhere: the loop (worker_loop.py), the jobs (beside this module).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.config import Config
from pytest_gpuemu.engine.jobs import campaigns, cases, judging, linting, minimizing
from pytest_gpuemu.engine.worker_loop import Answer, Ask, run_worker

_JOBS: dict[str, Answer] = {
    "judge": judging.judge_request,
    "judge run": campaigns.judge_run,
    "reference lost": campaigns.reference_lost,
    "cases": cases.cases,
    "inputs": cases.inputs,
    "campaign": campaigns.campaign,
    "minimize": minimizing.minimize_run,
    "lint": linting.lint_ptx,
    "sass": linting.sass_of,
}


def answer(message: Mapping[str, Any], config: Config, ask: Ask) -> dict[str, Any]:
    """Do one job."""
    return _JOBS[message["job"]](message, config, ask)


if __name__ == "__main__":
    run_worker(sys.argv[1:], answer)
