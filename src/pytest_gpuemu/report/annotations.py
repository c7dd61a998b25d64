"""GitHub Actions: a line for each kind of failure, which the workflow shows at the test's source line.

The form and the escapes are those of GitHub's workflow commands: `%`, CR and LF in the message, and `:` and
`,` in a property, are written as %25, %0D, %0A, %3A and %2C.
"""

from __future__ import annotations


def annotation(*, file: str, line: int, title: str, message: str) -> str:
    """`::error file=…,line=…,title=…::…`; line counts from 1."""
    return f"::error file={_property(file)},line={line},title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
