"""What every rival needs: plain arrays for an op, the reference's outputs, a kernel's outputs.

A rival gets what is not its own matter for free: indices lie in range, bounded inputs within their
bounds, an index output is compared by the value that it leads to, every accepted reference counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pytest_gpuemu.engine.attempt import expected_dtype
from pytest_gpuemu.engine.case import case_from_arrays
from pytest_gpuemu.engine.dtypes import numpy_dtype, to_float64
from pytest_gpuemu.engine.op import Input, Op, Range, tensor_shape
from pytest_gpuemu.engine.outputs import outputs_by_name
from pytest_gpuemu.engine.references import call_by_name, evaluate, optional_params

Array = np.ndarray[Any, Any]
Floats = Callable[[tuple[int, ...]], Array]
Close = Callable[[Array, Array], None]


def allowed_sizes(op: Op, dim: str, wanted: list[int]) -> list[int]:
    """The wanted sizes that the op allows for a dim; where there is none, all that it allows."""
    given = op.dims.get(dim)
    if given is None:
        return wanted
    allowed = range(given.low, given.high + 1) if isinstance(given, Range) else given
    return [size for size in wanted if size in allowed] or list(allowed)


def fits(op: Op, sizes: Mapping[str, int]) -> bool:
    return all(condition.holds(sizes) for condition in op.where)


def bounds(x: Input, sizes: Mapping[str, int]) -> tuple[float | None, float | None]:
    """low and high of an input as numbers."""
    low, high = (
        b if b is None or isinstance(b, (int, float)) else b.evaluate(sizes) for b in (x.low, x.high)
    )
    return low, high


def draw_inputs(
    op: Op, sizes: Mapping[str, int], dtype: str, rng: np.random.Generator, floats: Floats
) -> dict[str, Array]:
    """C-contiguous inputs; floats(shape) gives the values of the floating ones."""
    drawn: dict[str, Array] = {}
    for x in op.inputs:
        shape = tensor_shape(x.dims, sizes)
        low, high = bounds(x, sizes)
        if x.kind == "index":
            assert x.of is not None
            values = rng.integers(0, x.of.evaluate(sizes), shape)
        elif x.kind == "mask":
            values = rng.integers(0, 2, shape)
        elif numpy_dtype(x.dtype or dtype).kind in "iu":
            values = rng.integers(
                -100 if low is None else max(low, -100), 100 if high is None else high, shape
            )
            values = np.where(values == 0, 1, values) if x.nonzero else values
        else:
            values = np.clip(floats(shape), low, high) if (low, high) != (None, None) else floats(shape)
        name = x.dtype or (dtype if x.kind == "values" else "int64" if x.kind == "index" else "bool")
        with np.errstate(all="ignore"):
            drawn[x.name] = np.asarray(values).astype(numpy_dtype(name), order="C")
    return drawn


def disagreement(
    kernel: Callable[..., Any], op: Op, inputs: Mapping[str, Array], params: Mapping[str, Any], close: Close
) -> str | None:
    """Run the kernel; None where close(output, expected) accepts every output under some reference.

    expected is the reference's float64 value rounded to the dtype that the output should have.
    """
    case = case_from_arrays(op, inputs, params)
    try:
        given = call_by_name(kernel, case.inputs, case.params, optional=optional_params(op))
    except Exception as error:  # noqa: BLE001  (a kernel that raises has failed, whatever it raises)
        return f"raised {error!r}"
    outputs = outputs_by_name(op, given)
    message = None
    for reference in op.references:
        expected = evaluate(op, reference, case)
        with np.errstate(all="ignore"):
            rounded = {
                name: _rounded(value, expected_dtype(case, name, value), outputs[name])
                for name, value in expected.items()
            }
        shown = outputs
        if op.canonical is not None and all(outputs[n].shape == rounded[n].shape for n in rounded):
            shown, rounded = (
                {n: to_float64(a) if a.dtype.kind not in "iub" else a for n, a in made.items()}
                for made in (
                    op.canonical(outputs, case.originals, case.params),
                    op.canonical(rounded, case.originals, case.params),
                )
            )
        try:
            for name, value in rounded.items():
                close(np.asarray(shown[name]), np.asarray(value))
        except AssertionError as error:
            message = str(error).strip().replace("\n", " ")[:200]
        else:
            return None
    return message


def _rounded(value: Array, wanted: str | None, output: Array) -> Array:
    if wanted in (None, "integer", "bool"):
        return value.astype(output.dtype) if wanted == "integer" and output.dtype.kind in "iu" else value
    return value.astype(numpy_dtype(wanted))
