"""Outputs by name: from what a kernel or a reference returned to one array a declared output.

Here: matching a tuple, a dict or a single array with the outputs of an op's record.
Elsewhere: reading an array of any library (arrays.py), the shapes (references.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_gpuemu.engine.errors import OutputError, did_you_mean
from pytest_gpuemu.engine.op import Op


def outputs_by_name(op: Op, given: Any) -> dict[str, Any]:
    """The outputs of op as a dict, in the order of its record.

    given is an array for an op with one output; else a tuple or list in the record's order, or a
    mapping by name. A list for a single output is that output, and for arrays.to_numpy to refuse.
    Raises OutputError where outputs are missing, unknown or too many.
    """
    names = [output.name for output in op.outputs]
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise OutputError(f"{op.name}: unknown output {name!r}; {did_you_mean(str(name), names)}")
        if missing := [name for name in names if name not in given]:
            raise OutputError(f"{op.name}: no output {missing[0]!r} among {sorted(map(str, given))}")
        return {name: given[name] for name in names}
    if len(names) == 1:
        one_in_a_tuple = isinstance(given, tuple) and len(given) == 1
        if isinstance(given, tuple) and not one_in_a_tuple:
            raise OutputError(
                f"{op.name}: got a tuple of {len(given)}, but the op has one output, {names[0]!r}; "
                "return that one, or declare the others in the schema: '... -> y[M,N], lse[M]'"
            )
        return {names[0]: given[0] if one_in_a_tuple else given}
    if not isinstance(given, (tuple, list)):
        raise OutputError(
            f"{op.name}: got {_kind(given)}, but the op has {len(names)} outputs; "
            f"return a tuple ({', '.join(names)}) or a dict by name"
        )
    if len(given) != len(names):
        raise OutputError(
            f"{op.name}: got {len(given)} outputs, but the op has {len(names)}: {', '.join(names)}"
        )
    return dict(zip(names, given, strict=True))


def _kind(given: Any) -> str:
    shape = getattr(given, "shape", None)
    return "None" if given is None else type(given).__name__ + (f" of shape {tuple(shape)}" if shape else "")
