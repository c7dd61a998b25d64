"""Calling user code: tests, kernels, references, invariants.

Here: the one place outside the daemon that catches every exception, and the traceback of what it caught.
Elsewhere: which arguments a function gets (references.py), what a failure means (judge.py).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# A message may hold a whole array: it is stored, sent and printed. Of a traceback the end tells most.
MAX_SUMMARY = 4_000
MAX_TRACEBACK = 100_000


@dataclass(frozen=True, slots=True)
class Called:
    """What a call gave: a value, or the error it raised with the text of its traceback.

    The traceback starts in the user's code: the frame of `call` is left out.
    """

    value: Any = None
    error: Exception | None = None
    traceback: str = ""

    @property
    def summary(self) -> str:
        """The error in one line, such as `ValueError: bad shape`; empty where there is none."""
        if self.error is None:
            return ""
        text = _text("".join(traceback.format_exception_only(type(self.error), self.error)).strip())
        more = len(text) - MAX_SUMMARY
        return text if more <= 0 else f"{text[:MAX_SUMMARY]} ... ({more} more characters)"

    @property
    def place(self) -> str:
        """`Type at file:line` of the frame that raised: equal for one error met twice. Empty without one."""
        if self.error is None:
            return ""
        where, frames = "", self.error.__traceback__
        while frames is not None:
            where = f"{frames.tb_frame.f_code.co_filename}:{frames.tb_lineno}"
            frames = frames.tb_next
        return f"{type(self.error).__qualname__} at {where}"


def call(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Called:
    """Call user code and capture what it raises.

    Only Exception is captured: KeyboardInterrupt, SystemExit and pytest's own outcomes (skip, xfail)
    are BaseExceptions and pass through.
    """
    try:
        return Called(function(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - user code may raise anything, and its traceback is kept
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        text = _text("".join(traceback.format_exception(type(error), error, frames)).rstrip())
        more = len(text) - MAX_TRACEBACK
        return Called(error=error, traceback=text if more <= 0 else f"({more} characters) ...{text[more:]}")


def _text(raised: str) -> str:
    """What JSON and a terminal can hold: a message may have lone surrogates, as names of files do."""
    return raised.encode("utf-8", "backslashreplace").decode("utf-8")
