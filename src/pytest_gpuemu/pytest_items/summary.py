"""What the terminal shows of a session's campaigns: plain functions from values to lines.

Here: the lines after the collection, the summary's line an op. Elsewhere: when they are printed
(reporter.py), the report of a failing case (engine/report.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_gpuemu.engine.coverage import Coverage
from pytest_gpuemu.engine.op import Tolerance
from pytest_gpuemu.engine.worth import Worth

_LISTED = 4
_PAIRS = 8
_ONE_EACH = {"dtypes": "dtypes", "layouts": "layouts", "values": "distributions"}


@dataclass(slots=True)
class OpTally:
    """What the campaigns and case items of one op came to, added up over tests and workers."""

    op: str
    counts: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    first_s: float = 0.0
    timed: int = 0
    out_of_time: int = 0
    interrupted: int = 0
    covered: dict[str, Counter[str]] = field(default_factory=dict)
    possible: dict[str, dict[str, None]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    coverages: list[Mapping[str, Any]] = field(default_factory=list)
    killed: set[str] = field(default_factory=set)
    survived: set[str] = field(default_factory=set)
    notes: dict[str, None] = field(default_factory=dict)
    points: list[Sequence[Any]] = field(default_factory=list)
    tests: dict[str, None] = field(default_factory=dict)

    def add_campaign(self, tally: Mapping[str, Any]) -> None:
        """Add what one campaign item reported (campaign.tally)."""
        self.tests[tally["test_id"]] = None
        self.points.extend(tally.get("points", ()))
        self.counts.update(tally["counts"])
        self.reasons.update(tally["reasons"])
        self.out_of_time += tally["out_of_time"]
        self.interrupted += tally.get("interrupted", 0)
        cases = sum(tally["counts"].values())
        if cases > 1:
            # The first call of a kernel compiles it: the rate leaves it out.
            self.seconds += tally["seconds"] - tally["first_s"]
            self.timed += cases - 1
        self.first_s = max(self.first_s, tally["first_s"])
        for factor, found in tally["covered"].items():
            self.covered.setdefault(factor, Counter()).update(found)
            self.possible.setdefault(factor, {}).update(dict.fromkeys(tally["possible"][factor]))
        if tally.get("coverage"):
            self.coverages.append(tally["coverage"])
        if worth := tally.get("worth"):
            self.killed.update(worth["killed"])
            self.survived.update(worth["survived"])
            self.notes.update(dict.fromkeys(worth["notes"]))

    def add_case(self, case: Mapping[str, Any]) -> None:
        """Add a case item that no campaign made."""
        self.tests[case["test_id"]] = None
        self.counts[case["status"]] += 1
        if case["status"] in ("passed", "failed", "undetermined"):
            self.points.append(case["point"])

    @property
    def cases_per_s(self) -> float | None:
        return self.timed / self.seconds if self.timed and self.seconds > 0 else None

    def plain(self) -> dict[str, Any]:
        """What a report has of the op: JSON values."""
        coverage = Coverage.joined(self.coverages) if self.coverages else None
        has_coverage = coverage is not None and coverage.cases > 0 and bool(coverage.factors)
        return {
            "name": self.op,
            "tests": list(self.tests),
            "counts": {status: count for status, count in self.counts.items() if count},
            "left_out": self.out_of_time + self.interrupted,
            "cases_per_s": self.cases_per_s,
            "first_call_s": self.first_s,
            "covered": {
                factor: {
                    "met": {name: count for name, count in found.items() if count},
                    "possible": list(self.possible[factor]),
                }
                for factor, found in self.covered.items()
            },
            "coverage": {
                "cases": coverage.cases,
                "pairs_met": coverage.pairs_met,
                "pairs_possible": coverage.pairs_possible,
                "levels": {factor: dict(levels) for factor, levels in coverage.counts.items()},
            }
            if has_coverage and coverage is not None
            else None,
            "worth": {
                "killed": sorted(self.killed - self.survived),
                "survived": sorted(self.survived),
                "warnings": list(self.notes),
            },
            "reasons": dict(self.reasons),
            "cases": [
                dict(zip(("case_id", "dtype", "elements", "status", "max_ulp"), point, strict=True))
                for point in self.points
            ],
        }


def header_lines(
    *,
    config_file: str | None,
    daemon: str | None,
    store: str,
    note: str | None,
    unread: str | None = None,
    master_seed: int,
    generator: int,
    crashed: Sequence[tuple[str, str]] = (),
    left_out: int = 0,
    shadowing: Iterable[str] = (),
    other_gpuemu: str | None = None,
) -> list[str]:
    """The lines after the collection of a session with campaigns."""
    lines = [
        f"gpuemu: config {config_file or 'none (defaults)'}, master seed {master_seed} "
        f"(--gpuemu-seed={master_seed}), generator {generator}"
    ]
    if note is not None:
        lines.append(f"gpuemu: nothing is stored: {note}")
    elif daemon is not None:
        lines.append(f"gpuemu: daemon at {daemon}, store {store}")
    if unread is not None and unread != note:
        lines.append(f"gpuemu: known failing seeds are not run: {unread}")
    for test, case_id in crashed:
        lines.append(f"gpuemu: an earlier run died at seed={case_id} of {test}; it is run again, first")
    if left_out:
        lines.append(
            f"gpuemu: {left_out} known failing seeds are above gpuemu_known_seeds and were not collected"
        )
    shadowed = sorted(shadowing)
    if shadowed:
        lines.append(f"gpuemu: [[ops]] replaces the built-in {', '.join(shadowed)}")
    if other_gpuemu is not None:
        lines.append(
            f"gpuemu: the distribution gpuemu {other_gpuemu} is installed too, and has the same import name: "
            "`pip uninstall gpuemu`, or import from pytest_gpuemu"
        )
    return lines


def summary_lines(tallies: Iterable[OpTally], verbose: bool = False) -> list[str]:
    """For each op a line with its cases, what became of them, cases per second, what was covered and what
    its tests are worth; below it, what they did not meet and what is odd about them.
    """
    return [op_line(tally, verbose) for tally in tallies]


def campaign_word(counts: Mapping[str, int]) -> str:
    """What `pytest -v` writes behind a campaign with failing seeds, in place of PASSED."""
    return f"CAMPAIGN: {counts['failed']} of {sum(counts.values())} cases failed, items of their own"


def op_line(tally: OpTally, verbose: bool = False) -> str:
    """`softmax: 200 cases, 3 failed; 812 cases/s; dtypes float16 float32; layouts 7 of 7; ...`."""
    cases = sum(tally.counts.values())
    parts = [f"{cases} case{'' if cases == 1 else 's'}", f"{tally.counts['failed']} failed"]
    for status, words in (
        ("undetermined", "undetermined"),
        ("could not run", "could not run here"),
        ("skipped", "skipped"),
        ("unchecked", "never checked"),
    ):
        if tally.counts[status]:
            parts.append(f"{tally.counts[status]} {words}")
    if tally.out_of_time:
        parts.append(f"{tally.out_of_time} left out (--gpuemu-time)")
    if tally.interrupted:
        parts.append(f"{tally.interrupted} left out (interrupted)")
    sections = [", ".join(parts)]
    if tally.cases_per_s is not None:
        sections.append(f"{rate(tally.cases_per_s)} cases/s")
    if tally.first_s >= 1.0:
        sections.append(f"first call {tally.first_s:.1f} s")
    for factor, words in _ONE_EACH.items():
        if tally.covered.get(factor):
            sections.append(f"{words} {_coverage(tally.covered[factor], tally.possible[factor])}")
    if fakes := tally.killed | tally.survived:
        # Of several tests of an op, the weakest tells.
        sections.append(f"kills {len(fakes - tally.survived)} of {len(fakes)}")
    lines = [f"{tally.op}: {'; '.join(sections)}"]
    if tally.coverages:
        lines += coverage_lines(Coverage.joined(tally.coverages), verbose)
    if verbose and tally.survived:
        lines.append(f"  not killed: {'; '.join(sorted(tally.survived))}")
    lines += [f"  warning: {note}" for note in tally.notes]
    lines += [f"  {count} {reason}" for reason, count in tally.reasons.most_common(3)]
    return "\n".join(lines)


def coverage_lines(coverage: Coverage, verbose: bool = False) -> list[str]:
    """`coverage 412 of 1210 pairs; not met: size of rows 0; layout of b reversed`; more where verbose."""
    if not coverage.cases or not coverage.factors:
        return []
    unmet = [f"{factor} {' '.join(levels)}" for factor, levels in coverage.unmet.items()]
    shown = unmet if verbose else unmet[:_LISTED]
    more = [f"{len(unmet) - len(shown)} more"] if len(unmet) > len(shown) else []
    if not unmet and not coverage.pairs_possible:
        return []
    line = f"  coverage {coverage.pairs_met} of {coverage.pairs_possible} pairs"
    lines = [f"{line}; not met: {'; '.join(shown + more)}" if unmet else line]
    if verbose:
        lines += [f"    not met: {one} with {other}" for one, other in coverage.unmet_pairs(_PAIRS)]
    return lines


def worth_notes(worth: Worth, tolerance: Tolerance | None) -> list[str]:
    """What is odd about a test, a sentence each."""
    given = ""
    if tolerance is not None:
        keys = [f"{key}={getattr(tolerance, key):g}" for key in ("atol", "rtol", "ulp")]
        given = f" ({', '.join(key for key in keys if not key.endswith('=0'))}, {tolerance.source})"
    notes = [
        f"the tolerance given by hand{given} is {ratio:.0f} times looser than the derived one for {name}"
        for name, ratio in worth.loose.items()
    ]
    if worth.trivial:
        fake, case_id = next(iter(worth.trivial.items()))
        more = len(worth.trivial) - 1
        others = f" (and {more} such output{'' if more == 1 else 's'} more)" if more else ""
        notes.append(f"under the tolerance given by hand{given}, {fake} would pass seed={case_id}{others}")
    notes += [
        f"the reference ignores the input {name}: other values of it change nothing" for name in worth.ignored
    ]
    return notes


def _coverage(covered: Mapping[str, int], possible: Iterable[str]) -> str:
    """The names where they are few, else how many of how many, and which are missing."""
    names = [*possible, *(name for name in covered if name not in set(possible))]
    met = [name for name in names if name in covered]
    if len(met) <= _LISTED:
        return " ".join(met)
    missing = [name for name in names if name not in covered]
    without = f" (not {' '.join(missing)})" if 0 < len(missing) <= _LISTED else ""
    return f"{len(met)} of {len(names)}{without}"


def rate(per_second: float) -> str:
    """Cases per second, to two digits at least."""
    return f"{per_second:.0f}" if per_second >= 10 else f"{per_second:.2g}"
