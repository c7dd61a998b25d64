"""Second runs of a case: what several runs of a kernel tell that one cannot.

Here: outputs kept while the kernel runs again, what differs between them, and a case with one element of
each input changed. Elsewhere: which cases run again, and calling the test for it (the pytest items), freed
memory that holds poison (stale_memory.py), the verdict on one run (judge.py).

A kernel that is right once may still give other bits the next time, leave an element as it finds it, or
give again what it gave before. None of these shows in one run whose values are right.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from pytest_gpuemu.engine import arrays, dtypes, values
from pytest_gpuemu.engine.buffers import bits, poison_bits
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array, Input, Op
from pytest_gpuemu.engine.rng import derive_seed
from pytest_gpuemu.engine.verdict import FAILED, Finding, Verdict

# Second runs need one of these checks; a run with changed inputs needs the last.
CHECKS = ("deterministic", "written", "cached")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOutput:
    """A copy of one output, and where its library put it.

    Its bits lie under a random mask, so that values which have passed are nowhere in memory for a kernel
    to find while it runs again.
    """

    masked: Array
    mask: np.unsignedinteger[Any]
    dtype: np.dtype[Any]
    library: str
    device: str

    @property
    def nbytes(self) -> int:
        return self.masked.nbytes

    def array(self) -> Array:
        plain: Array = self.masked ^ self.mask
        return plain.view(self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One element of an input that was changed between two runs, as Python numbers."""

    input: str
    index: tuple[int, ...]
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.input}{list(self.index)} {self.old!r} -> {self.new!r}"


def keep(outputs: Mapping[str, Any]) -> dict[str, KeptOutput]:
    """Copies of the outputs as the kernel gave them, by name."""
    kept = {}
    for name, given in outputs.items():
        array = np.array(arrays.to_numpy(given), order="C")
        plain = bits(array) if array.dtype.itemsize in (1, 2, 4, 8) else array.reshape(-1).view(np.uint8)
        mask = plain.dtype.type(secrets.randbits(8 * plain.dtype.itemsize))
        kept[name] = KeptOutput(
            masked=plain ^ mask,
            mask=mask,
            dtype=array.dtype,
            library=type(given).__module__.partition(".")[0],
            device=arrays.device_of(given),
        )
    return kept


def differ(first: Mapping[str, KeptOutput], second: Mapping[str, KeptOutput]) -> bool:
    """Whether any output of two runs differs. All NaNs are equal: their sign and payload mean nothing."""
    return any(
        not _comparable(first[name], second[name])
        or bool(_differing(first[name].array(), second[name].array()).any())
        for name in first
    )


def what_differs(
    op: Op,
    first: Mapping[str, KeptOutput],
    second: Mapping[str, KeptOutput],
    third: Mapping[str, KeptOutput] | None = None,
) -> list[Finding]:
    """What is wrong with outputs that differ between runs of one case on fresh buffers.

    In the second run, output buffers and freed memory were filled with poison 1, in the third with
    poison 0: an element that holds both was never written. Any other one that differs between the
    first two makes the kernel nondeterministic. Only the op's checks "written" and "deterministic" report.
    """
    found = []
    for name in first:
        if not _comparable(first[name], second[name]):
            found += _other_form(op, name, first[name], second[name])
            continue
        one, two = first[name].array(), second[name].array()
        differing = _differing(one, two)
        unwritten = np.zeros(differing.shape, dtype=bool)
        if third is not None and _comparable(first[name], third[name]):
            unwritten = _holds(two, 1) & _holds(third[name].array(), 0)
        if op.checks_for("written") and unwritten.any():
            found.append(_unwritten(name, unwritten))
        if op.checks_for("deterministic") and (differing & ~unwritten).any():
            found.append(_nondeterministic(name, one, two, differing & ~unwritten))
    return found


def change_one_element(case: Case) -> list[Change]:
    """Give each input of free values one other value of its domain, in the same memory.

    Every other element, and the memory around them, is put back to what it was before the kernel ran;
    output buffers are poisoned again. case.originals follow, so that the case can be judged. Inputs whose
    elements depend on each other (offsets, permutations) keep their values. A case of a caller's own
    arrays has no buffers, and nothing changes.
    """
    changes = []
    originals = dict(case.originals)
    for x in case.op.inputs:
        buffer = case.buffers.get(x.name)
        if buffer is None:
            continue
        buffer.fill(originals[x.name])
        change = _other_value(case, x)
        if change is not None:
            buffer.view[change.index] = change.new
            originals[x.name] = np.array(buffer.view, order="C")
            buffer.fill(originals[x.name])
            changes.append(replace(change, new=buffer.view[change.index].item()))
    for name, buffer in case.output_buffers.items():
        if name not in case.op.inplace:
            buffer.poison(1)
    case.originals = originals
    return changes


def name_cached(
    verdict: Verdict,
    before: Mapping[str, KeptOutput],
    after: Mapping[str, KeptOutput],
    changes: list[Change],
) -> Verdict:
    """The verdict on a run with changed inputs: a wrong output that is the one before is a cached one."""
    if verdict.status != FAILED:
        return verdict
    wrong = {finding.output for finding in verdict.findings}
    listed = ", ".join(map(str, changes))
    cached = [
        Finding(
            kind="Cached",
            message=f"{name} is, bit for bit, what the run before gave, though the inputs changed in the "
            f"same memory ({listed}): a result kept by address, shape or call is given again",
            output=name,
        )
        for name in before
        if name in wrong
        and _comparable(before[name], after[name])
        and not _differing(before[name].array(), after[name].array()).any()
    ]
    where = f"found when the case ran again in the same memory with {listed}"
    return replace(verdict, findings=(*cached, *verdict.findings), hints=(*verdict.hints, where))


def name_stale(verdict: Verdict) -> Verdict:
    """The verdict on a case at a campaign's end, which passed at its beginning."""
    first = Finding(
        kind="Cached",
        message="this case passed when the campaign began and fails at its end: "
        "what the kernel gives depends on what it was called with before",
    )
    return replace(verdict, findings=(first, *verdict.findings)) if verdict.failed else verdict


def _comparable(one: KeptOutput, two: KeptOutput) -> bool:
    return one.dtype == two.dtype and one.masked.shape == two.masked.shape


def _differing(one: Array, two: Array) -> npt.NDArray[np.bool_]:
    if one.dtype.itemsize not in (1, 2, 4, 8):
        return cast("npt.NDArray[np.bool_]", np.asarray(one != two))
    differing = bits(one) != bits(two)
    if dtypes.is_floating(str(one.dtype)):
        differing &= ~(np.isnan(one) & np.isnan(two))
    return cast("npt.NDArray[np.bool_]", np.asarray(differing))


def _holds(array: Array, which: int) -> npt.NDArray[np.bool_]:
    if str(array.dtype) not in dtypes.DTYPES:
        return np.zeros(array.shape, dtype=bool)
    poison = poison_bits(str(array.dtype), which)
    return cast("npt.NDArray[np.bool_]", np.asarray(bits(array) == poison))


def _unwritten(name: str, mask: npt.NDArray[np.bool_]) -> Finding:
    index = tuple(int(i) for i in np.argwhere(mask)[0])
    return Finding(
        kind="Unwritten",
        message=f"{name}: {_share(mask)} were never written: they hold whatever the memory held before, "
        f"first {name}{list(index)}",
        output=name,
        index=index,
    )


def _nondeterministic(name: str, one: Array, two: Array, mask: npt.NDArray[np.bool_]) -> Finding:
    first, second = dtypes.to_float64(one), dtypes.to_float64(two)
    with np.errstate(all="ignore"):
        distance = np.where(mask, np.abs(first - second), 0.0)
    lost = mask & (np.isnan(first) != np.isnan(second))
    distance[np.isnan(distance)] = np.inf
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), mask.shape))
    text = f"{name}: {_share(mask)} differ between two runs of the same case"
    if dtypes.is_floating(str(one.dtype)) and np.isfinite(distance).all():
        with np.errstate(all="ignore"):
            ulps = distance / dtypes.ulp(np.fmax(np.abs(first), np.abs(second)), str(one.dtype))
        worst = int(np.argmax(np.where(mask, ulps, 0.0)))
        index = tuple(int(i) for i in np.unravel_index(worst, mask.shape))
        text += f", by up to {ulps[index]:.3g} ulp"
    text += f": {name}{list(index)} is {one[index].item()!r}, then {two[index].item()!r}"
    if lost.any():
        text += " (freed memory was filled with NaN in between: does it read what was never written?)"
    return Finding(
        kind="Nondeterministic",
        message=f'{text} (meant so? checks={{"deterministic": False}})',
        output=name,
        index=index,
        expected=float(first[index]),
        actual=float(second[index]),
    )


def _other_form(op: Op, name: str, one: KeptOutput, two: KeptOutput) -> list[Finding]:
    if not op.checks_for("deterministic"):
        return []
    return [
        Finding(
            kind="Nondeterministic",
            message=f"{name} is {one.dtype} {list(one.masked.shape)}, and {two.dtype} "
            f"{list(two.masked.shape)} in a second run of the same case",
            output=name,
        )
    ]


def _other_value(case: Case, x: Input) -> Change | None:
    """An element and another value for it, of the input's own domain; None where none is found."""
    view = case.buffers[x.name].view
    if x.kind != "values" or view.size == 0:
        return None
    seed = derive_seed(case.plan.seed, f"second_run/{x.name}")
    drawn = values.fill(x, view.shape, str(view.dtype), "uniform", case.plan.dims, seed)
    other = np.argwhere(bits(drawn) != bits(np.array(view, order="C")))  # keeps 0 dims as 0 dims
    if not len(other):
        return None
    index = tuple(int(i) for i in other[seed % len(other)])
    return Change(input=x.name, index=index, old=view[index].item(), new=drawn[index])


def _share(mask: npt.NDArray[np.bool_]) -> str:
    count = int(np.count_nonzero(mask))
    return f"{count} of {mask.size} elements ({100 * count / mask.size:.1f}%)"
