"""A place in a list of tokens, and the errors of a token that does not fit.

Here: looking at the next token, taking it, insisting on it, and the limit on nesting.
Elsewhere: which token fits where (expressions.py, declarations.py, parse.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from pytest_gpuemu.engine.artifacts.ptx.lexer import Token, error
from pytest_gpuemu.engine.errors import PtxParseError, shortened

# Real PTX nests a few levels; a text that nests further would exhaust Python's stack.
MAX_NESTING = 100

_Found = TypeVar("_Found")


class Cursor:
    """Walks over tokens; the last one is of kind "end" and is never passed."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    def ahead(self, steps: int) -> Token:
        """The token that many steps behind the next one."""
        return self._tokens[min(self._at + steps, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Step over the next token, and return it."""
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def takes(self, kind: str) -> bool:
        """Step over the next token if it is of this kind; say whether it was."""
        if self._tokens[self._at].kind != kind:
            return False
        self.take()
        return True

    def takes_word(self, text: str) -> bool:
        """Step over the next token if it is this name or dotted word; say whether it was."""
        token = self._tokens[self._at]
        if token.text != text or token.kind not in ("name", "dotted"):
            return False
        self.take()
        return True

    def expect(self, kind: str, what: str) -> Token:
        """Step over a token of this kind. what says, in the error, what belongs here."""
        if self._tokens[self._at].kind != kind:
            raise self.misfit(what)
        return self.take()

    def whole_number(self, what: str) -> int:
        """A decimal, hexadecimal, octal or binary literal."""
        token = self.expect("number", what)
        try:
            return integer(token.text)
        except ValueError:
            raise error(f"{token.text!r}: {what} is a whole number", token.line, token.column) from None

    def misfit(self, what: str) -> PtxParseError:
        """The error that something else than the next token belongs here."""
        token = self.token
        found = "the text ends" if token.kind == "end" else f"{shortened(token.text)} stands"
        return error(f"{found} where {what} belongs", token.line, token.column)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """One level deeper in braces, parentheses or signs."""
        token = self.token
        if self._depth >= MAX_NESTING:
            raise error(f"nested more than {MAX_NESTING} levels deep", token.line, token.column)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1


def integer(text: str) -> int:
    """The value of an integer literal, as PTX writes them: 0x…, 0b…, 0… (octal), a final U allowed.

    Raises ValueError for anything else.
    """
    digits = text[:-1] if text.endswith("U") else text
    if digits[:2] in ("0x", "0X"):
        return int(digits[2:], 16)
    if digits[:2] in ("0b", "0B"):
        return int(digits[2:], 2)
    if not digits.isdigit():
        raise ValueError(text)
    return int(digits, 8) if digits[0] == "0" else int(digits)
