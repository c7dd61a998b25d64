"""Which roundings a kernel may make: the `compute=` types as numbers.

Here: unit roundoff, range and operand rounding of each compute type.
Elsewhere: how a rounding becomes an error (rounding.py), the factor on the whole bound (tolerance.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import COMPUTE_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """The number format that a kernel is allowed to compute in.

    unit is half the gap above 1.0; tiny the smallest normal number, below which a result may be
    flushed to zero; largest the greatest finite number. operand_unit and operand_tiny are the
    relative and absolute rounding of a computed operand of a matmul, given_unit that of one that is read
    as it is given; given_bits of its leading bits are kept.
    step_unit and step_tiny round the result of every single step ("storage"); stored_unit, stored_tiny and
    stored_largest are those of what is kept in the storage dtype between two kernels. rounded is the NumPy
    type that constants and inputs are rounded to.
    """

    name: str
    unit: float
    tiny: float
    largest: float
    rounded: Any
    operand_unit: float = 0.0
    operand_tiny: float = 0.0
    given_unit: float = 0.0
    given_bits: int = 0
    step_unit: float = 0.0
    step_tiny: float = 0.0
    stored_unit: float = 0.0
    stored_tiny: float = 0.0
    stored_largest: float = float("inf")

    def constant_error(self, value: Any) -> Any:
        """|c - rounded(c)| of a plain float or float array; 0.0 where it is exact.

        A constant beyond the range is left exact: it stands for infinity in masks.
        """
        if isinstance(value, float):
            error = abs(float(self.rounded(value)) - value) if abs(value) <= self.largest else 0.0
            return error if error == error else 0.0
        if self.rounded is np.float64:
            return 0.0
        exact = np.asarray(value, np.float64)
        errors = np.abs(exact.astype(self.rounded).astype(np.float64) - exact)
        errors = np.where(np.isfinite(errors), errors, 0.0)
        return errors if errors.any() else 0.0


def _storage(dtypes: Iterable[str]) -> tuple[float, float, float, float]:
    """(unit, quantum) of the coarsest storage dtype, and the same for an operand of a matmul."""
    unit = quantum = operand_unit = operand_quantum = 0.0
    for name in dtypes:
        if name in ("float32", "float64"):
            continue
        info = ml_dtypes.finfo(name)
        own = float(info.eps) / 2
        # Half the smallest subnormal, since that is what rounding to the nearest loses at most.
        own_quantum = float(info.smallest_subnormal) / 2
        unit, quantum = max(unit, own), max(quantum, own_quantum)
        # Tensor cores take 8-bit operands too, but a computed one is kept in 16 bits.
        wide = 2.0**-8 if name.startswith("float8") else own
        operand_unit = max(operand_unit, wide)
        # bfloat16 has float32's exponents, so only float16 underflows.
        operand_quantum = max(operand_quantum, own_quantum if name == "float16" else 0.0)
    return unit, quantum, operand_unit, operand_quantum


def arithmetic(compute: str, storage_dtypes: Iterable[str]) -> Arithmetic:
    """The arithmetic of a compute type for a case whose floating inputs have these dtypes.

    "float32": computed operands of a matmul may be in the 16-bit storage dtype, since tensor cores
    take nothing wider (flash attention's P). "float32-strict": not even those. "tf32": every operand
    of a matmul may lose all but 10 bits behind the leading one, truncated; one of 16 bits that is given has
    no more than these. "storage": every step's result is in the storage
    dtype, sums still in float32. Raises ConfigError for another name.
    """
    single: dict[str, Any] = {"unit": 2.0**-24, "tiny": 2.0**-126, "largest": 3.4028234663852886e38}
    single["rounded"] = np.float32
    names = [name for name in storage_dtypes if name not in ("float32", "float64")]
    unit, quantum, operand_unit, operand_quantum = _storage(names)
    largest = min((float(ml_dtypes.finfo(name).max) for name in names), default=np.inf)
    stored: dict[str, Any] = {"stored_unit": unit, "stored_tiny": quantum, "stored_largest": largest}
    single.update(stored)
    if compute == "float32":
        return Arithmetic(name=compute, operand_unit=operand_unit, operand_tiny=operand_quantum, **single)
    if compute == "float32-strict":
        return Arithmetic(name=compute, **single)
    if compute == "tf32":
        wide = max(2.0**-10, operand_unit)
        return Arithmetic(
            name=compute,
            operand_unit=wide,
            operand_tiny=operand_quantum,
            given_unit=2.0**-10,
            given_bits=11,
            **single,
        )
    if compute == "storage":
        return Arithmetic(
            name=compute,
            operand_unit=operand_unit,
            operand_tiny=operand_quantum,
            step_unit=unit,
            step_tiny=quantum,
            **single,
        )
    if compute == "float64":
        double = np.finfo(np.float64)
        return Arithmetic(
            name=compute,
            unit=2.0**-53,
            tiny=float(double.tiny),
            largest=float(double.max),
            rounded=np.float64,
            **stored,
        )
    raise ConfigError(f"compute = {compute!r} is not a compute type; {did_you_mean(compute, COMPUTE_TYPES)}")
