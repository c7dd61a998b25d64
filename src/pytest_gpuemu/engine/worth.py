"""The worth of a test: which wrong outputs it would have passed, and which inputs do not matter to it.

Here: judging fake outputs on a few cases of a campaign, tolerances that are loose beside the derived ones,
references that ignore an input. Elsewhere: the fakes (fakes.py), judging (attempt.py, judge.py), the line
in the summary (pytest_items/summary.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from pytest_gpuemu.engine import advice, judge, references, values
from pytest_gpuemu.engine.attempt import Attempt, attempt, fails
from pytest_gpuemu.engine.case import Case, build_case
from pytest_gpuemu.engine.errors import CannotRunHere, ReferenceFailed
from pytest_gpuemu.engine.fakes import CONSTANT, INPUT, ONES, ZEROS, Outputs, as_dtype, fakes
from pytest_gpuemu.engine.op import Array, Op
from pytest_gpuemu.engine.output_buffers import output_dtype
from pytest_gpuemu.engine.plan import Plan
from pytest_gpuemu.engine.rng import derive_seed
from pytest_gpuemu.engine.tolerance import LOOSE
from pytest_gpuemu.engine.user_code import call

CASES = 4
# Where these leave no fake alive, there is nothing that further cases could show.
_FEWEST = 2
_MOST_ELEMENTS = 2**11
# Sums of these overflow or are undetermined in many elements, which tells little of a test.
_EXTREME = frozenset({"wide", "tiny", "large", "nonfinite", "nonfinite_rows"})
# An input is ignored if so many cases of two distributions show it; so many are tried for that.
_EVIDENCE, _MOST_CASES = 3, 8


@dataclass(slots=True, kw_only=True)
class Worth:
    """What a few cases of a campaign showed of its test.

    killed and survived are names of fakes: a fake is killed where it fails one of the cases. trivial says,
    by fake that needs no kernel (zeros, a constant, an input), the case it would pass only because of the
    tolerance given by hand; loose says of an output how many times looser that is than the derived one.
    ignored are the inputs that the reference does not use.
    """

    cases: int = 0
    killed: set[str] = field(default_factory=set)
    survived: set[str] = field(default_factory=set)
    trivial: dict[str, str] = field(default_factory=dict)
    loose: dict[str, float] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Probe:
    """A case, its right outputs, and these beside each reference of the op."""

    case: Case
    right: dict[str, Array]
    attempts: list[Attempt]
    reference_values: list[dict[str, Array]]


def measure(op: Op, plans: Sequence[Plan], time_s: float = float("inf")) -> Worth:
    """The worth of a test of op, on a few small cases among these plans, which the test was given.

    No further case is begun after time_s seconds of this process's own time: other processes that keep
    the machine busy change nothing. Kernels are not run, and nothing is raised: a case that
    cannot be built here, or whose reference fails, tells nothing.
    """
    started = time.process_time()
    worth = Worth()
    if not op.checks_for("values"):
        return worth
    small = _likeliest_first([plan for plan in plans if _is_small(plan)])
    for name in _inputs_named(op):
        if time.process_time() - started <= time_s and _is_ignored(op, name, small):
            worth.ignored.append(name)
    probes: list[_Probe] = []
    for plan in small:
        done = len(probes) >= _FEWEST and worth.survived <= worth.killed and op.tolerance is None
        if done or len(probes) == CASES or (probes and time.process_time() - started > time_s):
            break
        probe = _probe(op, plan)
        if probe is not None:
            probes.append(probe)
            _judge_fakes(probe, worth)
    worth.cases = len(probes)
    worth.survived -= worth.killed
    if op.tolerance is not None or op.tolerances:
        _find_loose(probes, worth)
    return worth


def _is_small(plan: Plan) -> bool:
    elements = sum(prod(shape) for shape in plan.shapes.values())
    return 0 < elements <= _MOST_ELEMENTS and "huge" not in plan.layouts.values()


def _likeliest_first(plans: Sequence[Plan]) -> list[Plan]:
    """Those first that tell most: several elements along each dim, and one of each distribution."""
    ranked = []
    seen: set[str] = set()
    for position, plan in enumerate(plans):
        distribution = next(iter(plan.values.values()), "")
        degenerate = any(size < 2 for size in plan.dims.values())
        extreme = not _EXTREME.isdisjoint(plan.values.values())
        ranked.append((degenerate, extreme, distribution in seen, position, plan))
        if not degenerate and not extreme:
            seen.add(distribution)
    return [plan for *_, plan in sorted(ranked, key=lambda entry: entry[:4])]


def _probe(op: Op, plan: Plan) -> _Probe | None:
    """The case with its right outputs; None where nothing can be judged on it."""
    try:
        case = judge.with_tolerance_of_its_dtype(build_case(op, plan))
        reference_values = [references.evaluate(op, reference, case) for reference in op.references]
        right = {
            name: as_dtype(array, output_dtype(case, op.output(name), str(array.dtype)))
            for name, array in reference_values[0].items()
        }
        with np.errstate(all="ignore"):
            attempts = [
                attempt(case, right, reference, reference_values=found)
                for reference, found in zip(op.references, reference_values, strict=True)
            ]
    except (CannotRunHere, ReferenceFailed):
        return None
    if not any(array.size for array in right.values()) or not _passes(attempts[0]):
        return None
    return _Probe(case=case, right=right, attempts=attempts, reference_values=reference_values)


def _passes(made: Attempt) -> bool:
    return made.rank[:2] == (False, False)


def _judge_fakes(probe: _Probe, worth: Worth) -> None:
    given = probe.case.op.tolerance
    killed = worth.killed if given is None else {name for name in worth.killed if not _is_trivial(name)}
    for name, fake in fakes(probe.case, probe.right, killed):
        passing = _first_passing(probe, fake)
        if passing is None:
            worth.killed.add(name)
        elif not passing.is_undetermined:
            worth.survived.add(name)
            if given is not None and _is_trivial(name) and _fails_derived(passing):
                worth.trivial.setdefault(name, probe.case.plan.case_id)


def _is_trivial(name: str) -> bool:
    return name in (ZEROS, ONES, CONSTANT) or name.startswith(INPUT)


def _first_passing(probe: _Probe, fake: Outputs) -> Attempt | None:
    """The fake beside the first reference that it does not fail, invariants and all."""
    for before, reference_values in zip(probe.attempts, probe.reference_values, strict=True):
        made = attempt(
            probe.case,
            fake,
            before.bounds.reference,
            reference_values=reference_values,
            bounds=before.bounds,
        )
        if made.misfits or made.value_findings:
            continue
        broken = call(judge.broken_invariants, made)  # one that a wrong output makes raise refuses it, too
        if broken.error is None and not broken.value:
            return made
    return None


def _fails_derived(made: Attempt) -> bool:
    """Whether the tolerance given by hand is what it passes by."""
    without = replace(made.case.op, tolerance=None)
    return any(fails(without, comparison) for comparison in made.compared(given=None))


def _find_loose(probes: Sequence[_Probe], worth: Worth) -> None:
    """By output, how many times looser than the derived tolerance the given one is, in the median case."""
    ratios: dict[str, list[float]] = {}
    for probe in probes:
        if probe.case.op.tolerance is not None:
            for comparison in probe.attempts[0].comparisons:
                found = advice.looseness(probe.attempts[0], comparison)
                ratios.setdefault(comparison.name, []).append(found)
    worth.loose = {
        name: float(np.median(found)) for name, found in ratios.items() if np.median(found) > LOOSE
    }


def _inputs_named(op: Op) -> list[str]:
    """The inputs that could be ignored by mistake.

    An only input that is gives a constant, which a fake shows. Built-in references take some inputs for
    their shape alone.
    """
    own = getattr(op.references[0], "__module__", None) or ""
    if len(op.inputs) < 2 or own.startswith("pytest_gpuemu."):
        return []
    return [x.name for x in op.inputs]


def _is_ignored(op: Op, name: str, plans: Sequence[Plan]) -> bool:
    """Whether other values of this input leave the reference's outputs as they are, in several cases."""
    distributions = []
    for plan in plans[:_MOST_CASES]:
        try:
            changes = _changes_with(op, name, plan)
        except (CannotRunHere, ReferenceFailed):
            continue
        if changes:
            return False
        if changes is not None:
            distributions.append(next(iter(plan.values.values())))
            if len(distributions) >= _EVIDENCE and len(set(distributions)) > 1:
                return True
    return False


def _changes_with(op: Op, name: str, plan: Plan) -> bool | None:
    """Whether the outputs of the first reference change with that input; None where nothing could."""
    case = build_case(op, plan)
    x = op.input(name)
    others = values.fill(
        x,
        plan.shapes[name],
        plan.dtypes[name],
        "normal",
        plan.dims,
        derive_seed(plan.seed, f"other values/{name}"),
    )
    if np.array_equal(others, case.originals[name]):
        return None
    reference = op.references[0]
    before = references.evaluate(op, reference, case)
    changed: Mapping[str, Array] = {**case.originals, name: others}
    after = references.evaluate(op, reference, replace(case, originals=changed))
    if any(not np.array_equal(before[key], after[key], equal_nan=True) for key in before):
        return True
    informative = any(bool(np.any(np.isfinite(array) & (array != 0))) for array in before.values())
    return False if informative else None
