"""The rounding of one step, and what overflow, underflow and infinities do to an error.

Here: adding a step's own rounding to a propagated error; propagation by evaluating at x +- e, for
the elements where no closed form holds.
Elsewhere: the closed forms (closed_forms.py), sums (reductions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.trace.run import Run
from pytest_gpuemu.engine.trace.traced import Error, Traced, has_error, is_real

# f(x) is infinite at this argument itself, not by overflow, so an exact argument gives an exact inf.
_POLES: dict[str, Callable[[Sequence[Array]], Array]] = {
    "divide": lambda xs: xs[1] == 0,
    "reciprocal": lambda xs: xs[0] == 0,
    "power": lambda xs: xs[0] == 0,
    "float_power": lambda xs: xs[0] == 0,
}
_OVERFLOWING = """
    add subtract multiply square exp exp2 expm1 sinh cosh divide reciprocal power float_power hypot
    logaddexp logaddexp2 ldexp cumsum sum matmul cbrt
"""
_OVERFLOW = frozenset(_OVERFLOWING.split())
# Zero here may be an underflow: the operands being finite (and nonzero in a product) says so.
_VANISHING = frozenset(["exp", "exp2", "expit", "erfc", "ndtr", "erfcx"])
_PRODUCTS = frozenset(["multiply", "divide", "square", "power", "float_power", "reciprocal"])


def difference(moved: Array, value: Array) -> Array:
    """|moved - value| elementwise; 0 where both are the same infinity or NaN, inf where only one is NaN."""
    same = (moved == value) | ((moved != moved) & (value != value))
    away = np.abs(np.asarray(moved, float) - np.asarray(value, float))
    return np.where(same, 0.0, np.where(away != away, np.inf, away))


def by_evaluation(
    f: Callable[..., Any],
    values: Sequence[Any],
    errors: Sequence[Error],
    value: Array,
    largest: float,
    pole: int | None = None,
) -> Array:
    """Sum over the arguments of max |f(x +- e) - f(x)|: rigorous where f is monotone in each.

    An argument that is undetermined (e = inf) is tried at both infinities and both ends of the range.
    pole is the argument at whose zero f jumps between infinities: e >= |x| there gives inf.
    """
    total = np.zeros(np.shape(value))
    for i, (x, e) in enumerate(zip(values, errors, strict=True)):
        if not np.any(e):
            continue
        x = np.asarray(x, float)
        free = np.isinf(e)
        tries: list[tuple[float, float | None]] = [(1.0, None), (-1.0, None)]
        if free.any():
            tries += [(1.0, largest), (-1.0, largest)]
        worst = np.zeros(np.shape(value))
        for sign, end in tries:
            at_end = np.inf if end is None else end
            near = np.where(free, sign * at_end, x + sign * np.where(free, 0.0, e))
            moved = f(*[near if j == i else y for j, y in enumerate(values)])
            worst = np.maximum(worst, difference(moved, value))
        if i == pole:
            worst = np.where((e >= np.abs(x)) & (np.asarray(e) > 0) & ~free, np.inf, worst)
        # A NaN hides what its partner does, and of a lost operand (lost) nothing is known.
        total = total + np.where(free & np.isnan(x), np.inf, worst)
    return total


def lost(result: Traced, where: Any) -> Traced:
    """The result with nothing known of the elements of a mask, which follow from a reduction that overflows.

    In one order of its terms it is finite, in another an infinity, or NaN where two of these meet. So the
    value becomes NaN, undetermined (error inf), and with it whatever is computed from it: an overflowed
    element of no reduction is one infinity at most, which 1/x or tanh make finite again.
    """
    if not np.any(where):
        return result
    where = np.broadcast_to(where, result.shape)
    result.value = np.where(where, np.nan, result.value)
    result.error = np.where(where, np.inf, result.error)
    return result


def finish(
    run: Run,
    name: str,
    value: Any,
    propagated: Error,
    units: float,
    *,
    absolute: float = 0.0,
    operands: Sequence[Any] = (),
    irregular: Callable[[Array], Array] | None = None,
) -> Traced:
    """A step's result: the propagated error, plus the rounding of the step itself.

    units is the step's rounding in units of u*|value|; absolute in units of u. Every rounded result
    also gets the smallest normal number, so that a flushed subnormal is allowed, except where it is
    an exact zero. |value| + error beyond the range is undetermined. propagated is taken over, and may
    hold NaN or inf where its closed form fails: there, and where the value is not finite,
    irregular(mask) gives the propagated error instead.
    """
    value = np.asarray(value)
    if not is_real(value) or not (units or absolute):
        return Traced(run, value, _exact_step(value, propagated, irregular))
    arithmetic = run.arithmetic
    unit = units * arithmetic.unit + arithmetic.step_unit
    tiny = arithmetic.tiny + arithmetic.step_tiny
    size = np.abs(value).astype(np.float64, copy=False)
    error = size * unit
    if has_error(propagated):
        error += propagated
    if absolute:
        error += absolute * arithmetic.unit
    if np.count_nonzero(error) == error.size:
        error += tiny
    else:
        error += tiny * ((error > 0) | (size > 0) | _underflowed(name, size, operands))
    size += error
    if is_overflowing(size, arithmetic.largest):
        error = _repair(run, name, value, np.asarray(error), unit, tiny, absolute, operands, irregular)
    return Traced(run, value, np.asarray(error))


def _exact_step(value: Array, propagated: Error, irregular: Callable[[Array], Array] | None) -> Error:
    """The error of a step that rounds nothing; an infinite value without perturbation is exact."""
    if not has_error(propagated):
        return 0.0
    error = np.array(np.broadcast_to(propagated, value.shape))
    bad = ~np.isfinite(error)
    if value.dtype.kind == "f":
        bad |= ~np.isfinite(value)
    if bad.any():
        fixed = irregular(bad) if irregular is not None else error[bad]
        error[bad] = np.where(np.isnan(fixed), np.inf, fixed)
    return error


def is_overflowing(size: Any, largest: float) -> bool:
    """Whether any magnitude is above the range, infinite or NaN."""
    return size.size > 0 and not size.max() <= largest


def _underflowed(name: str, size: Array, operands: Sequence[Any]) -> Any:
    if name in _VANISHING:
        return np.isfinite(operands[0])
    if name in _PRODUCTS and operands:
        nonzero = True
        for x in operands:
            nonzero = nonzero & (np.asarray(x) != 0) & np.isfinite(x)
        return nonzero if name != "power" else nonzero & (size == 0)
    return False


def _repair(
    run: Run,
    name: str,
    value: Array,
    error: Array,
    unit: float,
    tiny: float,
    absolute: float,
    operands: Sequence[Any],
    irregular: Callable[[Array], Array] | None,
) -> Array:
    """The error with its irregular elements put right: overflow, infinities, NaN."""
    largest = run.arithmetic.largest
    error = np.array(np.broadcast_to(error, value.shape))
    bad = ~(np.abs(value).astype(np.float64) + error <= largest)
    picked = value[bad].astype(np.float64)
    fixed = irregular(bad) if irregular is not None else np.where(np.isfinite(picked), error[bad], 0.0)
    finite = np.isfinite(picked)
    size = np.where(finite, np.abs(picked), 0.0)
    own = size * unit + absolute * run.arithmetic.unit
    own = own + tiny * ((size > 0) | (fixed > 0))
    fixed = fixed + np.where(finite, own, 0.0)
    fixed = np.where(np.isnan(fixed) | (finite & ~(size + fixed <= largest)), np.inf, fixed)
    if name in _OVERFLOW and operands and np.isinf(picked).any():
        at = [np.broadcast_to(np.asarray(x, float), value.shape)[bad] for x in operands]
        overflowed = np.isinf(picked)
        for x in at:
            overflowed &= np.isfinite(x)
        if name in _POLES:
            overflowed &= ~_POLES[name](at)
        fixed = np.where(overflowed, np.inf, fixed)
    error[bad] = fixed
    return error
