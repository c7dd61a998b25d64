"""References: calling a function with a case's inputs, and the float64 outputs of an op's reference.

Here: which arguments a function takes by name, which array library a reference speaks, and whether
its outputs fit the schema. Elsewhere: capturing what user code raises (user_code.py), the error of
the reference's own arithmetic (trace/).
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from pytest_gpuemu.engine import arrays, dtypes
from pytest_gpuemu.engine.case import Case
from pytest_gpuemu.engine.errors import OutputError, ReferenceFailed
from pytest_gpuemu.engine.op import Array, Op, Reference, tensor_shape
from pytest_gpuemu.engine.outputs import outputs_by_name
from pytest_gpuemu.engine.user_code import Called, call

_Kind = inspect.Parameter
# What CPython's and torch's builtins say of an argument that they do not have.
_REFUSED = re.compile(r"unexpected keyword argument '(\w+)'")


def call_by_name(
    function: Callable[..., Any],
    inputs: Mapping[str, Any],
    params: Mapping[str, Any],
    *,
    optional: Collection[str] = (),
) -> Any:
    """Call function with the inputs and params of a case.

    An input goes by keyword where the function has a parameter of its name, and the others take the
    parameters left, in order: `f(x, weight)` serves inputs `input, weight`. Without a readable
    signature, or with `*args`, every input goes by position. Params go by keyword; those named in
    optional (optional_params) are left out where the function does not take them.
    What function raises, and Python's TypeError where the arguments do not fit, pass through.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature, such as torch.matmul
        return _call_builtin(function, inputs, params, optional)
    takes_any = any(p.kind is _Kind.VAR_KEYWORD for p in parameters.values())
    named = {
        name for name, p in parameters.items() if p.kind in (_Kind.POSITIONAL_OR_KEYWORD, _Kind.KEYWORD_ONLY)
    }
    passed = {
        name: value for name, value in params.items() if name in named or takes_any or name not in optional
    }
    positional = any(p.kind in (_Kind.VAR_POSITIONAL, _Kind.POSITIONAL_ONLY) for p in parameters.values())
    if positional and not named.issuperset(inputs):
        return function(*inputs.values(), **passed)
    by_name = {name: value for name, value in inputs.items() if name in named}
    free = [
        name
        for name, p in parameters.items()
        if p.kind is _Kind.POSITIONAL_OR_KEYWORD and name not in by_name and name not in params
    ]
    others = [name for name in inputs if name not in by_name]
    if len(others) > len(free):
        if takes_any:
            return function(**inputs, **passed)
        return function(*inputs.values(), **passed)
    renamed = {free_name: inputs[name] for free_name, name in zip(free, others, strict=False)}
    return function(**by_name, **renamed, **passed)


def _call_builtin(
    function: Callable[..., Any],
    inputs: Mapping[str, Any],
    params: Mapping[str, Any],
    optional: Collection[str],
) -> Any:
    """Call with inputs by position, leaving out each optional param that the arguments are refused for."""
    passed = dict(params)
    while True:
        try:
            return function(*inputs.values(), **passed)
        except TypeError as error:
            refused = _REFUSED.search(str(error))
            is_its_own = error.__traceback__ is not None and error.__traceback__.tb_next is None
            if not is_its_own or refused is None or refused[1] not in passed or refused[1] not in optional:
                raise
            del passed[refused[1]]


def optional_params(op: Op) -> frozenset[str]:
    """The params with one choice: defaults that a kernel or a reference need not take."""
    return frozenset(param.name for param in op.params if len(param.choices) == 1)


def reference_name(reference: Reference) -> str:
    """Its name and, where it can be told, where it is defined: `softmax (test_k.py:12)`."""
    name = getattr(reference, "__qualname__", None) or type(reference).__qualname__
    code = getattr(inspect.unwrap(reference), "__code__", None)
    if code is None:
        return str(name)
    return f"{name} ({code.co_filename.rsplit('/', 1)[-1]}:{code.co_firstlineno})"


def speaks(reference: Reference, library: str) -> bool:
    """Whether the code of reference mentions that library: a module, function or class of it."""
    return any(_belongs_to(value, library) for value in _mentioned(reference))


def wants_torch(op: Op, reference: Reference) -> bool:
    """Whether reference is to get torch tensors first, NumPy arrays only where these fail.

    Code that mentions torch does. Code that mentions neither (`lambda x: x.var(-1)`) means the
    library that the marker names; the names of methods are shared, their defaults are not.
    """
    if speaks(reference, "torch"):
        return True
    return op.library == "torch" and op.origin != "built-in" and not speaks(reference, "numpy")


def float64_inputs(case: Case) -> dict[str, Array]:
    """The exact inputs as the reference reads them: floats upcast, integers and bools as they are.

    Fresh copies, so that a reference may write into them.
    """
    return {name: dtypes.to_float64(array) for name, array in case.originals.items()}


def evaluate(op: Op, reference: Reference, case: Case) -> dict[str, Array]:
    """The outputs of one reference by name: float64, or integers and bools as the reference gave them.

    Each is C-contiguous and has the shape that the schema (or the op's shape_rule) says. Raises
    ReferenceFailed where the reference raised, or where its outputs do not fit.
    """
    result = _call_reference(op, reference, case)
    place = f"{op.name}: the reference {reference_name(reference)}"
    try:
        named = {
            name: _as_float64(arrays.to_numpy(_scalar_to_array(value), "it"))
            for name, value in outputs_by_name(op, result).items()
        }
    except OutputError as error:
        raise ReferenceFailed(f"{place}: {error}") from error
    for name, array in named.items():
        shape = output_shape(op, name, case)
        if shape is not None and array.shape != shape:
            inputs = ", ".join(f"{key} {list(value.shape)}" for key, value in case.originals.items())
            raise ReferenceFailed(
                f"{place} gave output {name!r} of shape {list(array.shape)}, "
                f"but the schema says {list(shape)} for inputs {inputs} (seed {case.plan.case_id})"
            )
    return named


def output_shape(op: Op, name: str, case: Case) -> tuple[int, ...] | None:
    """The shape that the record gives an output; None where the reference decides it."""
    output = op.output(name)
    if op.shape_rule is not None:
        shapes = {key: tuple(value.shape) for key, value in case.originals.items()}
        return tuple(int(size) for size in op.shape_rule(name, shapes, case.params))
    return None if output.dims is None else tensor_shape(output.dims, case.plan.dims)


def _check_names(op: Op, reference: Reference) -> None:
    """Raise ReferenceFailed where some inputs have a parameter of their name and some have none.

    One order for all (f(x, w) for inputs `input, weight`) is clear, and so are names; half of each is a
    slip of the pen more often than not. What has a default, and `**kwargs` or `*args`, ask for nothing.
    """
    try:
        parameters = inspect.signature(reference).parameters
    except (TypeError, ValueError):
        return
    kinds = {p.kind for p in parameters.values()}
    if kinds & {_Kind.VAR_KEYWORD, _Kind.VAR_POSITIONAL, _Kind.POSITIONAL_ONLY}:
        return
    inputs = [declared.name for declared in op.inputs]
    unknown = [name for name in inputs if name not in parameters]
    if not unknown or len(unknown) == len(inputs):
        return
    params = {param.name for param in op.params}
    free = [name for name in parameters if name not in inputs and name not in params]
    also = f" (and {' and '.join(map(repr, free))} is no input)" if free else ""
    raise ReferenceFailed(
        f"{op.name}: the reference {reference_name(reference)} takes {', '.join(parameters)}, "
        f"but the schema's inputs are {', '.join(inputs)}: "
        f"it has no parameter named {' or '.join(map(repr, unknown))}{also}; "
        "rename its parameters, or the inputs in the schema"
    )


def _call_reference(op: Op, reference: Reference, case: Case) -> Any:
    """The raw result, with NumPy arrays or torch tensors as the reference needs them."""
    _check_names(op, reference)
    libraries = ["torch", "numpy"] if wants_torch(op, reference) else ["numpy", "torch"]
    if "torch" not in sys.modules:
        libraries = ["numpy"]
    failed: list[tuple[str, Called]] = []
    for library in libraries:
        called = _call_with(op, reference, case, library)
        if called.error is None:
            return called.value
        failed.append((library, called))
        if not isinstance(called.error, (TypeError, AttributeError)):
            break
    # The first attempt tells most, except that torch's complaint about an ndarray says nothing of the
    # reference's own error.
    library, shown = failed[0]
    if len(failed) > 1 and "Tensor" in str(shown.error):
        library, shown = failed[1]
    inputs = ", ".join(f"{name} {value.dtype} {list(value.shape)}" for name, value in case.originals.items())
    raise ReferenceFailed(
        f"{op.name}: the reference {reference_name(reference)} raised {shown.summary}\n"
        f"  called with float64 {library} arrays for inputs {inputs}, params {case.params}, "
        f"seed {case.plan.case_id}\n{shown.traceback}"
    ) from shown.error


def _call_with(op: Op, reference: Reference, case: Case, library: str) -> Called:
    inputs: dict[str, Any] = float64_inputs(case)
    if library == "torch":
        inputs = {name: arrays.from_numpy(array, "torch") for name, array in inputs.items()}
    with np.errstate(all="ignore"), _jax_in_float64(reference):
        return call(call_by_name, reference, inputs, case.params, optional=optional_params(op))


def _jax_in_float64(reference: Reference) -> AbstractContextManager[Any]:
    """JAX narrows float64 to float32 unless told otherwise; a float32 run is no reference."""
    jax = sys.modules.get("jax")
    if jax is None or not speaks(reference, "jax"):
        return nullcontext()
    # Before JAX 0.8 it lived in jax.experimental.
    home = jax if hasattr(jax, "enable_x64") else importlib.import_module("jax.experimental")
    context: AbstractContextManager[Any] = home.enable_x64(True)
    return context


def _scalar_to_array(value: Any) -> Any:
    """A reference may give Python numbers and lists of them: its dtype is not judged."""
    return np.asarray(value) if isinstance(value, (bool, int, float, list)) else value


def _as_float64(array: Array) -> Array:
    if dtypes.is_floating(str(array.dtype)) or array.dtype.kind == "f":
        return np.asarray(array, dtype=np.float64, order="C")
    if array.dtype.kind in "iub":
        return np.asarray(array, order="C")
    raise OutputError(f"dtype {array.dtype} is neither floating, integer nor bool")


def _mentioned(reference: Reference) -> Iterator[Any]:
    """The function itself and what its code names: globals, closures, and those of its own helpers."""
    pending: list[Any] = [inspect.unwrap(getattr(reference, "func", reference))]  # partial has .func
    seen: set[int] = set()
    while pending:
        function = pending.pop()
        yield function
        function = getattr(function, "__func__", function)
        if not isinstance(function, types.FunctionType) or id(function) in seen:
            continue
        seen.add(id(function))
        for value in _names_of(function):
            if isinstance(value, types.FunctionType) and value.__globals__ is function.__globals__:
                pending.append(value)
            else:
                yield value


def _names_of(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a cell that is not filled yet
            continue
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for name in code.co_names:
            if name in function.__globals__:
                yield function.__globals__[name]
            elif name in ("torch", "numpy", "jax"):  # imported inside the function
                yield sys.modules.get(name)


def _belongs_to(value: Any, library: str) -> bool:
    if isinstance(value, types.ModuleType):
        module = value.__name__
    else:
        module = str(getattr(value, "__module__", None) or type(value).__module__)
    return module.split(".")[0] == library
