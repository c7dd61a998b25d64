"""Schemas: which named dims the shapes of an op's inputs and outputs are made of.

Here: dim expressions (`H*G`, `N+1`), comparisons between them (`S <= T`) and the text form
`a[M,K], b[K,N] -> [M,N]`, NumPy's gufunc signature with names.
Elsewhere: drawing sizes for the dims (plan.py), the op's record (op.py).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_gpuemu.engine.errors import SchemaError

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<number>\d+)|(?P<sign>->|\.\.\.|[\[\],*+]))")
_COMPARISON = re.compile(r"^(?P<left>.+?)(?P<sign><=|>=|==|!=|<|>)(?P<right>.+)$")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True, slots=True)
class DimExpr:
    """A size: a sum of products of dim names and integers, such as `H*G` or `N+1`.

    terms holds a (coefficient, names) pair for each product.
    """

    terms: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The dim names it uses, in order of appearance."""
        return tuple(dict.fromkeys(name for _, names in self.terms for name in names))

    def evaluate(self, dims: Mapping[str, int]) -> int:
        """The size for these dims. Raises KeyError for a dim that has none."""
        total = 0
        for size, names in self.terms:
            for name in names:
                size *= dims[name]
            total += size
        return total

    def __str__(self) -> str:
        return "+".join(
            "*".join([str(factor)] * (factor != 1 or not names) + list(names)) for factor, names in self.terms
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition between dims, such as `S <= T`, that every case fulfils."""

    left: DimExpr
    sign: str
    right: DimExpr

    def holds(self, dims: Mapping[str, int]) -> bool:
        return _COMPARE[self.sign](self.left.evaluate(dims), self.right.evaluate(dims))

    def __str__(self) -> str:
        return f"{self.left} {self.sign} {self.right}"


@dataclass(frozen=True, slots=True)
class TensorSchema:
    """One tensor of a schema. dims is None for `[...]`: the reference decides the shape."""

    name: str
    dims: tuple[DimExpr, ...] | None


@dataclass(frozen=True, slots=True)
class Schema:
    inputs: tuple[TensorSchema, ...]
    outputs: tuple[TensorSchema, ...]


class _Parser:
    """Recursive descent over the text; every error shows the text with a caret below the place.

    first_use holds where each dim name was first read since the last `clear`.
    """

    def __init__(self, text: str, what: str) -> None:
        self.text = text
        self.what = what
        self.at = 0
        self.first_use: dict[str, int] = {}

    def fail(self, message: str, at: int | None = None) -> SchemaError:
        place = self.at if at is None else at
        while place < len(self.text) and self.text[place].isspace():
            place += 1
        return SchemaError(f"{self.what}: {message}\n  {self.text}\n  {' ' * place}^")

    def peek(self) -> tuple[str, str]:
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            if self.text[self.at :].strip():
                raise self.fail(f"unexpected {self.text[self.at :].strip()[0]!r}")
            return "end", ""
        kind = str(match.lastgroup)
        return kind, match[kind]

    def take(self) -> tuple[str, str]:
        token = self.peek()
        match = _TOKEN.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return token

    def accept(self, sign: str) -> bool:
        if self.peek() == ("sign", sign):
            self.take()
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.accept(sign):
            raise self.fail(f"expected {sign!r}, found {self.peek()[1] or 'the end'!r}")

    def product(self) -> tuple[int, tuple[str, ...]]:
        factor, names = 1, []
        while True:
            kind, word = self.peek()
            if kind == "name":
                names.append(word)
                self.first_use.setdefault(word, self.at)
            elif kind == "number":
                factor *= int(word)
            else:
                raise self.fail(f"expected a dim name or an integer, found {word or 'the end'!r}")
            self.take()
            if not self.accept("*"):
                return factor, tuple(names)

    def expression(self) -> DimExpr:
        terms = [self.product()]
        while self.accept("+"):
            terms.append(self.product())
        return DimExpr(tuple(terms))

    def tensor(self, default_name: str | None, opaque: bool) -> TensorSchema:
        kind, word = self.peek()
        if kind == "name":
            self.take()
        elif default_name is None:
            raise self.fail(f"expected a tensor name, found {word or 'the end'!r}")
        name = word if kind == "name" else str(default_name)
        self.expect("[")
        if self.peek() == ("sign", "..."):
            if not opaque:
                raise self.fail(f"input {name!r}: only an output may be [...]")
            self.take()
            self.expect("]")
            return TensorSchema(name, None)
        dims: list[DimExpr] = []
        if not self.accept("]"):
            dims.append(self.expression())
            while self.accept(","):
                dims.append(self.expression())
            self.expect("]")
        return TensorSchema(name, tuple(dims))

    def tensors(self, default_name: str | None, opaque: bool = False) -> tuple[TensorSchema, ...]:
        found: list[TensorSchema] = []
        while True:
            start = self.at
            tensor = self.tensor(default_name, opaque)
            if any(tensor.name == other.name for other in found):
                raise self.fail(f"{tensor.name!r} appears twice", start)
            found.append(tensor)
            if not self.accept(","):
                return tuple(found)
            default_name = None

    def end(self) -> None:
        kind, word = self.peek()
        if kind != "end":
            raise self.fail(f"unexpected {word!r}")


def parse_schema(text: str) -> Schema:
    """Read `a[M,K], b[K,N] -> [M,N]`; a single output may go without a name and is called `output`.

    `[]` is a 0-d tensor, `out[...]` an output whose shape the reference decides.
    Raises SchemaError, with a caret below the place.
    """
    parser = _Parser(text, "schema")
    inputs = parser.tensors(None)
    parser.expect("->")
    known = set(parser.first_use)
    parser.first_use.clear()
    outputs = parser.tensors("output", opaque=True)
    parser.end()
    for tensor in outputs:
        for name in (name for dim in tensor.dims or () for name in dim.names):
            if name not in known:
                raise parser.fail(
                    f"output {tensor.name!r} uses the dim {name!r}, which no input has",
                    parser.first_use[name],
                )
    return Schema(inputs, outputs)


def parse_dim(text: str | int, what: str = "dim") -> DimExpr:
    """Read one size, such as `H*G`, `N+1` or 4. Raises SchemaError; what begins the message."""
    parser = _Parser(str(text), what)
    expression = parser.expression()
    parser.end()
    return expression


def parse_comparison(text: str) -> Comparison:
    """Read a condition between dims, such as `S <= T`. Raises SchemaError."""
    match = _COMPARISON.match(text)
    if match is None or not match["left"].strip() or not match["right"].strip():
        raise SchemaError(f"where: {text!r} is not a comparison; write one such as 'S <= T'")
    left, right = (parse_dim(match[side].strip(), f"where: {text!r}") for side in ("left", "right"))
    return Comparison(left, match["sign"], right)
