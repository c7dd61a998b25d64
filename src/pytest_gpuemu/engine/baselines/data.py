"""The data classes of baselines.

Here: what is kept of a kernel's artifact and of a campaign's errors. Elsewhere: how errors are compared
(numbers.py), how artifacts are (engine/artifacts/changes.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_gpuemu.engine.artifacts.data import KernelMetrics

DEFAULT_TAG = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactBaseline:
    """What a kernel's PTX for one architecture came to."""

    kernel: str
    arch: str
    ptx_digest: str
    metrics: KernelMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericalBaseline:
    """The largest errors that a campaign saw of the outputs of one dtype, over the cases that passed.

    cases is how many the campaign was planned with: with master_seed and generator it says which they are.
    max_abs is in the output's units, max_ulp in its ulps, tolerance_used the largest error over its
    tolerance. tolerance names the tolerances' sources.
    """

    test_id: str
    op: str
    dtype: str
    master_seed: int
    generator: int
    cases: int
    max_abs: float
    max_ulp: float
    tolerance_used: float
    tolerance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A whole baseline; origin says where it was read: a file's path, or the store's with its tag."""

    origin: str
    artifacts: Mapping[tuple[str, str], ArtifactBaseline] = field(default_factory=dict)
    numbers: Mapping[tuple[str, str, str], NumericalBaseline] = field(default_factory=dict)

    @property
    def master_seed(self) -> int | None:
        """The master seed that most of its errors were found with; None where it has none."""
        seeds = Counter(number.master_seed for number in self.numbers.values())
        return next((seed for seed, _ in seeds.most_common(1)), None)

    @property
    def is_empty(self) -> bool:
        return not self.artifacts and not self.numbers
