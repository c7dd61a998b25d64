"""The dtypes of inputs and outputs: names, properties and exact rounding to them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import Array

_EXTENSION = ("bfloat16", "float8_e4m3fn", "float8_e5m2")
FLOATS = ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTEGERS, "bool")


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


def to_float64(array: Array) -> Array:
    """Floating arrays upcast to float64, exactly; integers and bools as they are."""
    return array.astype(np.float64) if is_floating(str(array.dtype)) else np.array(array)
