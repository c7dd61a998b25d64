"""How a failed case reads: plain lines of text, for a terminal of any width.

Here: the headline, the case, the worst elements, where the exceeding ones lie, hints and commands.
Elsewhere: what was found (judge.py), what is made of it (diagnose/), the picture of it (heatmap.py), where
inputs are not finite (specials.py), which failures are shown in full (the pytest items).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.configs import describe_config
from pytest_gpuemu.engine.diagnose.diagnosis import Diagnosis
from pytest_gpuemu.engine.diagnose.where import hit_along
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.specials import describe_specials
from pytest_gpuemu.engine.ulps import ulp_histogram
from pytest_gpuemu.engine.verdict import Comparison, Finding, Verdict

MAX_ELEMENTS = 5
# Beyond so many exceeding elements the worst one says it all.
_FEW = 64


def describe_failure(
    case: Case, verdict: Verdict, *, commands: Sequence[str] = (), diagnosis: Diagnosis | None = None
) -> list[str]:
    """The report of a failed case, a line a fact; the first names op and seed and says what is wrong.

    commands are what to type: the first re-runs this item, the second does so anywhere; one that has
    --gpuemu-minimize shrinks the case. diagnosis, where one was made, says what is behind the numbers.
    """
    several = len(case.op.outputs) > 1
    first, *others = verdict.findings
    headline, *rest = _headline(first, several).splitlines()
    lines = [f"{verdict.op} fails for seed {case.plan.case_id}: {headline}", *_indented(rest)]
    for finding in others:
        lines += _labelled("also", _headline(finding, several))
    lines += describe_case(case)
    for held in describe_specials(case, verdict.comparisons):
        lines += _labelled("holds", held)
    has_place = diagnosis is not None and bool(diagnosis.where)
    for comparison in verdict.comparisons:
        lines += _describe_comparison(comparison, has_place)
    for label, text in () if diagnosis is None else diagnosis.lines():
        lines += _labelled(label, text)
    for hint in verdict.hints:
        lines += _labelled("hint", hint)
    return lines + _describe_commands(commands)


def describe_case(case: Case) -> list[str]:
    """Its inputs, params and what narrows its op: a line each."""
    plan = case.plan
    lines: list[str] = []
    for name, array in case.inputs.items():
        shown = "" if len(case.inputs) == 1 else f"{name}: "
        layout, values = plan.layouts.get(name), plan.values.get(name)
        kind = case.op.input(name).kind
        lines += _labelled(
            "input",
            f"{shown}{array.dtype} {list(array.shape)}, strides {_tuple(array.strides)} bytes"
            + (f", layout {layout}" if layout else "")
            + (f", {kind}" if kind != "values" else f", values {values}" if values else ""),
        )
    if plan.params:
        lines += _labelled("params", ", ".join(f"{name}={value!r}" for name, value in plan.params.items()))
    if plan.config is not None:
        lines += _labelled("config", describe_config(case.op, plan))
    if case.op.overrides:
        narrowed = ", ".join(f"{key}={value!r}" for key, value in case.op.overrides.items())
        lines += _labelled("narrow", narrowed)
    return lines


def describe_pattern(mask: Array) -> str | None:
    """Where the True elements of a mask lie, if that is a simple place: one row, the tail of an axis.

    None for fewer than two elements or for all of them, and where nothing simple holds.
    """
    count = int(np.count_nonzero(mask))
    if count < 2 or count == mask.size:
        return None
    places = []
    for axis, size in enumerate(mask.shape):
        if size < 2:
            continue
        hit = np.flatnonzero(hit_along(mask, axis))
        row = ("row", "column")[axis] if mask.ndim == 2 else "index"
        of_axis = "" if mask.ndim <= 2 else f" of axis {axis}"
        if hit.size == 1:
            place = f"{'in' if mask.ndim == 2 else 'at'} {row} {hit[0]}{of_axis}"
            places.append(place if hit[0] != size - 1 else f"{place} (the last)")
        elif hit[0] > 0 and hit.size == size - hit[0]:
            places.append(f"at {row} {hit[0]} or above{of_axis} (of {size})")
    return f"every exceeding element is {' and '.join(places)}" if places else None


def _headline(finding: Finding, several: bool) -> str:
    values = finding.kind in ("ToleranceExceeded", "NaNDetected", "InfDetected")
    return (
        f"{finding.output}: {finding.message}" if values and several and finding.output else finding.message
    )


def _describe_comparison(comparison: Comparison, has_place: bool) -> list[str]:
    """has_place: a diagnosis says where the exceeding elements lie."""
    stats, lines = comparison.stats, []
    if stats.num_exceeding:
        for label, text in _elements(comparison):
            lines += _labelled(label, text)
        mask = None if has_place else comparison.exceeding
        if mask is not None and (pattern := describe_pattern(mask)):
            lines += _labelled("pattern", pattern)
        lines += _labelled(
            "errors",
            _not_finite(comparison)
            or f"max {stats.max_abs:.3g}{_ulps(comparison, stats.max_ulp)}, mean {stats.mean_abs:.3g}"
            f"{_ulps(comparison, stats.mean_ulp)}, p50 {stats.p50_abs:.3g}, p99 {stats.p99_abs:.3g}",
        )
        if (histogram := ulp_histogram(comparison)) is not None and histogram.total > 1:
            lines += _labelled("ulps", histogram.line)
    if stats.num_undetermined:
        share = 100 * stats.num_undetermined / stats.count
        lines += _labelled(
            "besides",
            f"{stats.num_undetermined} of {stats.count} elements ({share:.1f}%) of {comparison.name} are "
            "undetermined: no error bound holds for them, so they were not judged",
        )
    return lines


def _elements(comparison: Comparison) -> Iterator[tuple[str, str]]:
    """The worst element; where few exceed, the next worst, too."""
    source = comparison.tolerance
    if source == "derived" and comparison.method == "fallback":
        source = "derived, by fallback"
    if comparison.worst is not None:
        worst = comparison.worst
        yield (
            "worst",
            _element(
                comparison, worst.index, worst.output, worst.reference, worst.error, worst.ulp, worst.allowed
            )
            + f" ({source})",
        )
    mask, allowed = comparison.exceeding, comparison.allowed
    if mask is None or allowed is None or comparison.output is None or comparison.reference is None:
        return
    indices = np.argwhere(mask)
    if not 1 < len(indices) <= _FEW:
        return
    output = np.asarray(comparison.output[mask], dtype=np.float64)
    reference = comparison.reference[mask]
    with np.errstate(all="ignore"):
        error = np.abs(output - reference)
        error[np.isnan(error)] = np.inf
        order = np.argsort(-error / np.fmax(allowed, np.finfo(np.float64).tiny), kind="stable")
    shown = 1
    for at in order:
        index = tuple(int(i) for i in indices[at])
        if shown < MAX_ELEMENTS and (comparison.worst is None or index != comparison.worst.index):
            shown += 1
            yield "", _element(comparison, index, output[at], reference[at], error[at], None, allowed[at])


def _element(
    comparison: Comparison,
    index: tuple[int, ...],
    output: float,
    reference: float,
    error: float,
    ulp: float | None,
    allowed: float,
) -> str:
    name = comparison.name + (f"[{', '.join(map(str, index))}]" if index else "")
    exact = not dtypes.is_floating(comparison.dtype)
    given = _number(output, exact)
    if comparison.interpreted is not None:
        given = f"{comparison.interpreted[index].item()!r}, which leads to {_number(output, False)}"
        exact = False
    text = f"{name} = {given}, reference {_number(reference, exact)}"
    if not np.isfinite(error):
        return f"{text}: allowed {allowed:.2g}" if np.isfinite(reference) else f"{text}: not the same"
    ulps = "" if ulp is None else _ulps(comparison, ulp)
    return f"{text}: off by {error:.6g}{ulps}, allowed {allowed:.2g}"


def _ulps(comparison: Comparison, count: float) -> str:
    """So many ulp; beyond 2^p no digit of a number of p bits is right, and how many more tells nothing."""
    if not dtypes.is_floating(comparison.dtype):
        return ""
    bits = dtypes.properties(comparison.dtype).precision
    if count > 2.0**bits:
        return f" (over 2^{bits} ulp)"
    return f" ({count:.0f} ulp)" if count >= 100 else f" ({count:.3g} ulp)"


def _not_finite(comparison: Comparison) -> str | None:
    """What is wrong where no exceeding element has a finite error, which has no size; None where one has."""
    if comparison.exceeding is None or comparison.output is None or comparison.reference is None:
        return None
    output = dtypes.to_float64(comparison.output[comparison.exceeding])
    reference = np.asarray(comparison.reference[comparison.exceeding], dtype=np.float64)
    if np.any(np.isfinite(output) & np.isfinite(reference)):
        return None
    pairs = Counter(zip(map(_sort_of, output), map(_sort_of, reference), strict=True))
    return "none is finite: " + ", ".join(
        f"{count} {'is' if count == 1 else 'are'} {given} where the reference is {wanted}"
        for (given, wanted), count in pairs.most_common()
    )


def _sort_of(value: float) -> str:
    return "NaN" if np.isnan(value) else "finite" if np.isfinite(value) else "inf" if value > 0 else "-inf"


def _describe_commands(commands: Sequence[str]) -> list[str]:
    shrinking = [command for command in commands if "--gpuemu-minimize" in command]
    running = [command for command in commands if command not in shrinking]
    lines = []
    if running:
        anywhere = f"   (anywhere: {running[1]})" if len(running) > 1 else ""
        lines += _labelled("re-run", running[0] + anywhere)
    for command in shrinking:
        lines += _labelled("shrink", command)
    return lines


def _labelled(label: str, text: str) -> list[str]:
    """Indented lines, the first after its label."""
    first, *rest = text.splitlines() or [""]
    return [f"  {label:<7} {first}", *_indented(rest)]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"          {line}" for line in lines]


def _number(value: float, exact: bool) -> str:
    return str(int(value)) if exact and np.isfinite(value) and value == int(value) else repr(float(value))


def _tuple(values: Sequence[Any]) -> str:
    return f"({', '.join(map(str, values))})"
