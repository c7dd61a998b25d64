"""The dims of a caller's own arrays: which of an op's schemas they fit, and how large each dim then is.

Cases are drawn with the shapes of an op's schema. Arrays that a caller brings may also have those of its
`also_takes`, where `rows...` stands for any number of axes: relu of a vector, linear without a bias.
Here: that choice, and solving the sizes. Elsewhere: the case of such arrays (case.py), what each built-in
also takes (ops/shapes_taken.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_gpuemu.engine.errors import ConfigError, did_you_mean
from pytest_gpuemu.engine.op import Array, Gradient, Op, Reference
from pytest_gpuemu.engine.schema import DimExpr, Schema, parse_schema

_TENSOR = re.compile(r"(\w+)\[([^\]]*)\]")
_DIMS = re.compile(r"\[([^\]]*)\]")
_RUN = re.compile(r"(\w+)\.\.\.")


def fit_given(op: Op, inputs: Mapping[str, Array]) -> tuple[Op, dict[str, int]]:
    """The op as it takes these arrays, by input name, and the size of each of its dims.

    The op comes back unchanged where they fit its schema; else with the dims, and without the optional
    inputs, of the first text of also_takes that they fit. Raises ConfigError for an unknown or missing name,
    and for shapes that fit none.
    """
    refused: ConfigError | None = None
    if inputs.keys() == {x.name for x in op.inputs} and _has_ranks(op, inputs):
        try:
            return op, dims_of(op, inputs)
        except ConfigError as error:
            refused = error
    ranks = {name: array.ndim for name, array in inputs.items()}
    for text in op.also_takes:
        schema = with_ranks(text, ranks)
        if schema is None:
            continue
        taken = _with_schema(op, schema)
        try:
            return taken, dims_of(taken, inputs)
        except ConfigError as error:
            refused = refused or error
    if refused is None:
        _check_input_names(op, inputs)
        try:
            dims_of(op, inputs)
        except ConfigError as error:
            also = [f"\n  it also takes {text}" for text in op.also_takes]
            raise ConfigError("".join([str(error), *also])) from None
    raise refused or AssertionError("arrays of the schema's names, ranks and sizes fit it")


def with_ranks(text: str, ranks: Mapping[str, int]) -> Schema | None:
    """A schema in which each `name...` is as many dims, name0, name1, ..., as inputs of these ranks need.

    None where the inputs have other names, or no number of dims gives them these ranks. Raises ValueError
    where the ranks leave a number open.
    """
    given, _, _ = text.partition("->")
    tensors = {name: dims.split(",") if dims else [] for name, dims in _TENSOR.findall(given)}
    if tensors.keys() != ranks.keys():
        return None
    counts: dict[str, int] = {}
    for _ in tensors:
        for name, dims in tensors.items():
            runs = [found[1] for dim in dims if (found := _RUN.fullmatch(dim))]
            open_runs = [run for run in runs if run not in counts]
            left = ranks[name] - (len(dims) - len(runs)) - sum(counts.get(run, 0) for run in runs)
            if left < 0 or (left and not open_runs):
                return None
            if len(open_runs) == 1:
                counts[open_runs[0]] = left
    missing = [run for run in _RUN.findall(text) if run not in counts]
    if missing:
        raise ValueError(f"{text!r}: the inputs' ranks do not tell how many dims {missing[0]}... stands for")

    def spelled(dims: re.Match[str]) -> str:
        names: list[str] = []
        for dim in filter(None, dims[1].split(",")):
            run = _RUN.fullmatch(dim)
            names += [dim] if run is None else [f"{run[1]}{axis}" for axis in range(counts[run[1]])]
        return f"[{','.join(names)}]"

    return parse_schema(_DIMS.sub(spelled, text))


def dims_of(op: Op, inputs: Mapping[str, Array]) -> dict[str, int]:
    """The size of every dim, from the shapes of the inputs. Raises ConfigError where they conflict."""
    found: dict[str, tuple[int, str]] = {}
    compound: list[tuple[DimExpr, int, str]] = []
    for x in op.inputs:
        shape = inputs[x.name].shape
        if len(shape) != len(x.dims):
            raise ConfigError(
                f"op {op.name!r}: input {x.name!r} has shape {list(shape)}, but the schema gives it "
                f"{len(x.dims)} dims, [{', '.join(map(str, x.dims))}]"
            )
        for dim, size in zip(x.dims, shape, strict=True):
            if str(dim) not in dim.names:
                compound.append((dim, size, x.name))
                continue
            before = found.setdefault(str(dim), (size, x.name))
            if before[0] != size:
                raise ConfigError(
                    f"op {op.name!r}: dim {dim} is {before[0]} in {before[1]!r} but {size} in {x.name!r}"
                )
    dims = {name: size for name, (size, _) in found.items()}
    # Products and sums: each may give the one dim it has that is still unknown.
    for _ in range(len(compound)):
        for dim, size, _name in compound:
            unknown = [name for name in dim.names if name not in dims]
            if len(unknown) == 1 and (solved := _solve(dim, unknown[0], size, dims)) is not None:
                dims[unknown[0]] = solved
    for dim, size, name in compound:
        unknown = [part for part in dim.names if part not in dims]
        if unknown:
            raise ConfigError(
                f"op {op.name!r}: no shape tells {' and '.join(unknown)} of {dim} = {size} in input {name!r}"
            )
        if dim.evaluate(dims) != size:
            needs = f"{dim} is {dim.evaluate(dims)}" if dim.names else f"the schema says {dim}"
            given = f" for {', '.join(f'{part}={dims[part]}' for part in dim.names)}" if dim.names else ""
            raise ConfigError(f"op {op.name!r}: input {name!r} has size {size}, but {needs}{given}")
    return dims


def _solve(dim: DimExpr, name: str, size: int, dims: Mapping[str, int]) -> int | None:
    """The size of the dim called name that makes the expression equal size, where it is linear in it."""
    base = dim.evaluate({**dims, name: 0})
    slope = dim.evaluate({**dims, name: 1}) - base
    if slope < 1 or (size - base) % slope or size < base:
        return None
    solved = (size - base) // slope
    return solved if dim.evaluate({**dims, name: solved}) == size else None


def _has_ranks(op: Op, inputs: Mapping[str, Array]) -> bool:
    return all(inputs[x.name].ndim == len(x.dims) for x in op.inputs)


def _check_input_names(op: Op, inputs: Mapping[str, Array]) -> None:
    names = [x.name for x in op.inputs]
    for name in inputs:
        if name not in names:
            raise ConfigError(f"op {op.name!r}: unknown input {name!r}; {did_you_mean(name, names)}")
    if missing := [name for name in names if name not in inputs]:
        raise ConfigError(
            f"op {op.name!r}: input {missing[0]!r} is missing among {', '.join(inputs) or 'none'}"
        )


def _with_schema(op: Op, schema: Schema) -> Op:
    """The op with the inputs and the dims of this schema; what only decides which cases are drawn goes."""
    dims = {tensor.name: tensor.dims for tensor in schema.inputs}
    out = {tensor.name: tensor.dims for tensor in schema.outputs}
    return replace(
        op,
        inputs=tuple(replace(x, dims=dims[x.name] or ()) for x in op.inputs if x.name in dims),
        outputs=tuple(replace(y, dims=out[y.name]) for y in op.outputs),
        dims={},
        where=(),
        param_dims={},
        gradient=_gradient_without(op, dims.keys()),
    )


def _gradient_without(op: Op, names: Any) -> Gradient | None:
    """The op's gradient where only the inputs called names are given; its references get None for others."""
    whole = op.gradient
    if whole is None or all(x.name in names for x in op.inputs):
        return whole
    at = [place for place, name in enumerate(whole.of) if name in names]

    def of_these(reference: Reference) -> Reference:
        def gradient(*given: Any, **params: Any) -> Any:
            incoming = given[: len(given) - len(names)]
            rest = iter(given[len(incoming) :])
            found = reference(
                *incoming, *(next(rest) if x.name in names else None for x in op.inputs), **params
            )
            return tuple(found[place] for place in at)

        return gradient

    return Gradient(references=tuple(map(of_these, whole.references)), of=tuple(whole.of[i] for i in at))
