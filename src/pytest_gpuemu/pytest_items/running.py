"""Running one case of a test: what happens before the test function is called, and what its end means.

Here: binding fuzz_case, seeding the global generators, the journal, the outcome and its recording; used
for each case of a campaign and for a case item alike. Elsewhere: the loop (campaign.py), the hooks
(runner.py).
"""

from __future__ import annotations

import shlex
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_gpuemu.engine import user_code
from pytest_gpuemu.engine.dtypes import is_floating
from pytest_gpuemu.engine.errors import CannotRunHere, KernelMismatch, ReferenceFailed, SecondRunFailed
from pytest_gpuemu.engine.op import Op
from pytest_gpuemu.engine.plan import GENERATOR_VERSION, Plan, parse_case_id, plan_case
from pytest_gpuemu.engine.user_code import Called
from pytest_gpuemu.engine.verdict import Failure, Finding
from pytest_gpuemu.pytest_items import generators, grouping
from pytest_gpuemu.pytest_items.fuzz_case import BoundCase, FuzzCase, bind, hand_over, release
from pytest_gpuemu.pytest_items.ids import from_invocation_dir, seed_nodeid, test_id_of
from pytest_gpuemu.pytest_items.session import FuzzSession

PASSED, FAILED, UNDETERMINED = "passed", "failed", "undetermined"
COULD_NOT_RUN, SKIPPED, UNCHECKED = "could not run", "skipped", "unchecked"
# No fault of the kernel, so no failure that is stored or minimized.
REFERENCE_FAILED = "the reference failed"
SECOND_RUN_FAILED = "the second run failed"
NOT_THE_KERNELS = (REFERENCE_FAILED, SECOND_RUN_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one case ended. text is the reason or the report; alike is equal for failures of one kind.

    elements is the number of elements compared, max_ulp their largest finite error; None for integers.
    """

    case_id: str
    plan: Plan
    status: str
    text: str = ""
    alike: str = ""
    duration_s: float = 0.0
    elements: int = 0
    max_ulp: float | None = None

    @property
    def point(self) -> list[Any]:
        """For a report: case id, dtype, elements, status and largest error in ulps."""
        return [self.case_id, self.plan.dtype, self.elements, self.status, self.max_ulp]


class RunningCases:
    """The cases of one test item, run one at a time: begin(), the test function, ended()."""

    def __init__(self, session: FuzzSession, item: pytest.Item, op: Op, case: FuzzCase) -> None:
        self.session = session
        self.item = item
        self.op = op
        self.test_id = test_id_of(item)
        self._case = case
        self.is_again = False
        self._bound: BoundCase | None = None
        self._started = 0.0

    def bind(self, case_id: str) -> None:
        """Let fuzz_case show this case. Raises SeedError or SchemaError where the op cannot have it."""
        plan = plan_case(self.op, *parse_case_id(case_id))
        self.show(BoundCase(self.op, plan, lambda: self.commands(case_id)))

    @property
    def bound(self) -> BoundCase:
        """The case at hand, between begin() and release()."""
        assert self._bound is not None
        return self._bound

    @property
    def has_case(self) -> bool:
        return self._bound is not None

    def show(self, bound: BoundCase) -> None:
        """Let fuzz_case show this case."""
        self._bound = bound
        bind(self._case, bound)

    def call_again(self, call: Callable[[], object], prepare: Callable[[], object]) -> Called:
        """Call the test function once more for the case at hand.

        Its arrays are made first, then comes prepare(), and what that gives is kept until the end.
        """
        started, self.is_again = time.perf_counter(), True
        try:
            hand_over(self._case)
            generators.seed_all(self.bound.plan.seed)
            prepared = prepare()
            called = user_code.call(call)
            del prepared
            return called
        finally:
            self.is_again = False
            self._started += time.perf_counter() - started  # a case's duration is that of its first run

    def commands(self, case_id: str) -> list[str]:
        """What to type to run this case by the item's own node id, by the seed anywhere, and to shrink it."""
        nodeid = from_invocation_dir(seed_nodeid(self.test_id, case_id), self.item.config)
        quoted = shlex.quote(nodeid) if set(nodeid) & set('"$`\\!') else f'"{nodeid}"'
        seed = shlex.quote(case_id)
        return [f"pytest {quoted}", f"pytest --gpuemu-reproduce={seed}", f"pytest --gpuemu-minimize={seed}"]

    def begin(self, case_id: str) -> None:
        """Get ready to call the test function with this case."""
        if self._bound is None or self._bound.plan.case_id != case_id:
            self.bind(case_id)
        assert self._bound is not None
        generators.seed_all(self._bound.plan.seed)
        self.session.recording.journal.begin(self.test_id, case_id)
        self._started = time.perf_counter()

    def ended(self, error: BaseException | None) -> Outcome:
        """What it means that the test function returned (None) or raised; recorded at once if it failed."""
        duration_s = time.perf_counter() - self._started
        self.session.recording.journal.end()
        bound = self._bound
        assert bound is not None
        self.session.forget_crash(self.test_id, bound.plan.case_id)
        status, text = _meaning(error, bound)
        compared = [(found.dtype, found.stats) for verdict in bound.verdicts for found in verdict.comparisons]
        outcome = Outcome(
            case_id=bound.plan.case_id,
            plan=bound.plan,
            status=status,
            text=text,
            alike=grouping.alike(error) if error is not None and status == FAILED else "",
            duration_s=duration_s,
            elements=sum(stats.count for _, stats in compared),
            max_ulp=max((stats.max_ulp for dtype, stats in compared if is_floating(dtype)), default=None),
        )
        if status == FAILED and error is not None:
            self.session.recording.failure(self._failure(outcome, error))
        elif status == PASSED:
            self.session.recording.passed(self.test_id, bound.plan, bound.verdicts, duration_s)
        return outcome

    def release(self) -> None:
        """Let go of the case's arrays, and of fuzz_case's view of them."""
        self._bound = None
        release(self._case)

    def _failure(self, outcome: Outcome, error: BaseException) -> Failure:
        plan = outcome.plan
        first = self.op.inputs[0].name
        verdict = error.verdict if isinstance(error, KernelMismatch) else None
        bound = self._bound
        strides = bound.case.inputs[first].strides if bound is not None and bound.is_built else ()
        crash = Finding(kind="ExecutionError", message=outcome.text.strip().rpartition("\n")[2])
        return Failure(
            test_id=self.test_id,
            op=plan.op_name,
            seed=plan.seed,
            edits=plan.edits,
            generator=GENERATOR_VERSION,
            shape=plan.shapes[first],
            strides=strides,
            dtype=plan.dtypes[first],
            layout=plan.layouts[first],
            values=plan.values[first],
            fuzz_config=self.op.overrides,
            findings=verdict.findings if verdict is not None else (crash,),
            stats=verdict.comparisons[0].stats if verdict is not None and verdict.comparisons else None,
            text=outcome.text,
            timestamp=time.time(),
            duration_ms=outcome.duration_s * 1000.0,
        )


CASES = pytest.StashKey[RunningCases]()


def _meaning(error: BaseException | None, bound: BoundCase) -> tuple[str, str]:
    """Status and text. A KernelMismatch that the test itself caught is the test's own affair."""
    if isinstance(error, CannotRunHere):
        return COULD_NOT_RUN, str(error)
    if isinstance(error, ReferenceFailed):
        return REFERENCE_FAILED, str(error)
    if isinstance(error, SecondRunFailed):
        return SECOND_RUN_FAILED, str(error)
    if is_skip(error):
        return SKIPPED, str(error)
    if isinstance(error, KernelMismatch):
        return FAILED, str(error)
    if error is not None:
        return FAILED, traceback_text(error)
    if not bound.verdicts:
        return UNCHECKED, ""
    if bound.status == UNDETERMINED:
        return UNDETERMINED, bound.undetermined_reason
    return PASSED, ""


def is_skip(error: BaseException | None) -> bool:
    """Whether the test asked to be skipped, by pytest's or unittest's means, or called pytest.xfail."""
    skips: tuple[type[BaseException], ...] = (pytest.skip.Exception, pytest.xfail.Exception)
    if "unittest" in sys.modules:
        skips = (*skips, sys.modules["unittest"].SkipTest)
    return isinstance(error, skips)


def traceback_text(error: BaseException) -> str:
    """The traceback from the user's first frame on: those of pytest and of this package come before it."""
    frames = error.__traceback__
    while frames is not None and grouping.is_machinery(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()
