"""How the wrong elements are wrong: a relation between output and reference, or between output and an input.

Here: the relations that need no further run of the reference. Elsewhere: where the elements lie (where.py),
the reference with a bug in it (inputs.py, rewrites.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pytest_gpuemu.engine import dtypes, references
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.diagnose.constants import name_of
from pytest_gpuemu.engine.diagnose.diagnosis import Clue
from pytest_gpuemu.engine.diagnose.evidence import ENOUGH_BITS, Wrong
from pytest_gpuemu.engine.diagnose.program import record
from pytest_gpuemu.engine.diagnose.steps import reduced_axis
from pytest_gpuemu.engine.errors import ReferenceFailed
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.verdict import Comparison

_EXPLAINED = 0.97
_MOST_ELEMENTS = 2**20
_LOWER = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
# Errors below this share of the largest reference value of the output are what rounding on the way makes.
_SLIGHT = 2.0**-6
# exp of less than this is 0 in float32, or subnormal.
_LOG_OF_TINY = -80.0
# Neighbouring errors, by the value of an input, are this alike where the error is a smooth function of it.
_SMOOTH, _FEWEST_OF_A_CURVE = 0.8, 32
_LOGS = ("log", "log2", "log10", "log1p")
_BLOCKS = (8, 16, 32, 64, 128, 256, 512, 1024)


def find_relations(case: Case, wrong: Wrong, comparison: Comparison) -> list[Clue]:
    """Clues on how the wrong elements of one output differ from the reference, the most telling first."""
    output, reference, mask = comparison.output, comparison.reference, comparison.exceeding
    if output is None or reference is None or mask is None or mask.size > _MOST_ELEMENTS:
        return []
    given = np.asarray(output, dtype=np.float64)
    with np.errstate(all="ignore"):
        return [
            *_nonfinite(case, wrong),
            *_constants(case, wrong, given, mask),
            *_factors(case, wrong, reference),
            *_inputs(case, wrong, reference),
            *_moved(wrong, reference),
            *_wrapped(wrong, comparison),
            *_places(case, comparison),
            *_by_row(case, wrong, given, reference, mask),
            *_lower_precision(wrong, reference),
            *_slight(case, wrong),
        ]


def _nonfinite(case: Case, wrong: Wrong) -> Iterator[Clue]:
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    lost = ~np.isfinite(right) & np.isfinite(given)
    nan = np.isnan(right) & ~np.isnan(given)
    made = np.isnan(given) & ~np.isnan(right)
    infinite = np.isinf(given) & np.isfinite(right)
    count = given.size
    zero = np.isneginf(given) & (right < _LOG_OF_TINY) & np.isfinite(right)
    if zero.mean() > 0.5 and any(step.name in _LOGS for step in record(case)):
        yield _clue(
            "log of zero",
            wrong,
            f"the output is -inf where {right[zero].max():.4g} or less is right: the log of an underflow",
            float(zero.mean()),
        )
    if nan.all():
        yield _clue("nan lost", wrong, "NaN is lost: the output is a number where it should be NaN", 1.0)
    elif lost.mean() >= _EXPLAINED:
        yield _clue(
            "nonfinite lost",
            wrong,
            "the output is finite where it should be infinite or NaN",
            float(lost.mean()),
        )
    if made.any():
        share = float(made.mean())
        yield _clue("nan made", wrong, f"{int(made.sum())} of {count} wrong elements are NaN", share)
    if infinite.any():
        share = float(infinite.mean())
        yield _clue("inf made", wrong, f"{int(infinite.sum())} of {count} wrong elements are infinite", share)


def _constants(case: Case, wrong: Wrong, output: Float64Array, mask: Array) -> Iterator[Clue]:
    """All wrong elements are one number."""
    given = output[mask]
    first = given[0]
    if given.size >= 2 and np.all(given == first):
        right = wrong.reference[wrong.exceeding]
        if np.ptp(right[np.isfinite(right)]) > 0 if np.isfinite(right).any() else False:
            what = "zero" if first == 0 else f"{first:g}"
            kind = "zeros" if first == 0 else "constant"
            yield _clue(kind, wrong, f"every wrong element is {what}", 1.0, value=float(first))


def _factors(case: Case, wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """One factor or one offset between reference and output."""
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    usable = np.isfinite(given) & np.isfinite(right) & (right != 0) & (given != 0)
    if not usable.any():
        return
    with np.errstate(all="ignore"):
        ratio = given[usable] / right[usable]
        factor = float(np.median(ratio))
        spread = float(np.median(np.abs(ratio / factor - 1.0))) if factor else np.inf
    if np.isfinite(factor) and factor != 0:
        unit = dtypes.properties(wrong.dtype).unit_roundoff if dtypes.is_floating(wrong.dtype) else 0.0
        tolerance = min(max(2 * spread, unit, 1e-6), 2.0**-5)
        name = name_of(factor, case.plan.dims, case.params, tolerance)
        agreement = wrong.agreement(reference * factor)
        if agreement is not None and agreement.explained >= _EXPLAINED and agreement.bits >= ENOUGH_BITS:
            if factor == -1.0 or name == "-1":
                yield _clue("sign", wrong, "the sign is wrong: output = -reference", agreement.explained)
            else:
                told = f"{name} = {factor:.6g}" if name else f"{factor:.6g}"
                yield _clue(
                    "ratio",
                    wrong,
                    f"output = reference * {told}",
                    agreement.explained,
                    factor=factor,
                    name=name,
                    everywhere=agreement.kept >= _EXPLAINED,
                )
    difference = (given - right)[usable]
    offset = float(np.median(difference))
    agreement = wrong.agreement(reference + offset)
    if (
        offset != 0
        and usable.sum() >= 2
        and agreement is not None
        and agreement.explained >= _EXPLAINED
        and agreement.bits >= ENOUGH_BITS
    ):
        yield _clue(
            "offset",
            wrong,
            f"output = reference {'+' if offset > 0 else '-'} {abs(offset):.6g}",
            agreement.explained,
            offset=offset,
            everywhere=agreement.kept >= _EXPLAINED,
        )
    flipped = wrong.agreement(-reference)
    if flipped is not None and factor > 0 and flipped.explained >= _EXPLAINED and flipped.bits >= ENOUGH_BITS:
        yield _clue("sign", wrong, "the sign is wrong: output = -reference", flipped.explained)


def _inputs(case: Case, wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """The output holds an input, where it is wrong."""
    for name, array in case.originals.items():
        if tuple(array.shape) != wrong.shape or array.size < 2:
            continue
        agreement = wrong.agreement(np.asarray(array, dtype=np.float64))
        if agreement and agreement.explained >= _EXPLAINED and agreement.bits >= ENOUGH_BITS:
            yield _clue("input", wrong, f"output = the input {name}", agreement.explained, input=name)


def _moved(wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """The reference's own values at other places."""
    if wrong.exceeding.sum() < 2:
        return
    ndim = reference.ndim
    for axis in range(ndim):
        if reference.shape[axis] < 3:
            continue
        for step in (1, -1):
            moved = np.roll(reference, step, axis=axis)
            valid = np.ones(reference.shape, dtype=bool)
            valid[(slice(None),) * axis + ((0 if step > 0 else -1),)] = False
            if _holds(wrong, moved, valid):
                along = "neighbouring row" if ndim == 2 and axis == 0 else "neighbour"
                yield _clue(
                    "shifted",
                    wrong,
                    f"each wrong element is its {along}'s: output[i] = reference[i {-step:+d}]"
                    f" along axis {axis}",
                    1.0,
                    axis=axis,
                    step=step,
                )
        if _holds(wrong, np.flip(reference, axis)):
            yield _clue("reversed", wrong, f"the output is reversed along axis {axis}", 1.0, axis=axis)
    if ndim >= 2:
        swapped = np.swapaxes(reference, -1, -2)
        if _holds(wrong, swapped.reshape(reference.shape)):
            yield _clue("transposed", wrong, "the output is transposed (rows and columns exchanged)", 1.0)


def _wrapped(wrong: Wrong, comparison: Comparison) -> Iterator[Clue]:
    """Integers that lost their upper bits."""
    if comparison.output is None or comparison.output.dtype.kind not in "iu":
        return
    right = wrong.reference
    if not np.isfinite(right).all():
        return
    for kind in ("int8", "uint8", "int16", "uint16", "int32"):
        narrowed = right.astype(np.int64).astype(kind).astype(np.float64)
        given = wrong.output[wrong.exceeding]
        if np.array_equal(narrowed[wrong.exceeding], given):
            yield _clue("narrowed", wrong, f"output = reference as {kind}", 1.0, dtype=kind)
            return


def _places(case: Case, comparison: Comparison) -> Iterator[Clue]:
    """Indices that lack the start of their block, or their upper bits."""
    given, mask = comparison.interpreted, comparison.exceeding
    if given is None or mask is None or given.shape != mask.shape:
        return
    try:
        right = references.evaluate(case.op, case.op.references[0], case).get(comparison.name)
    except ReferenceFailed:
        return
    if right is None or right.shape != given.shape or right.dtype.kind not in "iu":
        return
    wrong_given, wrong_right = given[mask].astype(np.int64), right[mask].astype(np.int64)
    for block in _BLOCKS:
        share = float(np.mean(wrong_given == wrong_right % block))
        if share >= _EXPLAINED and (wrong_right >= block).all():
            text = f"each index lacks the start of its block: it is that of the reference modulo {block}"
            yield Clue(
                kind="index in block",
                output=comparison.name,
                text=text,
                explained=share,
                evidence={"block": block},
            )
            return
    for kind in ("int8", "uint8", "int16"):
        share = float(np.mean(wrong_given == wrong_right.astype(kind)))
        if share >= _EXPLAINED:
            text = f"each index is that of the reference as {kind}"
            yield Clue(
                kind="narrowed", output=comparison.name, text=text, explained=share, evidence={"dtype": kind}
            )
            return


def _by_row(
    case: Case, wrong: Wrong, output: Float64Array, reference: Float64Array, mask: Array
) -> Iterator[Clue]:
    """A factor or an offset of its own for each row (each index of all axes but the last)."""
    if reference.ndim < 2 or reference.shape[-1] < 3:
        return
    rows = mask.reshape(-1, mask.shape[-1])
    hit = np.flatnonzero(rows.sum(axis=1) >= 2)
    if hit.size == 0:
        return
    given, right = output.reshape(rows.shape)[hit], reference.reshape(rows.shape)[hit]
    finite = np.isfinite(given) & np.isfinite(right) & (np.abs(right) > 0)
    ratio = np.where(finite, given / right, np.nan)
    difference = np.where(finite, given - right, np.nan)
    for kind, measured, form in (
        ("row ratio", ratio, "times a factor"),
        ("row offset", difference, "plus an offset"),
    ):
        known = np.isfinite(measured).any(axis=1)
        if known.mean() < 0.5:
            continue
        middle = np.full((hit.size, 1), np.nan)
        middle[known] = np.nanmedian(measured[known], axis=1, keepdims=True)
        suspected = reference.reshape(rows.shape).copy()
        suspected[hit] = right * middle if kind == "row ratio" else right + middle
        valid = np.ones(rows.shape, dtype=bool)
        valid[hit] = np.isfinite(measured)
        agreement = wrong.agreement(suspected.reshape(reference.shape), valid)
        if agreement is None or agreement.explained < _EXPLAINED or agreement.bits < 2 * ENOUGH_BITS:
            continue
        low, high = float(np.nanmin(middle)), float(np.nanmax(middle))
        named = _of_row(case, kind, middle[:, 0], hit, rows.shape)
        if named is None and (hit.size == 1 or high - low <= 1e-3 * abs(high)):
            continue
        of = f", which is {named}" if named else ""
        yield _clue(
            kind,
            wrong,
            f"each row is the reference's {form} of its own ({low:.3g} to {high:.3g}, {hit.size} rows){of}",
            agreement.explained,
            low=low,
            high=high,
            rows=int(hit.size),
            name=named,
        )
        return


def _of_row(case: Case, kind: str, measured: Float64Array, hit: Array, shape: tuple[int, ...]) -> str | None:
    """What the factor or offset of each row is, of the same row of an input: its maximum, exp of that."""
    usable = np.isfinite(measured) & (measured != 0)
    if usable.mean() < 0.5:
        return None
    for name, given in case.originals.items():
        array = np.asarray(given, dtype=np.float64)
        if array.ndim < 2 or array.size // max(array.shape[-1], 1) != shape[0]:
            continue
        by_row = array.reshape(shape[0], -1)[hit]
        for what, values in (
            ("the maximum", by_row.max(axis=1)),
            ("the minimum", by_row.min(axis=1)),
            ("the mean", by_row.mean(axis=1)),
            ("the sum", by_row.sum(axis=1)),
        ):
            for form, number in (
                ("{}", values),
                ("-{}", -values),
                ("exp({})", np.exp(values)),
                ("exp(-{})", np.exp(-values)),
                ("1/{}", 1.0 / values),
            ):
                close = np.abs(number - measured) <= 2.0**-6 * np.abs(measured)
                if np.all(close[usable]) and np.abs(values[usable]).max() > 0.1:
                    return form.format(f"{what} of that row of {name}")
    return None


def _lower_precision(wrong: Wrong, reference: Float64Array) -> Iterator[Clue]:
    """The reference, rounded to a narrower dtype."""
    if not dtypes.is_floating(wrong.dtype):
        return
    own = dtypes.properties(wrong.dtype).unit_roundoff
    for dtype in _LOWER:
        if dtypes.properties(dtype).unit_roundoff <= own:
            continue
        rounded = reference.astype(dtypes.numpy_dtype(dtype)).astype(np.float64)
        if _holds(wrong, rounded):
            yield _clue("rounded", wrong, f"output = reference rounded to {dtype}", 1.0, dtype=dtype)
            return


def _slight(case: Case, wrong: Wrong) -> Iterator[Clue]:
    """Errors of both signs, small beside the values: what rounding makes."""
    given, right = wrong.output[wrong.exceeding], wrong.reference[wrong.exceeding]
    if not dtypes.is_floating(wrong.dtype) or not (np.isfinite(given) & np.isfinite(right)).all():
        return
    finite = np.abs(wrong.reference[np.isfinite(wrong.reference)])
    largest = float(finite.max()) if finite.size else 0.0
    error = wrong.error[wrong.exceeding]
    if largest == 0 or float(error.max()) > _SLIGHT * largest:
        return
    share = float(error.max()) / largest
    is_pointwise = all(reduced_axis(step) is None for step in record(case))
    for name, array in case.originals.items():
        if tuple(array.shape) == wrong.shape and given.size >= _FEWEST_OF_A_CURVE and is_pointwise:
            at = np.asarray(array, dtype=np.float64).reshape(-1)[wrong.at[wrong.exceeding]]
            signed = (given - right)[np.argsort(at, kind="stable")]
            if float(np.sum(signed[1:] * signed[:-1])) > _SMOOTH * float(np.sum(signed * signed)):
                yield _clue(
                    "smooth",
                    wrong,
                    f"the error is small and a smooth function of {name}: another formula, not rounding",
                    1.0,
                    input=name,
                )
                return
    yield _clue(
        "slight",
        wrong,
        f"the errors are small: at most {share:.2g} of the largest value (2**{np.log2(share):.1f})",
        1.0,
        share=share,
        positive=float((given > right).mean()),
    )


def _holds(wrong: Wrong, suspected: Array, valid: Array | None = None) -> bool:
    agreement = wrong.agreement(suspected, valid)
    return agreement is not None and agreement.explained >= _EXPLAINED and agreement.bits >= ENOUGH_BITS


def _clue(kind: str, wrong: Wrong, text: str, explained: float, **evidence: object) -> Clue:
    return Clue(kind=kind, output=wrong.name, text=text, explained=explained, evidence=evidence)


def told_apart(clues: list[Clue], several: bool) -> list[Clue]:
    """The clues with the output's name before their text, where an op has several outputs."""
    return [replace(clue, text=f"{clue.output}: {clue.text}") for clue in clues] if several else clues
