"""PTX text to tokens, each with its line and column.

Here: the lexical rules of the PTX ISA (chapter "Syntax": comments, identifiers, literals), and their errors.
Elsewhere: what the tokens mean together (parse.py).
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from pytest_gpuemu.engine.errors import PtxParseError, shortened


class Token(NamedTuple):
    """kind is "name", "dotted" (`.f32`, `.L2::128B`), "number", "string", "dwarf", or the punctuation itself;
    "end" ends the text. line and column count from 1."""

    kind: str
    text: str
    line: int
    column: int


# An alternative stands before those that are a part of it. A modifier may begin with a digit (`.2d`) and hold
# `::`; `%` opens a register where a name follows, and is the remainder elsewhere.
_TOKEN = re.compile(
    r"""
    (?P<space>   [ \t\r\f\v\n]+ | //[^\n]* | /\*.*?\*/ )
  | (?P<name>    [A-Za-z_$][\w$]* | %[\w$]+ )
  | (?P<dotted>  \.[\w$]+(?:::[\w$]+)* )
  | (?P<number>  0[fF][0-9A-Fa-f]{8} | 0[dD][0-9A-Fa-f]{16} | 0[xX][0-9A-Fa-f]+U? | 0[bB][01]+U?
               | \d+\.\d*(?:[eE][+-]?\d+)? | \d+[eE][+-]?\d+ | \d+U? )
  | (?P<string>  "(?:[^"\\\n]|\\.)*" )
  | (?P<dwarf>   @@DWARF\b[^\n]* )
  | (?P<mark>    << | >> | <= | >= | == | != | && | \|\| | /(?!\*) | [-{}()\[\]<>,;:+*%=@!|&^~?] )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
MAX_DIGITS = 100  # far beyond 64 bits in any base, and few enough for Python to convert
_GLUED_TO_A_NUMBER = re.compile(r"[\w$]+", re.ASCII)


def tokens(text: str) -> list[Token]:
    """Every token of the text, then one of kind "end". Raises PtxParseError at the first that is none.

    A NUL that ends the text, as in a C string, ends it.
    """
    text = text.rstrip("\0")
    found: list[Token] = []
    line, line_start, at = 1, 0, 0
    match_at = _TOKEN.match
    while at < len(text):
        match = match_at(text, at)
        if match is None:
            _refuse(text, at, line, at - line_start + 1)
        kind = match.lastgroup
        end = match.end()
        if kind == "space":
            breaks = text.count("\n", at, end)
            if breaks:
                line += breaks
                line_start = text.rindex("\n", at, end) + 1
        else:
            word = match.group()
            column = at - line_start + 1
            if kind == "number" and (glued := _GLUED_TO_A_NUMBER.match(text, end)):
                whole = word + glued.group()
                raise error(f"{whole!r} is no number: {_number_rule(whole)}", line, column)
            if kind == "number" and len(word) > MAX_DIGITS:
                raise error(f"a number of more than {MAX_DIGITS} digits", line, column)
            found.append(Token(word if kind == "mark" else str(kind), word, line, column))
        at = end
    found.append(Token("end", "", line, at - line_start + 1))
    return found


def error(message: str, line: int, column: int) -> PtxParseError:
    """The error of a place in the text: its message names the place first."""
    return PtxParseError(f"PTX line {line}, column {column}: {message}", line, column)


def _refuse(text: str, at: int, line: int, column: int) -> NoReturn:
    rest = text[at : at + 40]
    if rest.startswith("/*"):
        raise error("the comment that '/*' opens here is never closed", line, column)
    if rest.startswith('"'):
        raise error("the string that opens here is not closed on its line", line, column)
    if rest.startswith("#"):
        word = shortened(rest.split(chr(10))[0])
        raise error(f"{word} is for a preprocessor: give PTX that has been preprocessed", line, column)
    raise error(f"{rest[0]!r} begins nothing in PTX", line, column)


def _number_rule(word: str) -> str:
    if word[:2] in ("0f", "0F"):
        return "a float32 has 8 hexadecimal digits after 0f"
    if word[:2] in ("0d", "0D"):
        return "a float64 has 16 hexadecimal digits after 0d"
    return "a name does not begin with a digit"
