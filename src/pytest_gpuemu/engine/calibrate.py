"""Calibrating: the atol and rtol that a trusted implementation needs beside a float64 reference.

Here: running both on random inputs, and the two numbers. Elsewhere: the tolerances with names
(pytest_gpuemu/tolerances.py); the tolerance that a verdict derives for each element, which needs no
calibration (tolerance.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from pytest_gpuemu.engine import arrays, dtypes
from pytest_gpuemu.engine.errors import ConfigError, OutputError
from pytest_gpuemu.engine.op import Array, Float64Array
from pytest_gpuemu.engine.rng import SeededRng, derive_seed

PERCENTILE, MARGIN = 95.0, 1.5


def calibrate(
    op_fn: Callable[..., Any],
    ref_fn: Callable[..., Any],
    shapes: Sequence[Sequence[int]],
    *,
    dtype: str,
    samples: int,
    seed: int,
    percentile: float,
    margin: float,
) -> tuple[float, float]:
    """(atol, rtol) such that |output - reference| <= atol + rtol * |reference| for most samples of op_fn.

    Inputs are normally distributed; op_fn gets them in dtype, ref_fn the same in float64. Each sample needs
    some rtol where the reference is not below its median magnitude, and beside that some atol; the numbers
    are the given percentile over the samples, times margin. rtol is never below the rounding of op_fn's
    output dtype, which a correct op may need for other inputs.
    Raises ConfigError for arguments that mean nothing, OutputError where no tolerance would do: another
    shape, or a value that is not finite where the reference is, or the other way round.
    """
    if samples < 1 or not 0 < percentile <= 100 or not 0 < margin < float("inf"):
        raise ConfigError(
            f"n_samples = {samples!r}, percentile = {percentile!r}, safety_margin = {margin!r}: expected at "
            "least one sample, a percentile in (0, 100] and a margin above 0"
        )
    if not dtypes.is_floating(dtypes.dtype_name(dtype)):
        raise ConfigError(f"dtype = {dtype!r}: integers are compared exactly; write a floating dtype")
    pairs, roundoff = [], 0.0
    for number, shaped in zip(range(samples), _shapes_of_calls(op_fn, shapes), strict=False):
        inputs = [
            _normal(shape, dtype, derive_seed(seed, f"sample {number}/{position}"))
            for position, shape in enumerate(shaped)
        ]
        reference = np.asarray(arrays.to_numpy(ref_fn(*map(dtypes.to_float64, inputs)), "ref_fn"), np.float64)
        output = arrays.to_numpy(op_fn(*(x.copy() for x in inputs)), "op_fn")
        pairs.append(_compared(output, reference))
        if dtypes.is_floating(str(output.dtype)):
            roundoff = max(roundoff, dtypes.properties(str(output.dtype)).unit_roundoff)
    needed = [_needed_rtol(error, magnitude) for error, magnitude in pairs]
    rtol = max(float(np.percentile(needed, percentile)) * margin, roundoff)
    left = [
        float(np.max(error - rtol * magnitude, initial=0.0)) for error, magnitude in pairs
    ]  # what rtol does not cover, near 0 for the most part
    return float(np.percentile(left, percentile)) * margin, rtol


def _shapes_of_calls(
    op_fn: Callable[..., Any], shapes: Sequence[Sequence[int]]
) -> Iterator[list[tuple[int, ...]]]:
    """The input shapes of one call after another: a shape for each argument of op_fn, or, where op_fn takes
    one array, one shape a call."""
    if not shapes:
        raise ConfigError("shapes is empty; write such as [(64, 128)], a shape for each input")
    if any(isinstance(shape, Integral) for shape in shapes):
        raise ConfigError(f"shapes = {shapes!r} is one shape; write [{shapes!r}], a shape for each input")
    each = [tuple(shape) for shape in shapes]
    while True:
        if len(each) > 1 and _required_arguments(op_fn) == 1:
            yield from ([shape] for shape in each)
        else:
            yield each


def _required_arguments(function: Callable[..., Any]) -> int | None:
    """How many arguments a function needs by position; None where that is not known or any number will do."""
    if isinstance(function, np.ufunc):
        return function.nin
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty for p in parameters
    )


def _normal(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """About standard normal: twelve uniform numbers added have variance 1; in exact operations."""
    count = int(np.prod(shape, dtype=np.int64))
    sums = SeededRng(seed).gen_f64s(12 * count).reshape(12, count).sum(axis=0) - 6.0
    return dtypes.cast(sums, dtype).reshape(shape)


def _compared(output: Array, reference: Float64Array) -> tuple[Float64Array, Float64Array]:
    """The error and the reference's magnitude of each element where both are finite."""
    if output.shape != reference.shape:
        raise OutputError(
            f"op_fn gives shape {list(output.shape)}, ref_fn {list(reference.shape)}: "
            "no tolerance allows that"
        )
    found = dtypes.to_float64(output)
    finite = np.isfinite(reference) & np.isfinite(found)
    with np.errstate(invalid="ignore"):
        alike = finite | (found == reference) | (np.isnan(found) & np.isnan(reference))
        if dtypes.is_floating(str(output.dtype)):
            beyond = np.abs(reference) > dtypes.properties(str(output.dtype)).max
            alike |= np.isinf(found) & beyond & (np.sign(found) == np.sign(reference))
    if not alike.all():
        index = tuple(int(i) for i in np.argwhere(~alike)[0])
        raise OutputError(
            f"op_fn gives {found[index]}, ref_fn {reference[index]} at {list(index)}: "
            "no tolerance allows that"
        )
    return np.abs(found[finite] - reference[finite]), np.abs(reference[finite])


def _needed_rtol(error: Float64Array, magnitude: Float64Array) -> float:
    """The largest relative error of the larger half: near 0 one relative to the reference says nothing."""
    if not magnitude.size:
        return 0.0
    large = (magnitude >= np.median(magnitude)) & (magnitude > 0)
    return float(np.max(error[large] / magnitude[large], initial=0.0))
