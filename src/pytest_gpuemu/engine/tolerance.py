"""Tolerances: how far each element of an output may lie from its float64 reference.

Here: what rounding to the output's dtype allows, the derived tolerance, the one given by hand, and
when a bound on the kernel's own arithmetic has to be computed for them.
Elsewhere: the bound itself (trace/, spread.py), the rules for NaN and infinities (compare.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pytest_gpuemu.engine import dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array, Float64Array, Op, Reference, Tolerance
from pytest_gpuemu.engine.spread import spread
from pytest_gpuemu.engine.trace import Bound, error_bound

# The one safety factor, on the bound of the arithmetic and never on the output's rounding.
SAFETY = 2.0
# A given tolerance is shown beside the derived one from here on.
LOOSE = 10.0
# Float64 results of two libraries are equal to this share: their functions and sums differ in the last bits.
_LAST_BITS = 2.0**-40
# Each compute type allows every rounding of those before it.
WIDER_COMPUTE = ("float32-strict", "float32", "tf32", "storage")


def compute_type(op: Op, output_dtypes: Iterable[str]) -> str:
    """The op's compute type; by default float32, and float64 where every floating output is float64."""
    if op.compute is not None:
        return op.compute
    floating = {name for name in output_dtypes if dtypes.is_floating(name)}
    return "float64" if floating == {"float64"} else "float32"


def unit_roundoff(compute: str, dtype: str) -> float:
    """Half the gap above 1.0 of the type that a kernel computes in; dtype is its output's."""
    if compute == "storage" and dtypes.is_floating(dtype):
        return dtypes.properties(dtype).unit_roundoff
    return dtypes.properties("float64" if compute == "float64" else "float32").unit_roundoff


def rounding_allowance(reference: Float64Array, dtype: str, rounding: str) -> Float64Array:
    """What rounding an exact result to dtype may cost: half an ulp, or a whole one if "faithful".

    reference holds float64 values; for an integer dtype a whole number is half a unit from the next
    rounding. In the output's own units.
    """
    share = 1.0 if rounding == "faithful" else 0.5
    if not dtypes.is_floating(dtype):
        return np.full(np.shape(reference), share)
    return share * dtypes.ulp(reference, dtype)


def derived_allowance(
    reference: Float64Array, errors: Float64Array, dtype: str, rounding: str
) -> Float64Array:
    """ulp(|reference| + K*E)/2 + K*E, with E the error bound of the arithmetic and K = SAFETY.

    inf where E is. Theory and measurements: docs/tolerance.md.
    """
    slack = SAFETY * errors
    with np.errstate(invalid="ignore"):
        return rounding_allowance(np.abs(reference) + slack, dtype, rounding) + slack


def given_allowance(reference: Float64Array, tolerance: Tolerance, dtype: str) -> Float64Array:
    """atol + rtol*|reference|, or the given number of ulps where that is more."""
    with np.errstate(invalid="ignore", over="ignore"):
        allowed = tolerance.atol + tolerance.rtol * np.abs(reference)
    if not tolerance.ulp:
        return np.asarray(allowed)
    step = dtypes.ulp(reference, dtype) if dtypes.is_floating(dtype) else 1.0
    return np.fmax(allowed, tolerance.ulp * step)


def row_errors(reference: Float64Array, unit: float) -> Float64Array:
    """unit * max|reference| of each element's row, the last axis: what scale="row" allows besides.

    The backward error of a form that is less stable than the reference's, such as x - (m + log(sum)).
    """
    if reference.ndim == 0 or reference.size == 0:
        return unit * np.abs(reference)
    finite = np.where(np.isfinite(reference), np.abs(reference), 0.0)
    return np.broadcast_to(unit * finite.max(axis=-1, keepdims=True), reference.shape)


@dataclass(slots=True)
class ErrorBounds:
    """The bounds E of one reference on one case, each computed when first asked for and then kept.

    E is 0 where the result is exact and inf where no bound holds (undetermined). exact names outputs
    that are compared by values read from the inputs, such as the one that argmax's index leads to:
    these have no error, however close the rivals of an index may be. reference_values are the reference's own
    outputs, where they are known: an element of which the trace found another value is undetermined.
    """

    reference: Reference
    case: Case
    compute: str
    exact: frozenset[str] = frozenset()
    reference_values: Mapping[str, Array] | None = None
    _bound: Bound | None = field(default=None, init=False)
    _spread: dict[str, Float64Array] | None = field(default=None, init=False)
    _conventional: Mapping[str, Array] | None = field(default=None, init=False)

    @property
    def bound(self) -> Bound:
        if self._bound is None:
            self._bound = error_bound(self.reference, self.case, compute=self.compute)
        return self._bound

    @property
    def note(self) -> str | None:
        """Why the bound is a fallback, where it is one."""
        return self.bound.note

    def traced(self, name: str) -> Float64Array:
        """E of an output by its trace."""
        errors = np.asarray(self.bound.errors[name], dtype=np.float64)
        if name in self.exact:
            return np.zeros_like(errors)
        if self.reference_values is None or self.bound.method != "trace":
            return errors
        return _where_followed(errors, self.bound.values[name], self.reference_values[name])

    def conventional(self, name: str) -> Array | None:
        """The mask of an output's elements for which no one answer is right; None where the op has none."""
        if self.case.op.conventions is None:
            return None
        if self._conventional is None:
            self._conventional = self.case.op.conventions(self)
        return self._conventional[name]

    def widened(self, name: str) -> Float64Array:
        """max(E, spread), the spread where E > 0: what the trace called exact stays exact."""
        traced = self.traced(name)
        if self._spread is None:
            self._spread = dict(spread(self.reference, self.case, compute=self.compute))
        moved = np.where(np.isnan(self._spread[name]), np.inf, self._spread[name])
        return np.where(traced > 0, np.fmax(traced, moved), traced)


def _where_followed(errors: Float64Array, traced: Array, reference: Array) -> Float64Array:
    """The errors, and inf where the trace found another value than the reference's own.

    Of a tie it may take another member, and products of infinities depend on the order they are made in. A
    difference within the error, or within what two libraries round differently, is none.
    """
    if traced.shape != reference.shape:
        return np.full(reference.shape, np.inf)
    found, own = as_float64(traced), as_float64(reference)
    with np.errstate(all="ignore"):
        same = (found == own) | (np.isnan(found) & np.isnan(own))
        if same.all():
            return errors
        same |= np.abs(found - own) <= errors + _LAST_BITS * np.abs(own)
    return np.where(same, errors, np.inf)


def as_float64(array: Array) -> Float64Array:
    """Values for measuring errors: exact for floats and for integers below 2**53."""
    return np.asarray(array, dtype=np.float64)
