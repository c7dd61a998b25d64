"""A stand-alone script: a small failing case as a few lines of Python that need no plugin.

Here: inputs, reference and allowance as literals, and the object that stands in for fuzz_case. Elsewhere:
finding the case (search.py), where the script is put and which test it calls (the pytest items).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.op import Array
from pytest_gpuemu.engine.references import optional_params
from pytest_gpuemu.engine.verdict import Verdict

MAX_ELEMENTS = 512
_VALUES = ("ToleranceExceeded", "NaNDetected", "InfDetected", "ShapeMismatch", "ExecutionError")
_CASE = '''
class Case:
    """What fuzz_case was to the test."""

    seed = {seed}
    params = {params}
    config = {config}
    shape, dtype, layout = {first}

    def __init__(self, convert=lambda array: array):
        self.inputs = {{name: convert(array) for name, array in INPUTS.items()}}
        self.outputs = {{name: convert(np.zeros(r.shape, DTYPES[name])) for name, r in REFERENCE.items()}}
        self.convert = convert

    def to(self, library, device=None):
        return Case(CONVERT[library])

    def run(self, kernel):
        try:
            takes = set(inspect.signature(kernel).parameters)
        except (TypeError, ValueError):
            takes = set()
        given = self.params.items()
        params = {{name: value for name, value in given if name in takes or name not in OPTIONAL}}
        by_name = takes.issuperset(self.inputs)
        output = kernel(**self.inputs, **params) if by_name else kernel(*self.inputs.values(), **params)
        self.check(output)
        return output

    def check(self, output=None):
        output = self.outputs if output is None else output
        if not isinstance(output, (dict, tuple, list)):
            output = (output,)
        named = output if isinstance(output, dict) else dict(zip(REFERENCE, output))
        for name, reference in REFERENCE.items():
            found = named[name]
            if hasattr(found, "cpu"):
                found = found.cpu().double().numpy()
            found = found.get() if hasattr(found, "get") else found
            np.testing.assert_allclose(np.asarray(found, "float64"), reference, rtol=0, atol=ALLOWED[name])
'''
# How an array of NumPy becomes one of another library. torch keeps strides, but cannot share NumPy arrays
# of a type that NumPy does not have itself.
_CONVERT = {
    "numpy": "lambda array: array",
    "torch": "lambda array: torch.from_numpy(array)",
    "cupy": "lambda array: cupy.asarray(array)",
    "jax": "lambda array: jax.numpy.asarray(array)",
}
_CONVERT_COPIED = "lambda array: torch.tensor(array.astype('float64')).to(getattr(torch, array.dtype.name))"
_IMPORTS = {"torch": "import torch", "cupy": "import cupy", "jax": "import jax.numpy"}
_NOT_OF_NUMPY = {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


def no_script_because(case: Case, verdict: Verdict | None) -> str | None:
    """Why no script can show this failure, or None. verdict is None for an exception."""
    if verdict is not None and verdict.findings[0].kind not in _VALUES:
        return f"only the plugin sees a failure of the kind {verdict.findings[0].kind}"
    count = sum(prod(shape) for shape in case.plan.shapes.values())
    if count > MAX_ELEMENTS:
        return f"its inputs have {count} elements, more than the {MAX_ELEMENTS} that a script spells out"
    if "huge" in case.plan.layouts.values():
        return "a huge layout cannot be spelled out"
    if case.op.canonical is not None:
        return f"op {case.op.name!r} has several right outputs, which only its record can tell apart"
    return None


def write_script(
    case: Case,
    verdict: Verdict | None,
    references: Mapping[str, Array],
    *,
    title: str,
    imports: Sequence[str],
    libraries: Sequence[str],
    call: str,
) -> str:
    """The text of a script that runs the failing case.

    references are the op's float64 outputs. imports are lines that make what `call` names available; call is
    an expression in which `case` is the stand-in for fuzz_case, which has arrays of the op's library and can
    have those of the others in libraries.
    """
    allowed = dict.fromkeys(references, 0.0)
    for comparison in verdict.comparisons if verdict is not None else ():
        if comparison.allowed is not None and comparison.allowed.size:
            allowed[comparison.name] = float(np.max(comparison.allowed))
    dtypes = {
        output.name: output.dtype or next(iter(case.plan.dtypes.values())) for output in case.op.outputs
    }
    plan, first = case.plan, case.op.inputs[0].name
    needs_ml_dtypes = _NOT_OF_NUMPY.intersection(case.plan.dtypes.values())
    convert = {name: _CONVERT[name] for name in libraries}
    if "torch" in convert and needs_ml_dtypes:
        convert["torch"] = _CONVERT_COPIED
    lines = [f'"""{title}"""', "", "import inspect", *imports, "", "import numpy as np"]
    lines += [_IMPORTS[name] for name in libraries if name in _IMPORTS]
    lines += ["import ml_dtypes  # names of dtypes for NumPy", ""] if needs_ml_dtypes else [""]
    lines += ["inf, nan = np.inf, np.nan", "INPUTS = {"]
    lines += [f"    {name!r}: {_zeros(array)}," for name, array in case.inputs.items()]
    lines += ["}"]
    lines += [f"INPUTS[{name!r}][...] = {_literal(array)}" for name, array in case.originals.items()]
    lines += [
        "REFERENCE = {",
        *(f"    {name!r}: {_array(array)}," for name, array in references.items()),
        "}",
        f"ALLOWED = {allowed!r}  # how far an element may be off",
        f"DTYPES = {dtypes!r}",
        f"OPTIONAL = {sorted(optional_params(case.op))!r}  # params that the kernel need not take",
        "CONVERT = {",
        *(f"    {name!r}: {text}," for name, text in convert.items()),
        "}",
        _CASE.format(
            seed=case.plan.seed,
            params=repr(case.params),
            config=repr(case.plan.config),
            first=repr((plan.shapes[first], plan.dtypes[first], plan.layouts[first])),
        ),
        "",
        f"case = Case(CONVERT[{case.op.library!r}])",
        call,
        'print("passed")',
        "",
    ]
    return "\n".join(lines)


def _zeros(array: Array) -> str:
    """An expression for an array of zeros with these strides."""
    if array.flags.c_contiguous:
        return f"np.zeros({array.shape}, {str(array.dtype)!r})"
    below = sum((size - 1) * step for size, step in zip(array.shape, array.strides, strict=True) if step < 0)
    above = sum((size - 1) * step for size, step in zip(array.shape, array.strides, strict=True) if step > 0)
    nbytes = above - below + array.itemsize
    memory = f"bytearray({nbytes}), {-below}, {array.strides}"
    return f"np.ndarray({array.shape}, {str(array.dtype)!r}, {memory})"


def _array(array: Array) -> str:
    """An expression for an array of these values: float64, or integers."""
    full = f"np.full({array.shape}, {_literal(array)})"
    return full if _is_constant(array) else f"np.array({_literal(array)})"


def _is_constant(array: Array) -> bool:
    return array.size > 1 and bool((array == array.flat[0]).all())


def _literal(array: Array) -> str:
    """Nested lists of numbers, one number if all are equal; floats of any type as the doubles they are."""
    if _is_constant(array):
        array = np.asarray(array.flat[0])
    floating = array.dtype.kind not in "iub"
    return repr((np.asarray(array, np.float64) if floating else np.asarray(array)).tolist())
