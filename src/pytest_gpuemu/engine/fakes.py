"""Fake outputs: what a wrong kernel might have given for a case, made from the right output.

Here: a fixed list of them, each a pure function of the case and its right outputs. Elsewhere: which of
them a test would have passed (worth.py).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array, Float64Array

Outputs = dict[str, Array]
# Those that need no kernel at all: a test that passes one of them is worth nothing.
ZEROS, ONES, CONSTANT, INPUT = "zeros", "ones", "a constant", "the input"
_TILE = 16
_Change: TypeAlias = Callable[[Float64Array], Any]


def fakes(
    case: Case, right: Mapping[str, Array], left_out: Container[str] = frozenset()
) -> Iterator[tuple[str, Outputs]]:
    """Each fake by its name, as outputs of the right shapes and dtypes that differ from the right ones.

    Those of a whole op change every output; those of single outputs are named `OUTPUT: fake` where the
    op has several. Fakes that equal the right outputs, because of their values or shape, are left out, and
    so are those named in left_out.
    """
    for name, make in _everything(case, right):
        if name in left_out:
            continue
        with np.errstate(all="ignore"):
            changed = {key: as_dtype(array, str(right[key].dtype)) for key, array in make().items()}
        if any(not _same(array, right[key]) for key, array in changed.items()):
            yield name, {**right, **changed}


def _everything(case: Case, right: Mapping[str, Array]) -> Iterator[tuple[str, Callable[[], Outputs]]]:
    """The name of each fake that fits the case, and what makes the outputs that it changes."""
    for name, make in _WHOLE.items():
        yield name, partial(_all_changed, make, right)
    for name, taken in case.originals.items():
        fitting = [key for key, array in right.items() if array.shape == taken.shape]
        if fitting and dtypes.is_floating(str(taken.dtype)):
            yield f"{INPUT} {name}", partial(_all_same, fitting, dtypes.to_float64(taken))
    for key, array in right.items():
        place = f"{key}: " if len(right) > 1 else ""
        values = np.asarray(array, dtype=np.float64)
        has_rows = values.ndim > 1 and values.size > 0
        for name, change in {**_CHANGES, **(_ROW_CHANGES if has_rows else {})}.items():
            yield place + name, partial(_one_changed, key, change, values)


def _all_same(keys: Iterable[str], values: Array) -> Outputs:
    return dict.fromkeys(keys, values)


def _all_changed(make: Callable[[Array], Array], right: Mapping[str, Array]) -> Outputs:
    return {key: make(array) for key, array in right.items()}


def _one_changed(key: str, change: _Change, values: Float64Array) -> Outputs:
    return {key: change(values)}


def as_dtype(values: Array, dtype: str) -> Array:
    """Values rounded to a dtype; for integers, clamped to its range."""
    if dtypes.is_floating(dtype):
        return dtypes.cast(np.asarray(values, dtype=np.float64), dtype)
    if dtype == "bool" or values.dtype.kind in "iub":
        exact: Array = values.astype(dtype)
        return exact
    limits = np.iinfo(dtype)
    whole = np.nan_to_num(np.rint(values), nan=0.0, posinf=float(limits.max), neginf=float(limits.min))
    # A float beyond the range has no integer of its own: 2**63 is a float64, and one too large.
    top = np.nextafter(float(limits.max), 0.0) if limits.bits == 64 else float(limits.max)
    clipped: Array = np.clip(whole, float(limits.min), top).astype(dtype)
    return clipped


def _same(one: Array, other: Array) -> bool:
    """Whether a comparison cannot tell them apart: equal, with NaN equal to NaN."""
    one64, other64 = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    return bool(np.array_equal(one64, other64, equal_nan=True))


def _scale(values: Float64Array) -> float:
    """The root of the mean square of what is finite; 1 where that is 0."""
    finite = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(finite**2))) or 1.0 if finite.size else 1.0


def _center(values: Array) -> Array:
    as_float = np.asarray(values, dtype=np.float64)
    finite = as_float[np.isfinite(as_float)]
    return np.full(values.shape, finite.mean() if finite.size else 1.0)


def _element(at: Callable[[int], int], change: Callable[[float, float], float]) -> _Change:
    def changed(values: Float64Array) -> Float64Array:
        copy: Float64Array = values.copy()
        if copy.size:
            flat = copy.reshape(-1)
            index = at(copy.size)
            flat[index] = change(float(flat[index]), _scale(values))
        return copy

    return changed


def _flat(change: Callable[[Float64Array], None]) -> _Change:
    """A change in place of the elements in C order."""

    def changed(values: Float64Array) -> Float64Array:
        copy: Float64Array = values.copy()
        change(copy.reshape(-1))
        return copy

    return changed


def _last_half_zero(flat: Float64Array) -> None:
    flat[flat.size // 2 :] = 0


def _every_second_zero(flat: Float64Array) -> None:
    flat[1::2] = 0


def _tile(change: Callable[[Float64Array, int], None]) -> _Change:
    """A change in place of the last tile of each row: of 16 columns, or of half a short row."""

    def changed(values: Float64Array) -> Float64Array:
        copy: Float64Array = values.copy()
        if copy.ndim and copy.size:
            change(copy, min(_TILE, max(copy.shape[-1] // 2, 1)))
        return copy

    return changed


def _tile_zero(values: Float64Array, width: int) -> None:
    values[..., -width:] = 0


def _tile_repeated(values: Float64Array, width: int) -> None:
    if values.shape[-1] >= 2 * width:
        values[..., -width:] = values[..., -2 * width : -width]


def _rows(change: Callable[[Float64Array], None]) -> _Change:
    """A change in place of the rows, [rows, columns]."""

    def changed(values: Float64Array) -> Float64Array:
        copy: Float64Array = np.array(values, order="C")
        change(copy.reshape(-1, copy.shape[-1]))
        return copy

    return changed


def _first_row_zero(rows: Float64Array) -> None:
    rows[0] = 0


def _last_row_zero(rows: Float64Array) -> None:
    rows[-1] = 0


def _last_row_repeated(rows: Float64Array) -> None:
    rows[-1] = rows[-2] if len(rows) > 1 else rows[-1]


def _rows_swapped(rows: Float64Array) -> None:
    rows[[0, -1]] = rows[[-1, 0]]


def _rows_shifted(rows: Float64Array) -> None:
    rows[...] = np.roll(rows, 1, axis=0)


def _spread(values: Float64Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max() - finite.min()) if finite.size else 0.0


def _along_rows(reduce: Callable[..., Any]) -> _Change:
    return lambda v: np.broadcast_to(reduce(v, axis=-1, keepdims=True), v.shape)


_WHOLE: dict[str, Callable[[Array], Array]] = {
    ZEROS: lambda r: np.zeros(r.shape),
    ONES: lambda r: np.ones(r.shape),
    CONSTANT: _center,
    "NaN": lambda r: np.full(r.shape, np.nan),
}
_CHANGES: dict[str, _Change] = {
    "the sign flipped": lambda v: -v,
    "absolute values": np.abs,
    "negative values as 0": lambda v: np.maximum(v, 0.0),
    "doubled": lambda v: 2.0 * v,
    "halved": lambda v: v / 2.0,
    "1 % too large": lambda v: 1.01 * v,
    "1 added": lambda v: v + 1.0,
    "1 % of the range added": lambda v: v + 0.01 * _spread(v),
    "NaN and infinities as 0": lambda v: np.where(np.isfinite(v), v, 0.0),
    "rounded to whole numbers": np.rint,
    "rounded to 4 bits": lambda v: np.ldexp(np.rint(np.ldexp(np.frexp(v)[0], 4)), np.frexp(v)[1] - 4),
    "the first element changed": _element(lambda size: 0, lambda v, scale: v + scale),
    "the last element changed": _element(lambda size: size - 1, lambda v, scale: v + scale),
    "the last element 0": _element(lambda size: size - 1, lambda v, scale: 0.0),
    "one element 1 % too large": _element(lambda size: size // 2, lambda v, scale: 1.01 * v),
    "every second element 0": _flat(_every_second_zero),
    "the last half 0": _flat(_last_half_zero),
    "in reverse": _flat(lambda flat: flat.__setitem__(slice(None), flat[::-1].copy())),
    "shifted by one": _flat(lambda flat: flat.__setitem__(slice(None), np.roll(flat, 1))),
    "the last tile 0": _tile(_tile_zero),
    "the last tile that before it": _tile(_tile_repeated),
}
_ROW_CHANGES: dict[str, _Change] = {
    "the first row 0": _rows(_first_row_zero),
    "the last row 0": _rows(_last_row_zero),
    "the last row that before it": _rows(_last_row_repeated),
    "two rows swapped": _rows(_rows_swapped),
    "rows shifted by one": _rows(_rows_shifted),
    "columns shifted by one": lambda v: np.roll(v, 1, axis=-1),
    "columns in reverse": lambda v: v[..., ::-1],
    "transposed": lambda v: np.ascontiguousarray(np.swapaxes(v, -1, -2)).reshape(v.shape),
    "each row its mean": _along_rows(np.mean),
    "each row its maximum": _along_rows(np.max),
}
