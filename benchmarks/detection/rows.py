"""The results of a run: one row a campaign, in a file of JSON lines.

A run that was cut short goes on where it stopped: rows that the same sources have written are kept,
those of other sources are not read.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import pytest_gpuemu.engine

CORPUS = Path(__file__).parent
ENGINE = Path(pytest_gpuemu.engine.__file__).parent


_MODULES_USED = """
import sys
from benchmarks.detection.campaign import run_campaign
from benchmarks.detection.kernels import CONTROLS
run_campaign(CONTROLS[0], 1, 8)
for name, module in sys.modules.items():
    if name.startswith("pytest_gpuemu.engine"):
        print(module.__file__)
"""


@cache
def engine_parts() -> list[Path]:
    """The modules of the engine that a campaign loads, and those of operators and traces loaded at need."""
    run = subprocess.run([sys.executable, "-c", _MODULES_USED], capture_output=True, text=True, check=True)
    used = {Path(line) for line in run.stdout.splitlines()}
    return sorted(used.union(*((ENGINE / name).rglob("*.py") for name in ("ops", "trace"))))


@cache
def sources(module: str) -> str:
    """A digest of what decides a detector's results: its module, the corpus, what generates and judges."""
    parts = [CORPUS / name for name in ("campaign.py", "corpus.py", "memory.py")]
    parts += [*CORPUS.glob("kernels/*.py"), *engine_parts()]
    if ".rivals." in module:
        parts += [CORPUS / "rivals" / "arrays.py", CORPUS / "rivals" / f"{module.rpartition('.')[2]}.py"]
    digest = hashlib.sha256()
    for path in sorted(parts):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Row:
    """A campaign of one detector on one kernel. group: "control", "tuned beside" or "written after"."""

    sources: str
    detector: str
    group: str
    kernel: str
    bug: str
    master: int
    budget: int
    cases: int
    found_at: int | None
    seed: int | None
    message: str
    seconds: float
    statuses: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, int] = field(default_factory=dict)
    undetermined: dict[str, list[int]] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        return self.detector, self.group, self.kernel, self.master, self.budget


def read(path: Path, modules: Mapping[str, tuple[str, str]]) -> list[Row]:
    """The rows that today's sources have written to the file, if it is there. modules: by detector."""
    if not path.exists():
        return []
    given = (Row(**json.loads(line)) for line in path.read_text().splitlines() if line.endswith("}"))
    return [row for row in given if row.sources == sources(modules[row.detector][0])]


def append(path: Path, rows: Iterable[Row]) -> None:
    with path.open("a") as file:
        for row in rows:
            file.write(json.dumps(asdict(row)) + "\n")
