"""The dtypes of inputs and outputs: names, properties and exact rounding to them.

Rounding is done here, on float64, by scaling with powers of two and `rint`, both exact: conversions of
libraries may round twice (by way of float32) and differ between versions and CPUs.
Elsewhere: what rounding a kernel may do (tolerance.py), drawing values (values.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import Array, Float64Array

_EXTENSION = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
FLOATS = ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTEGERS, "bool")


_EXPONENT_BITS = 0x7FF0000000000000  # of float64


@dataclass(frozen=True, slots=True)
class FloatProperties:
    """A binary floating format: precision significand bits (the hidden one included), exponents of
    normal numbers from min_exponent, max the largest finite value, quiet_nan the bits of our NaN.
    """

    precision: int
    min_exponent: int
    max: float
    has_inf: bool
    quiet_nan: int

    @property
    def smallest_normal(self) -> float:
        return 2.0**self.min_exponent

    @property
    def smallest_subnormal(self) -> float:
        return 2.0 ** (self.min_exponent - self.precision + 1)

    @property
    def unit_roundoff(self) -> float:
        """The largest relative error of rounding to nearest: half the gap above 1.0."""
        return 2.0**-self.precision


# IEEE 754-2019 table 3.5 for float16, float32 and float64; bfloat16 is float32 without its lower 16
# bits; the two of 8 bits: Micikevicius et al., FP8 Formats for Deep Learning, arXiv 2209.05433, table 1.
_PROPERTIES = {
    "float16": FloatProperties(11, -14, (2 - 2.0**-10) * 2.0**15, True, 0x7E00),
    "bfloat16": FloatProperties(8, -126, (2 - 2.0**-7) * 2.0**127, True, 0x7FC0),
    "float32": FloatProperties(24, -126, (2 - 2.0**-23) * 2.0**127, True, 0x7FC00000),
    "float64": FloatProperties(53, -1022, (2 - 2.0**-52) * 2.0**1023, True, 0x7FF8000000000000),
    "float8_e4m3fn": FloatProperties(4, -6, 448.0, False, 0x7F),
    "float8_e5m2": FloatProperties(3, -14, 57344.0, True, 0x7E),
}


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy (or ml_dtypes) dtype of that name. Raises ConfigError for another name."""
    if name not in DTYPES:
        raise ConfigError(f"{name!r} is not a dtype; {did_you_mean(name, DTYPES)}")
    return np.dtype(getattr(ml_dtypes, name)) if name in _EXTENSION else np.dtype(name)


def dtype_name(dtype: Any) -> str:
    """The name of a dtype given as a name, a NumPy dtype or scalar type. Raises ConfigError."""
    name = dtype if isinstance(dtype, str) else str(np.dtype(dtype))
    numpy_dtype(name)
    return name


def is_floating(name: str) -> bool:
    return name in FLOATS


def properties(name: str) -> FloatProperties:
    """The properties of a floating dtype. Raises ConfigError for another name."""
    if name not in _PROPERTIES:
        raise ConfigError(f"{name!r} is not a floating dtype; {did_you_mean(name, FLOATS)}")
    return _PROPERTIES[name]


def to_float64(array: Array) -> Array:
    """Floating arrays upcast to float64, exactly; integers and bools as they are."""
    return array.astype(np.float64) if is_floating(str(array.dtype)) else np.array(array)


def ulp(values: Any, name: str) -> Float64Array:
    """The gap between neighbours of that dtype around each float64 value, as float64.

    It is that of the binade the value lies in (at a power of two, the gap above it), never below the
    smallest subnormal, and that of the largest finite value for anything beyond it, infinities
    included. NaN for NaN. Raises ConfigError where name is no floating dtype.
    """
    form = properties(name)
    magnitude = np.asarray(np.minimum(np.abs(np.asarray(values, dtype=np.float64)), form.max))  # keeps NaN
    # Without its significand a number is the power of two at or below it (0 for a subnormal).
    gap = np.asarray(magnitude.view(np.int64) & _EXPONENT_BITS).view(np.float64)
    gap = np.asarray(np.maximum(gap, form.smallest_normal) * 2.0 ** (1 - form.precision))
    if (unordered := np.isnan(magnitude)).any():
        gap[unordered] = np.nan
    return gap


def round_to(values: Any, name: str, *, saturate: bool = False) -> Float64Array:
    """Each float64 value rounded to the nearest value of that dtype, ties to even, as float64.

    Subnormals and signed zeros are kept. What rounds beyond the largest finite value becomes ±inf,
    or NaN in float8_e4m3fn, which has no infinity; so does an infinity there. With saturate both
    become the largest finite value instead, of the same sign. NaN stays NaN. Raises ConfigError
    where name is no floating dtype.
    """
    form = properties(name)
    exact = np.asarray(values, dtype=np.float64)
    if name == "float64":
        rounded = np.abs(exact)
    else:
        # Beyond twice the largest value the result is known; without the limit, inf has no exponent.
        magnitude = np.minimum(np.abs(exact), 2.0 * form.max)
        exponent = _gap_exponent(magnitude, form)
        with np.errstate(all="ignore"):
            rounded = np.ldexp(np.rint(np.ldexp(magnitude, -exponent)), exponent)
    if saturate:
        rounded = np.minimum(rounded, form.max)
    else:
        rounded = np.where(rounded > form.max, np.inf if form.has_inf else np.nan, rounded)
    return np.asarray(np.copysign(rounded, exact))


def cast(values: Any, name: str, *, saturate: bool = False) -> Array:
    """The float64 values as an array of that dtype: rounded by `round_to`, then converted exactly.

    Every NaN becomes the dtype's one quiet NaN with a clear sign, so equal values are equal bytes.
    To integers: rounded to nearest, ties to even; raises ValueError where one does not fit (with
    saturate: the nearest that does), and for NaN. To bool: whether it is not zero.
    """
    dtype = numpy_dtype(name)
    if name == "bool":
        return np.asarray(np.asarray(values, dtype=np.float64) != 0)
    if name in INTEGERS:
        return _cast_to_integer(np.asarray(values, dtype=np.float64), dtype, saturate)
    rounded = round_to(values, name, saturate=saturate)
    with np.errstate(all="ignore"):
        array = np.ascontiguousarray(rounded.astype(dtype)).reshape(rounded.shape)
    bits = array.view(f"u{dtype.itemsize}")
    bits[np.isnan(rounded)] = _PROPERTIES[name].quiet_nan
    return array


def _gap_exponent(magnitude: Float64Array, form: FloatProperties) -> Any:
    """e where 2**e is the gap between neighbours at each magnitude; any number where it is not finite."""
    # magnitude = m * 2**exponent with 1/2 <= m < 1; subnormals and zero have the smallest normal's gap.
    with np.errstate(invalid="ignore"):  # signalling NaNs
        _, exponent = np.frexp(np.maximum(magnitude, form.smallest_normal))
    return exponent - form.precision


def _cast_to_integer(values: Float64Array, dtype: np.dtype[Any], saturate: bool) -> Array:
    limits = np.iinfo(dtype)
    rounded = np.rint(values)
    # The float64 just above the range: limits.max itself is not representable for 64 bits.
    above, below = float(limits.max + 1), float(limits.min)
    fits = (rounded >= below) & (rounded < above)
    if np.isnan(rounded).any() or not (saturate or fits.all()):
        wrong = values[~fits].flat[0]
        raise ValueError(f"{float(wrong)!r} does not fit {dtype}, {limits.min} to {limits.max}")
    array = np.where(fits, rounded, 0.0).astype(dtype)
    array[np.asarray(~fits & (rounded < below))] = limits.min
    array[np.asarray(~fits & (rounded >= above))] = limits.max
    return array
