"""Edits: the text after `~` in a case id, which changes a drawn case in a few named places.

Here: the grammar, reading it for an op, and writing it. Elsewhere: which edits are worth trying
(minimize/), the plan they are applied to (plan.py), value edits (case.py).

    edits  = edit ("," edit)*            commas inside brackets or quotes belong to the value
    edit   = DIM "=" SIZE                a dim of the schema: rows=1
           | "dim." DIM "=" SIZE         the same, for a dim that is called like one of the words below
           | "dtype=" DTYPE              the case's floating dtype
           | "layout=" LAYOUT            of every input;  "layout." NAME "=" LAYOUT  of one input or output
           | "values=" VALUES            of every input;  "values." INPUT "=" VALUES  of one;
                                         a distribution, or zeros, or ones
           | "draw=" K                   the K-th other draw of all values from the same distributions
           | "keep." INPUT "=" I(":"I)*  only these elements (flat C order) keep their value, others are 0
                                         (or what is nearest to 0 in the input's domain)
           | "param." NAME "=" CHOICE    one of the param's choices, as Python prints it
           | "config=" I                 the I-th of the op's configs, from 0
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_gpuemu.engine.dtypes import FLOATS
from pytest_gpuemu.engine.errors import SeedError, did_you_mean
from pytest_gpuemu.engine.op import LAYOUTS, VALUES, Op
from pytest_gpuemu.engine.values import EDIT_VALUES

_OPENING, _CLOSING, _QUOTES = "([{", ")]}", "'\""
_WORDS = ("dtype", "layout", "values", "draw", "config")


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Edits that were read: the mappings are by dim, input or param name; None as an input name means all."""

    dims: Mapping[str, int] = field(default_factory=dict)
    dtype: str | None = None
    layouts: Mapping[str | None, str] = field(default_factory=dict)
    values: Mapping[str | None, str] = field(default_factory=dict)
    keep: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    draw: int = 0
    config: int | None = None


def read_edits(op: Op, text: str) -> Edits:
    """The edits of that text. Raises SeedError, which names the edit and what it could be."""
    dims: dict[str, int] = {}
    dtype: str | None = None
    layouts: dict[str | None, str] = {}
    values: dict[str | None, str] = {}
    keep: dict[str, tuple[int, ...]] = {}
    params: dict[str, Any] = {}
    draw = 0
    config: int | None = None
    words = _WORDS if op.configs else _WORDS[:-1]
    for key, value in split_edits(text):
        head, dot, name = key.partition(".")
        inputs = [x.name for x in op.inputs]
        if key == "dtype":
            dtype = _one_of(op, key, value, FLOATS)
        elif key == "draw":
            draw = _size(op, key, value)
        elif key == "config" and op.configs:
            config = _config(op, value)
        elif head == "layout" and (
            not dot or _known(op, key, name, [*inputs, *(y.name for y in op.outputs)])
        ):
            layouts[name or None] = _one_of(op, key, value, LAYOUTS)
        elif head == "values" and (not dot or _known(op, key, name, inputs)):
            values[name or None] = _one_of(op, key, value, (*VALUES, *EDIT_VALUES))
        elif head == "keep" and dot and _known(op, key, name, inputs):
            keep[name] = tuple(_size(op, key, index) for index in value.split(":"))
        elif head == "param" and dot and _known(op, key, name, [param.name for param in op.params]):
            params[name] = _choice(op, name, value)
        elif head == "dim" and dot and _known(op, key, name, op.dim_names):
            dims[name] = _size(op, key, value)
        elif _known(op, key, key, (*op.dim_names, *words), kinds="dim or edit"):
            dims[key] = _size(op, key, value)
    return Edits(
        dims=dims,
        dtype=dtype,
        layouts=layouts,
        values=values,
        keep=keep,
        params=params,
        draw=draw,
        config=config,
    )


def write_edits(edits: Edits) -> str:
    """The text that read_edits reads as these edits; empty where there are none."""
    named = [
        *((f"dim.{name}" if name in _WORDS else name, str(size)) for name, size in edits.dims.items()),
        *((key, value) for key, value in (("dtype", edits.dtype),) if value is not None),
        *((_of("layout", name), layout) for name, layout in edits.layouts.items()),
        *((_of("values", name), values) for name, values in edits.values.items()),
        *((key, str(value)) for key, value in (("draw", edits.draw),) if value),
        *((f"keep.{name}", ":".join(map(str, indices))) for name, indices in edits.keep.items()),
        *((f"param.{name}", repr(choice)) for name, choice in edits.params.items()),
        *((key, str(index)) for key, index in (("config", edits.config),) if index is not None),
    ]
    return ",".join(f"{key}={value}" for key, value in named)


def _of(word: str, name: str | None) -> str:
    return word if name is None else f"{word}.{name}"


def split_edits(text: str) -> Iterator[tuple[str, str]]:
    """The (key, value) pairs of the text. Raises SeedError where a part is not NAME=VALUE."""
    part, depth, quote = "", 0, ""
    parts = []
    for letter in text:
        if letter == "," and not depth and not quote:
            parts.append(part)
            part = ""
            continue
        if quote or letter in _QUOTES:
            quote = "" if letter == quote else quote or letter
        else:
            depth += (letter in _OPENING) - (letter in _CLOSING)
        part += letter
    for edit in (*parts, part):
        key, equals, value = edit.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise SeedError(f"edit {edit!r} is not NAME=VALUE; write edits such as rows=1,dtype=float16")
        yield key.strip(), value.strip()


def _known(op: Op, key: str, name: str, known: Iterable[str], kinds: str = "name") -> bool:
    names = tuple(known)
    if name not in names:
        near = did_you_mean(name, names)
        raise SeedError(f"op {op.name!r}: edit {key!r}: unknown {kinds} {name!r}; {near}")
    return True


def _one_of(op: Op, key: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise SeedError(f"op {op.name!r}: edit {key}={value!r}; {did_you_mean(value, known)}")
    return value


def _size(op: Op, key: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise SeedError(f"op {op.name!r}: edit {key}={value!r} is not a whole number >= 0")
    return int(value)


def _choice(op: Op, name: str, value: str) -> Any:
    choices = next(param.choices for param in op.params if param.name == name)
    for choice in choices:
        if value in (repr(choice), str(choice)):
            return choice
    raise SeedError(
        f"op {op.name!r}: edit param.{name}={value!r} is no choice of it: {', '.join(map(repr, choices))}"
    )


def _config(op: Op, value: str) -> int:
    index = _size(op, "config", value)
    if index >= len(op.configs):
        raise SeedError(f"op {op.name!r}: edit config={value}: its configs are 0 to {len(op.configs) - 1}")
    return index
